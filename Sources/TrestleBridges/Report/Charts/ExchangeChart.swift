/// The store's story: who wrote in which order, how far the rows moved, and how widely they spread.
struct ExchangeChart {
  let exchanges: [HybridReport.Exchange]
  let width: Double
  let id: String

  private let right = 10.0
  private var left: Double { 38 }
  private var step: Double { (width - left - right) / Double(max(exchanges.count, 1)) }
  private func center(_ index: Int) -> Double { left + step * (Double(index) + 0.5) }
  private var isWide: Bool { step > 58 }

  func svg() -> HTML {
    let body = lanes() + shifts(top: 272, bottom: 372) + spreads(top: 430, bottom: 516)
    return Chart.svg(
      id: id, title: "The exchange in turn", description: description, width: width, height: 542, body)
  }

  // MARK: Who wrote

  private func lanes() -> HTML {
    let (domain, store, language) = (60.0, 112.0, 164.0)
    var body = Chart.text("Recommender", x: 0, y: 16, kind: "lane domain")
    body += Chart.text("Language model", x: 0, y: language + 46, kind: "lane language")
    body += Chart.line(0, domain, width, domain, kind: "track domain")
    body += Chart.line(0, language, width, language, kind: "track language")
    body += "<rect class=\"store\" x=\"0\" y=\"\(store - 15)\" width=\"\(width)\" height=\"30\" rx=\"15\"/>"
    body += Chart.text("store", x: 12, y: store + 4, kind: "phase")
    for (index, exchange) in exchanges.enumerated() {
      let x = center(index)
      let isDomain = exchange.writer == .domain
      let from = isDomain ? domain : language
      let edge = isDomain ? store - 17 : store + 17
      let point = isDomain ? -7.0 : 7.0
      let kind = exchange.writer.rawValue
      body += """
        <g><title>\(tip(exchange, index))</title>\
        <rect class="catch" x="\(x - step / 2)" y="\(domain - 12)" width="\(step)" height="\(language - domain + 24)"/>
        """
      body += Chart.line(x, from, x, edge + point, kind: "write \(kind)")
      body += "<path class=\"arrow \(kind)\" d=\"M\(x) \(edge)l-5 \(point * 1.3)h10z\"/>"
      body += Chart.mark(isDomain ? .circle : .square, x: x, y: from, radius: 6, kind: "dot \(kind)")
      body += Chart.text(String(index + 1), x: x, y: store + 5, anchor: "middle", kind: "value")
      let name = isWide ? PhaseName.short(exchange.phase) : PhaseName.tiny(exchange.phase)
      body += Chart.text(
        name, x: x, y: isDomain ? from - 14 : from + 24, anchor: "middle", kind: "phase halo")
      body += "</g>"
    }
    return body
  }

  // MARK: What it did to the rows

  private func shifts(top: Double, bottom: Double) -> HTML {
    let values = exchanges.flatMap { [$0.itemShift, $0.userShift] }
    let axis = ChartAxis(around: values, start: bottom, end: top, padding: 0.1, fromZero: true)
    var body = Chart.text(
      "How far the rows moved (mean cosine distance)", x: 0, y: top - 14, kind: "heading small")
    body += grid(axis, 3)
    let bar = min(step * 0.3, 34)
    for (index, exchange) in exchanges.enumerated() {
      let x = center(index)
      for (offset, value, kind) in [
        (-bar - 1, exchange.itemShift, "items"), (1.0, exchange.userShift, "users"),
      ] {
        let y = axis(value)
        let height = value.isFinite ? max(bottom - y, 0.8) : 0
        body += """
          <g><title>\(tip(exchange, index))</title><rect class="bar \(kind) \(exchange.writer.rawValue)" \
          x="\(x + offset)" y="\(bottom - height)" width="\(bar)" height="\(height)"/></g>
          """
        if bar >= 30 {
          body += Chart.text(
            Figure.decimal(value, 2), x: x + offset + bar / 2, y: bottom - height - 4, anchor: "middle",
            kind: "tick")
        }
      }
    }
    return body + Chart.line(left, bottom, width, bottom, kind: "rule")
  }

  private func spreads(top: Double, bottom: Double) -> HTML {
    let values = exchanges.flatMap { [$0.itemSpread, $0.userSpread] }
    let axis = ChartAxis(around: values, start: bottom, end: top, padding: 0.12, fromZero: true)
    var body = Chart.text("Spread of the store's rows", x: 0, y: top - 14, kind: "heading small")
    body += grid(axis, 3)
    let series: [(kind: String, shape: Chart.Shape, value: (HybridReport.Exchange) -> Double)] = [
      ("items", .circle, { $0.itemSpread }), ("users", .diamond, { $0.userSpread }),
    ]
    for line in series {
      let path = HTML(
        exchanges.enumerated().map { index, exchange in
          "\(HTML(stringLiteral: index == 0 ? "M" : "L"))\(center(index)) \(axis(line.value(exchange)))"
        }, separator: "")
      body += "<path class=\"spread \(line.kind)\" d=\"\(path)\"/>"
      for (index, exchange) in exchanges.enumerated() {
        body += Chart.mark(
          line.shape, x: center(index), y: axis(line.value(exchange)), radius: 4,
          kind: "spread-dot \(line.kind)",
          tip: tip(exchange, index))
      }
    }
    for index in exchanges.indices {
      body += Chart.text(String(index + 1), x: center(index), y: bottom + 18, anchor: "middle", kind: "tick")
    }
    return body + Chart.line(left, bottom, width, bottom, kind: "rule")
  }

  private func grid(_ axis: ChartAxis, _ count: Int) -> HTML {
    var body: HTML = ""
    for tick in axis.ticks(count) {
      body += Chart.line(left, axis(tick), width, axis(tick), kind: "grid")
      body += Chart.text(
        Figure.decimal(tick, axis.digits(count)), x: left - 6, y: axis(tick) + 4, anchor: "end", kind: "tick")
    }
    return body
  }

  // MARK: Words

  private func tip(_ exchange: HybridReport.Exchange, _ index: Int) -> String {
    "\(index + 1). \(exchange.phase): the \(Self.name(exchange.writer)) wrote \(Figure.count(exchange.items)) items "
      + "(moved \(Figure.decimal(exchange.itemShift, 3)), spread \(Figure.decimal(exchange.itemSpread, 3))) and "
      + "\(Figure.count(exchange.users)) users (moved \(Figure.decimal(exchange.userShift, 3)), spread "
      + "\(Figure.decimal(exchange.userSpread, 3)))"
  }

  private var description: String {
    exchanges.enumerated().map { tip($0.element, $0.offset) }.joined(separator: ". ") + "."
  }

  static func name(_ side: SideRole) -> String {
    side == .domain ? "recommender" : "language model"
  }
}
