/// One side's validation metric, epoch by epoch through the phases of the bridge and in the runs alone.
struct CurveChart {
  /// A stretch of epochs with one phase's name.
  private struct Band {
    var name: String
    var epochs: Int
    var start = 0.0
    var width = 0.0
  }

  let side: SideRole
  let curves: [HybridReport.Curve]
  let width: Double
  let id: String

  private let left = 46.0
  private let top = 34.0
  private let height = 300.0
  private var right: Double { width - 10 }
  private var bottom: Double { height - 38 }

  /// The curves that have something to show on this side, those of the bridge first.
  static func relevant(_ curves: [HybridReport.Curve], side: SideRole) -> [HybridReport.Curve] {
    let measured = curves.filter { curve in
      curve.records.contains { $0.side == side && $0.validation?.isFinite == true }
    }
    return measured.filter(isBridged) + measured.filter { !isBridged($0) }
  }

  /// Whether both sides trained.
  private static func isBridged(_ curve: HybridReport.Curve) -> Bool {
    Set(curve.records.map(\.side)).count > 1
  }

  /// A curve's look: those of the bridge in the side's colour, the others apart by colour and dashes.
  static func style(_ index: Int) -> String { "series-\(min(index, 5))" }

  func svg() -> HTML {
    let bands = layout()
    let series = curves.map { curve in curve.records.filter { $0.side == side } }
    let values = series.flatMap { $0.compactMap(\.validation) }
    let axis = ChartAxis(around: values, start: bottom, end: top, padding: 0.08)
    var body = grid(axis) + frame(bands)
    for (index, records) in series.enumerated().reversed() {
      body += line(records, name: curves[index].name, style: Self.style(index), axis, bands)
    }
    body += Chart.text(
      "epochs of this side", x: (left + right) / 2, y: height - 4, anchor: "middle", kind: "tick")
    let name = side == .domain ? "recommender" : "language model"
    return Chart.svg(
      id: id, title: "Learning curves of the \(name)", description: description(series), width: width,
      height: height, body)
  }

  // MARK: Parts

  private func grid(_ axis: ChartAxis) -> HTML {
    var body: HTML = ""
    let digits = axis.digits(5)
    for tick in axis.ticks(5) {
      body += Chart.line(left, axis(tick), right, axis(tick), kind: "grid")
      body += Chart.text(
        Figure.decimal(tick, digits), x: left - 7, y: axis(tick) + 4, anchor: "end", kind: "tick")
    }
    return body
  }

  private func frame(_ bands: [Band]) -> HTML {
    var body: HTML = ""
    var epochs = 0
    var lastLabel = -100.0
    for (index, band) in bands.enumerated() {
      body += """
        <g><title>\(band.name): \(band.epochs) epochs</title><rect class="band \(side.rawValue) \
        \(index % 2 == 0 ? "even" : "odd")" x="\(band.start)" y="\(top - 22)" width="\(band.width)" \
        height="\(bottom - top + 22)"/></g>
        """
      if let label = fitting(band.name, band.width) {
        body += Chart.text(label, x: band.start + band.width / 2, y: top - 7, anchor: "middle", kind: "phase")
      }
      epochs += band.epochs
      let end = band.start + band.width
      if end - lastLabel > 22 {
        body += Chart.text(
          String(epochs), x: min(end, right - 4), y: bottom + 16, anchor: "middle", kind: "tick")
        lastLabel = end
      }
    }
    return body + Chart.line(left, bottom, right, bottom, kind: "rule")
  }

