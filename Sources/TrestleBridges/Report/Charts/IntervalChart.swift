/// Means with their 95 % intervals, one line a model, and where the model's own side alone stands.
struct IntervalChart {
  let rows: [HybridReport.Row]
  let metric: String
  let slice: String
  let id: String

  private let width = 360.0
  private let top = 34.0
  private let step = 46.0

  func svg() -> HTML {
    let bottom = top + step * Double(rows.count)
    let axis = ChartAxis(around: rows.flatMap { [$0.low, $0.high, $0.mean] }, start: 8, end: width - 8)
    var body = Chart.text(metric, x: 0, y: 15, kind: "heading")
    let digits = axis.digits(4)
    for tick in axis.ticks(4) {
      let x = axis(tick)
      body += Chart.line(x, top - 8, x, bottom, kind: "grid")
      body += Chart.text(
        Figure.decimal(tick, digits), x: min(max(x, 14), width - 14), y: bottom + 17, anchor: "middle",
        kind: "tick")
    }
    for (index, row) in rows.enumerated() {
      body += line(row, y: top + step * Double(index), axis)
    }
    return Chart.svg(
      id: id, title: "\(metric), \(slice)", description: description, width: width, height: bottom + 24, body)
  }

  private func line(_ row: HybridReport.Row, y: Double, _ axis: ChartAxis) -> HTML {
    let kind = ModelTone(model: row.model).rawValue
    let baseline = rows.first { $0.model == row.baseline }
    let center = y + 27
    let (low, high, mean) = (axis(row.low), axis(row.high), axis(row.mean))
    var tip =
      "\(row.model): \(Figure.decimal(row.mean)) [\(Figure.decimal(row.low)), \(Figure.decimal(row.high))]"
    if let p = Figure.pValue(row.pValue) { tip += ", \(p) against \(row.baseline ?? "its own side alone")" }
    var body: HTML = "<g><title>\(tip)</title>"
    body += "<rect class=\"catch\" x=\"0\" y=\"\(y)\" width=\"\(width)\" height=\"\(step - 4)\"/>"
    body += Chart.text(Figure.shortened(row.model, to: 42), x: 0, y: y + 13, kind: "label halo")
    body += Chart.text(
      Figure.decimal(row.mean), x: width, y: y + 13, anchor: "end", kind: "value halo")
    if let baseline {
      body += Chart.line(axis(baseline.mean), center, mean, center, kind: "reach")
      body += Chart.line(axis(baseline.mean), center - 8, axis(baseline.mean), center + 8, kind: "baseline")
    }
    body += Chart.line(low, center, high, center, kind: "interval \(kind)")
    body += Chart.line(low, center - 4, low, center + 4, kind: "interval \(kind)")
    body += Chart.line(high, center - 4, high, center + 4, kind: "interval \(kind)")
    let shape: Chart.Shape = kind == "language" ? .square : kind == "fused" ? .diamond : .circle
    body += Chart.mark(
      shape, x: mean, y: center, radius: 5.5, kind: "dot \(kind)\(baseline == nil ? " hollow" : "")")
    return "\(body)</g>"
  }

  private var description: String {
    let lines = rows.map {
      "\($0.model) \(Figure.decimal($0.mean)), 95 % interval \(Figure.decimal($0.low)) to \(Figure.decimal($0.high))"
    }
    return "Mean \(metric) by model with 95 % intervals. " + lines.joined(separator: "; ") + "."
  }
}
