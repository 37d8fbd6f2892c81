/// What was run, and the way to the sections.
struct HeaderSection {
  let data: HybridReport

  func html() -> HTML {
    let run = data.run
    var facts: [(String, String)] = [
      ("Data", RunText.dataset(run)),
      ("Users", Figure.count(run.users)),
      ("Items", Figure.count(run.items)),
      ("Interactions", Figure.count(run.interactions)),
      ("Language model", run.languageModel),
      (run.seeds.count == 1 ? "Seed" : "Seeds", run.seeds.map { String($0) }.joined(separator: ", ")),
      ("Time", Figure.duration(run.seconds)), ("Budget", run.level.rawValue), ("Arithmetic", run.arithmetic),
      ("Machine", "\(run.instructionSet), \(run.threads) thread\(run.threads == 1 ? "" : "s")"),
    ]
    if let expected = run.expectedSeconds { facts.append(("Time expected", Figure.duration(expected))) }
    if !run.splitHash.isEmpty { facts.append(("Split", Figure.shortened(run.splitHash, to: 13))) }
    let list = facts.map { name, value -> HTML in "<div><dt>\(name)</dt><dd>\(value)</dd></div>" }
    let anchors: [(String, String, Bool)] = [
      ("table", "All models", !data.rows.isEmpty), ("new", "New items", data.newItems != nil),
      ("teaching", "Who taught whom", !data.taught.isEmpty), ("comparison", "Comparison", !data.rows.isEmpty),
      ("curves", "Learning", !data.curves.isEmpty),
      ("space", "Item space", !data.map.isEmpty), ("exchange", "Exchange", !data.exchanges.isEmpty),
      ("people", "Users", !data.users.isEmpty), ("method", "Method", true),
    ]
    let links = anchors.filter { $0.2 }.map { id, name, _ -> HTML in "<a href=\"#\(id)\">\(name)</a>" }
    let badge: HTML = run.level == .quick ? "<span class=\"badge\">quick run</span>" : ""
    return """
      <header class="top"><div class="inner">
      <p class="brand">\(Self.logo) Trestle <span>hybrid-movies</span> \(badge)</p>
      <h1>A <em class="domain">recommender</em> and a <em class="language">language model</em> that teach each other</h1>
      <dl class="facts">\(list)</dl>
      </div></header>
      <nav aria-label="Sections"><div class="inner">\(links)</div></nav>
      """
  }

  private static let logo: HTML = """
    <svg class="logo" viewBox="0 0 40 26" aria-hidden="true"><path d="M2 6h36M2 11h36"/>\
    <path d="M8 6v18M20 6v18M32 6v18M8 11l12 13M20 11L8 24M20 11l12 13M32 11L20 24"/></svg>
    """
}
