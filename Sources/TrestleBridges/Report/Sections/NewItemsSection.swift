/// Items that nobody had touched: what some users would be shown, and why; and where the written rows lie.
struct NewItemsSection {
  let data: HybridReport

  func html() -> HTML {
    guard let new = data.newItems else { return "" }
    let people = new.users.map(person)
    return """
      <section id="new" aria-labelledby="new-h"><h2 id="new-h">Items that nobody had touched</h2>
      <p class="lede">\(Figure.count(new.count)) items had no training interaction. The tuned language model read their texts, and \
      the recommender ranked them by what it read. \(Figure.count(new.served)) of \(Figure.count(new.asked)) users with such \
      items in their test data find one among the first ten; these are some of them. Beside each title, the known items of the \
      user that the language model reads as nearest.</p>
      <div class="pair">\(people)</div>
      \(maps(new))</section>
      """
  }

  private func person(_ user: HybridReport.NewItemUser) -> HTML {
    let shown = user.history.map { title -> HTML in "<li><bdi>\(title)</bdi></li>" }
    let rest = user.historyCount - user.history.count
    let more: HTML = rest > 0 ? "<li class=\"more\">and \(Figure.count(rest)) more</li>" : ""
    let hits = user.listed.count { $0.isHit }
    let entries = user.listed.map { item -> HTML in
      let reasons: HTML =
        item.reasons.isEmpty
        ? ""
        : "<small>near <bdi>\(item.reasons.joined(separator: " · "))</bdi></small>"
      let mark: HTML = item.isHit ? " <span class=\"check\">✓<span class=\"quiet\"> hit</span></span>" : ""
      let kind: HTML = item.isHit ? " class=\"hit\"" : ""
      return "<li\(kind)><bdi>\(item.title)</bdi>\(mark)\(reasons)</li>"
    }
    return """
      <article class="card plain person"><h3>User <bdi>\(user.id)</bdi> <small><bdi>\(user.about)</bdi></small></h3>
      <h4>Has watched</h4><ul class="history">\(shown)\(more)</ul>
      <div class="list fused reasons"><h4><span class="chip fused"></span>New to everybody \
      <small>\(hits) hit\(hits == 1 ? "" : "s") of \(user.listed.count)</small></h4><ol>\(entries)</ol></div></article>
      """
  }

  /// The written rows in the plane of the recommender's own.
  private func maps(_ new: HybridReport.NewItems) -> HTML {
    guard !new.map.isEmpty else { return "" }
    let chart = MapChart(new.map, like: data.map.isEmpty ? nil : MapChart(data.map))
    return """
      <h3>Where the written rows lie <small>in the plane of the recommender’s own rows, by genre; the larger a mark, the more test \
      interactions its item has. The colours are those of the item space below.</small></h3>
      <div class="pair">
      <figure class="card plain"><figcaption><h3>Before <small>read off another item’s text</small></h3></figcaption>
      \(chart.svg(id: "written-before", title: "New items' rows, read off another item's text", frame: { $0.after },
        counted: "test interactions") { $0.before })</figure>
      <figure class="card plain"><figcaption><h3>After <small>read off its own text by the tuned language model</small></h3></figcaption>
      \(chart.svg(id: "written-after", title: "New items' rows, read off their own texts", frame: { $0.before },
        counted: "test interactions") { $0.after })</figure>
      </div>
      """
  }
}
