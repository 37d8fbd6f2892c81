/// The shared item space in the plane, coloured by genre.
struct MapChart {
  /// The genres that have a colour of their own, the most frequent first, and how many items each has.
  let genres: [(name: String, count: Int)]
  /// How many items have another genre.
  let otherCount: Int
  private let points: [HybridReport.MapPoint]
  private let mostPopular: Double
  private static let colours = 7

  /// A map of items.
  ///
  /// - Parameters:
  ///   - points: the items.
  ///   - other: a map whose genres have the same colours here.
  init(_ points: [HybridReport.MapPoint], like other: MapChart? = nil) {
    // Popular items first, so that the small marks lie on top of the large ones.
    self.points = points.enumerated().sorted {
      ($0.element.popularity, $1.offset) > ($1.element.popularity, $0.offset)
    }.map(\.element)
    var counts: [String: Int] = [:]
    for point in points { counts[point.genre, default: 0] += 1 }
    let ranked = counts.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
    genres = other?.genres ?? ranked.prefix(Self.colours).map { ($0.key, $0.value) }
    otherCount = ranked.dropFirst(Self.colours).reduce(0) { $0 + $1.value }
    mostPopular = Double(max(points.map(\.popularity).max() ?? 1, 1))
  }

  /// The class of the colour and the shape of a genre's marks.
  static func look(_ index: Int) -> (kind: String, shape: Chart.Shape) {
    let shapes: [Chart.Shape] = [.circle, .square, .triangle, .diamond]
    return ("genre-\(min(index, colours))", shapes[min(index, colours) % shapes.count])
  }

  /// One panel: the places that `place` gives.
  ///
  /// - Parameters:
  ///   - id: the panel's name in the page.
  ///   - title: what it shows.
  ///   - frame: places that the axes hold beside the panel's own, so that two panels have one scale.
  ///   - counted: what an item's number counts.
  ///   - place: where an item is.
  func svg(
    id: String, title: String, frame: ((HybridReport.MapPoint) -> [Double])? = nil,
    counted: String = "training interactions", _ place: (HybridReport.MapPoint) -> [Double]
  ) -> HTML {
    let size = 560.0
    let places = points.map { point -> (x: Double, y: Double)? in
      let values = place(point)
      guard values.count >= 2, values[0].isFinite, values[1].isFinite else { return nil }
      return (values[0], values[1])
    }
    let framed = frame.map { points.map($0).filter { $0.count >= 2 } } ?? []
    let horizontal = ChartAxis(
      around: places.compactMap { $0?.x } + framed.map { $0[0] }, start: 14, end: size - 14, padding: 0.01)
    let vertical = ChartAxis(
      around: places.compactMap { $0?.y } + framed.map { $0[1] }, start: size - 14, end: 14, padding: 0.01)
    let indices = Dictionary(
      genres.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    var body: HTML = ""
    for (index, point) in points.enumerated() {
      guard let place = places[index] else {
        // Both panels keep the same order of marks: the script finds an item in the other one by it.
        body += "<g/>\n"
        continue
      }
      let look = Self.look(indices[point.genre] ?? Self.colours)
      let share = Double(max(point.popularity, 0)) / mostPopular
      let tip = "\(point.title) — \(point.genre), \(Figure.count(point.popularity)) \(counted)"
      body += Chart.mark(
        look.shape, x: horizontal(place.x), y: vertical(place.y), radius: 1.9 + 6.6 * share.squareRoot(),
        kind: look.kind, tip: tip)
      body += "\n"
    }
    let shown = places.count { $0 != nil }
    return Chart.svg(
      id: id, title: title,
      description: "\(shown) items as marks, coloured by genre; larger marks are more popular items.",
      width: size, height: size, kind: "map", body)
  }

  /// The legend: choosing a genre dims the others.
  func legend() -> HTML {
    var entries: HTML = """
      <label class="key"><input type="radio" name="genre" id="genre-all" checked> <span>All genres</span></label>
      """
    var names = genres.map { ($0.name, $0.count) }
    if otherCount > 0 { names.append(("Other", otherCount)) }
    for (index, entry) in names.enumerated() {
      let place = entry.0 == "Other" && index == genres.count ? Self.colours : index
      let look = Self.look(place)
      entries += """
        <label class="key"><input type="radio" name="genre" id="pick-\(place)"> \
        <svg class="swatch map" viewBox="0 0 16 16" aria-hidden="true">\
        \(Chart.mark(look.shape, x: 8, y: 8, radius: 5.2, kind: look.kind))</svg> \
        <span><bdi>\(entry.0)</bdi> <small>\(Figure.count(entry.1))</small></span></label>
        """
    }
    return "<fieldset class=\"legend\"><legend>Genre</legend>\(entries)</fieldset>"
  }
}