  private func line(
    _ records: [BridgeEpochRecord], name: String, style: String, _ axis: ChartAxis, _ bands: [Band]
  ) -> HTML {
    let points = records.enumerated().compactMap { index, record -> (Double, Double, BridgeEpochRecord)? in
      guard let value = record.validation, value.isFinite else { return nil }
      return (place(Double(index + 1), bands), axis(value), record)
    }
    let path = HTML(
      points.enumerated().map { index, point in
        "\(HTML(stringLiteral: index == 0 ? "M" : "L"))\(point.0) \(point.1)"
      }, separator: "")
    var body: HTML = "<path class=\"curve \(side.rawValue) \(style)\" d=\"\(path)\"/>"
    let best = points.max { ($0.2.validation ?? 0) < ($1.2.validation ?? 0) }
    let isDense = points.count > 40
    for point in points {
      let isBest = point.2.epoch == best?.2.epoch && point.2.phase == best?.2.phase
      let tip =
        "\(RunText.curve(name)), \(point.2.phase), epoch \(point.2.epoch + 1): \(Figure.decimal(point.2.validation))"
        + (isBest ? " (best)" : "")
      body += Chart.mark(
        .circle, x: point.0, y: point.1, radius: isBest ? 4.5 : isDense ? 1.8 : 2.6,
        kind: "point \(side.rawValue) \(style)\(isBest ? " best" : "")", tip: tip)
    }
    return body
  }

  private func description(_ series: [[BridgeEpochRecord]]) -> String {
    let parts = zip(curves, series).map { curve, records in
      let best = records.compactMap(\.validation).max()
      return "\(RunText.curve(curve.name)): best \(Figure.decimal(best)) in \(records.count) epochs"
    }
    return "Validation metric by epoch, with the phases as bands. " + parts.joined(separator: "; ") + "."
  }

  // MARK: The horizontal axis

  private static func phases(of curve: HybridReport.Curve, _ side: SideRole) -> [(name: String, epochs: Int)]
  {
    var result: [(name: String, epochs: Int)] = []
    for record in curve.records where record.side == side {
      if result.last?.name == record.phase {
        result[result.count - 1].epochs += 1
      } else {
        result.append((record.phase, 1))
      }
    }
    return result
  }

  /// The phases as bands: as wide as they have epochs, but none too thin to be seen.
  private func layout() -> [Band] {
    let all = curves.map { Self.phases(of: $0, side) }
    let reference = all.first ?? []
    var bands = reference.map { Band(name: $0.name, epochs: $0.epochs) }
    let longest = all.map { $0.reduce(0) { $0 + $1.epochs } }.max() ?? 0
    let covered = bands.reduce(0) { $0 + $1.epochs }
    if longest > covered { bands.append(Band(name: "runs alone", epochs: longest - covered)) }
    let room = right - left
    let least = min(34, room / Double(max(bands.count, 1)))
    var wide = Set(bands.indices)
    while true {
      let epochs = wide.reduce(0) { $0 + bands[$1].epochs }
      let rest = room - least * Double(bands.count - wide.count)
      let thin = wide.filter { rest * Double(bands[$0].epochs) / Double(max(epochs, 1)) < least - 1e-6 }
      for index in bands.indices {
        bands[index].width =
          wide.contains(index) ? rest * Double(bands[index].epochs) / Double(max(epochs, 1)) : least
      }
      if thin.isEmpty || thin.count == wide.count { break }
      wide.subtract(thin)
    }
    var start = left
    for index in bands.indices {
      bands[index].start = start
      start += bands[index].width
    }
    return bands
  }

  /// Where so many epochs end.
  private func place(_ epochs: Double, _ bands: [Band]) -> Double {
    var rest = epochs
    for band in bands {
      if rest <= Double(band.epochs) { return band.start + band.width * rest / Double(max(band.epochs, 1)) }
      rest -= Double(band.epochs)
    }
    return right
  }

  /// The phase's name as far as the band has room for it: `round 2: domain`, `round 2` or `R2`.
  private func fitting(_ name: String, _ width: Double) -> String? {
    let short = PhaseName.short(name)
    return [short, PhaseName.tiny(name)].first { Double($0.count) * 6.3 + 4 <= width }
  }
}

/// Phase names where there is little room.
enum PhaseName {
  /// Without the side: `round 2`.
  static func short(_ name: String) -> String {
    String(name.split(separator: ":", maxSplits: 1).first ?? Substring(name))
  }

  /// `R2` for `round 2`, otherwise the first five letters.
  static func tiny(_ name: String) -> String {
    let words = short(name).split(separator: " ")
    if words.count == 2, words[0].lowercased() == "round" { return "R\(words[1])" }
    return Figure.shortened(short(name), to: 5)
  }
}
