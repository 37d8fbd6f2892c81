/// The learning curves of both sides.
struct CurvesSection {
  let data: HybridReport

  func html() -> HTML {
    let panels = SideRole.allCases.compactMap(panel)
    guard !panels.isEmpty else { return "" }
    return """
      <section id="curves" aria-labelledby="curves-h"><h2 id="curves-h">How both sides learned</h2>
      <p class="lede">The validation metric after each epoch, through the phases of the bridge, and of the runs \
      alone beside it. A ring marks the best epoch. Very short phases are widened so that they can be seen.</p>
      <div class="pair">\(panels)</div></section>
      """
  }

  private func panel(_ side: SideRole) -> HTML? {
    let curves = CurveChart.relevant(data.curves, side: side)
    guard !curves.isEmpty else { return nil }
    let legend = curves.enumerated().map { index, curve -> HTML in
      """
      <li><svg class="swatch line" viewBox="0 0 34 12" aria-hidden="true"><path class="curve \(side.rawValue) \
      \(CurveChart.style(index))" d="M1 6h32"/></svg> \(RunText.curve(curve.name))</li>
      """
    }
    return """
      <figure class="card plain \(side.rawValue)"><figcaption><h3>\(side == .domain ? "Recommender" : "Language model")</h3>\
      <ul class="keys">\(legend)</ul></figcaption>
      <div class="wide">\(CurveChart(side: side, curves: curves, width: 540, id: "curve-\(side.rawValue)").svg())</div>
      <div class="narrow">\(CurveChart(side: side, curves: curves, width: 350, id: "curve-\(side.rawValue)-narrow").svg())</div>
      </figure>
      """
  }
}

/// The shared item space before and after.
struct MapSection {
  let data: HybridReport

  func html() -> HTML {
    guard !data.map.isEmpty else { return "" }
    let chart = MapChart(data.map)
    return """
      <section id="space" aria-labelledby="space-h"><h2 id="space-h">The shared item space</h2>
      <p class="lede">Every item’s row in the store, projected to the plane. The larger a mark, the more training \
      interactions its item has. Choose a genre to pick it out; point at an item for its title.</p>
      \(chart.legend())
      <div class="pair">
      <figure class="card plain"><figcaption><h3>Before <small>after the recommender’s warm-up</small></h3></figcaption>
      \(chart.svg(id: "map-before", title: "The item space before the exchange") { $0.before })</figure>
      <figure class="card plain"><figcaption><h3>After <small>at the end of the exchange</small></h3></figcaption>
      \(chart.svg(id: "map-after", title: "The item space after the exchange") { $0.after })</figure>
      </div></section>
      """
  }
}

/// The writings to the store, in order.
struct ExchangeSection {
  let data: HybridReport

  func html() -> HTML {
    guard !data.exchanges.isEmpty else { return "" }
    let rows = data.exchanges.enumerated().map { index, exchange -> HTML in
      let kind = exchange.writer.rawValue
      return """
        <tr><td>\(index + 1)</td><th scope="row">\(exchange.phase)</th><td><span class="chip \(kind)"></span>\
        \(ExchangeChart.name(exchange.writer))</td><td>\(Figure.count(exchange.items))</td>\
        <td>\(Figure.decimal(exchange.itemShift, 3))</td><td>\(Figure.decimal(exchange.itemSpread, 3))</td>\
        <td>\(Figure.count(exchange.users))</td><td>\(Figure.decimal(exchange.userShift, 3))</td>\
        <td>\(Figure.decimal(exchange.userSpread, 3))</td></tr>
        """
    }
    return """
      <section id="exchange" aria-labelledby="exchange-h"><h2 id="exchange-h">The exchange, turn by turn</h2>
      <p class="lede">Both sides read the store and write to it in turn. A store that collapses would show here: its \
      spread would fall towards zero.</p>
      <figure class="card plain"><figcaption><ul class="keys">
      <li><span class="sample items"></span> items: left bars, solid line</li>
      <li><span class="sample users"></span> users: right bars, dashed line</li></ul></figcaption>
      <div class="wide">\(ExchangeChart(exchanges: data.exchanges, width: 1080, id: "exchange-wide").svg())</div>
      <div class="narrow">\(ExchangeChart(exchanges: data.exchanges, width: 350, id: "exchange-narrow").svg())</div>
      <details><summary>The same as a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Writings to the store"><table class="figures">
      <caption>Writings to the store, in order</caption>
      <thead><tr><th scope="col">No.</th><th scope="col">Phase</th><th scope="col">Writer</th><th scope="col">Items</th>\
      <th scope="col">Moved</th><th scope="col">Spread</th><th scope="col">Users</th><th scope="col">Moved</th>\
      <th scope="col">Spread</th></tr></thead><tbody>\(rows)</tbody></table></div></details></figure></section>
      """
  }
}
