/// Who taught whom: how much of the recommender's rows each reading explains, before and after.
struct TeachingSection {
  let data: HybridReport

  func html() -> HTML {
    guard !data.taught.isEmpty else { return "" }
    let rows = data.taught.map { share -> HTML in
      let kind: HTML = share.reading == HybridStudy.Variant.shuffledTexts.rawValue ? "reference" : "language"
      return """
        <tr><th scope="row"><span class="chip \(kind)"></span>\(share.name)</th>\
        <td>\(Self.percent(share.before))</td><td>\(Self.percent(share.after))</td></tr>
        """
    }
    return """
      <section id="teaching" aria-labelledby="teaching-h"><h2 id="teaching-h">Who taught whom</h2>
      <p class="lede">How much of the variance of the recommender’s rows a reading of the texts explains, for \
      \(Figure.count(data.taughtItems)) items that neither the language model’s tuning nor the map has seen; one mean row for all \
      explains 0. Where tuned explains more than frozen, the recommender has taught the language model. Where more is explained \
      after the rounds than before, the language side has taught the recommender.</p>
      <figure class="card plain"><figcaption><ul class="keys">
      <li><span class="sample"></span> rows after the warm-up</li>
      <li><span class="sample users"></span> rows after the rounds</li></ul></figcaption><div class="wide">\(chart(width: 1080, id: "taught"))</div>
      <div class="narrow">\(chart(width: 350, id: "taught-narrow"))</div>
      <div class="scroll" tabindex="0" role="region" aria-label="Explained variance"><table class="figures">
      <caption>Share of the variance of held-out rows that is explained</caption>
      <thead><tr><th scope="col">What reads</th><th scope="col">Rows after the warm-up</th>\
      <th scope="col">Rows after the rounds</th></tr></thead><tbody>\(rows)</tbody></table></div></figure></section>
      """
  }

  /// Two bars a reading, before above after.
  private func chart(width: Double, id: String) -> HTML {
    let (top, step, left) = (6.0, 58.0, 0.0)
    let axis = ChartAxis(
      around: data.taught.flatMap { [$0.before, $0.after] }, start: left + 4, end: width - 60, padding: 0.02,
      fromZero: true)
    let bottom = top + step * Double(data.taught.count)
    var body: HTML = ""
    for tick in axis.ticks(5) {
      body += Chart.line(axis(tick), top, axis(tick), bottom, kind: tick == 0 ? "rule" : "grid")
      body += Chart.text(
        Self.percent(tick, 0), x: max(axis(tick), 12), y: bottom + 16, anchor: "middle", kind: "tick")
    }
    for (index, share) in data.taught.enumerated() {
      let y = top + step * Double(index)
      let kind: HTML = share.reading == HybridStudy.Variant.shuffledTexts.rawValue ? "reference" : "language"
      body += Chart.text(share.name, x: 6, y: y + 14, kind: "label halo")
      for (place, value) in [share.before, share.after].enumerated() {
        let (start, end) = (min(axis(0), axis(value)), max(axis(0), axis(value)))
        let form: HTML = place == 0 ? "bar" : "bar users"
        body += """
          <rect class="\(form) \(kind)" x="\(start)" y="\(y + 20 + Double(place) * 15)" width="\(max(end - start, 1))" \
          height="12"><title>\(share.name), \(place == 0 ? "after the warm-up" : "after the rounds"): \
          \(Self.percent(value))</title></rect>
          """
        body += Chart.text(Self.percent(value), x: end + 6, y: y + 30 + Double(place) * 15, kind: "tick")
      }
    }
    let lines = data.taught.map { "\($0.name) \(Self.percent($0.before)), then \(Self.percent($0.after))" }
    return Chart.svg(
      id: id, title: "Variance of held-out rows that is explained",
      description: "Full bars: rows after the warm-up; pale bars: after the rounds. "
        + lines.joined(separator: "; "),
      width: width, height: bottom + 22, body)
  }

  private static func percent(_ share: Double, _ digits: Int = 1) -> String {
    guard share.isFinite else { return Figure.none }
    return (share < 0 ? "−" : "") + Figure.decimal(abs(share) * 100, digits) + "\u{202F}%"
  }
}
