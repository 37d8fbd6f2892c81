import Foundation

/// A linear axis: values on one side, coordinates on the other.
struct ChartAxis {
  let low: Double
  let high: Double
  let start: Double
  let end: Double

  /// An axis around `values`, widened by `padding` of their range; not finite ones are ignored.
  init(around values: [Double], start: Double, end: Double, padding: Double = 0.06, fromZero: Bool = false) {
    let finite = values.filter(\.isFinite)
    var low = finite.min() ?? 0
    var high = finite.max() ?? 1
    if fromZero { low = min(low, 0) }
    let range = high - low
    let room = range > 0 ? range * padding : max(abs(high) * 0.1, 0.01)
    // A scale of values that are never negative does not go below zero.
    low = low >= 0 ? max(low - (fromZero ? 0 : room), 0) : low - room
    high += room
    self.low = low
    self.high = high
    self.start = start
    self.end = end
  }

  func callAsFunction(_ value: Double) -> Double {
    guard high > low, value.isFinite else { return start }
    return start + (value - low) / (high - low) * (end - start)
  }

  /// About `count` round values on the axis.
  func ticks(_ count: Int) -> [Double] {
    let step = Self.roundStep((high - low) / Double(max(count, 1)))
    guard step > 0, step.isFinite else { return [] }
    let first = Int((low / step - 1e-9).rounded(.up))
    let last = Int((high / step + 1e-9).rounded(.down))
    guard last >= first, last - first < 100 else { return [] }
    return (first...last).map { Double($0) * step }
  }

  /// The decimals that tell the ticks apart.
  func digits(_ count: Int) -> Int {
    let step = Self.roundStep((high - low) / Double(max(count, 1)))
    guard step > 0, step.isFinite else { return 2 }
    return min(max(Int((-log10(step) - 1e-9).rounded(.up)), 0), 6)
  }

  /// The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is at least `raw`.
  private static func roundStep(_ raw: Double) -> Double {
    guard raw > 0, raw.isFinite else { return 0 }
    let power = pow(10, log10(raw).rounded(.down))
    let factor = [1, 2, 5, 10].first { $0 * power >= raw * 0.999 } ?? 10
    return factor * power
  }
}

/// The frame of every chart: an SVG that names and describes itself.
enum Chart {
  static func svg(
    id: String, title: String, description: String, width: Double, height: Double, kind: String = "",
    _ body: HTML
  ) -> HTML {
    """
    <svg class="chart \(kind)" viewBox="0 0 \(width) \(height)" role="img" \
    aria-labelledby="\(id)-title \(id)-desc"><title id="\(id)-title">\(title)</title>\
    <desc id="\(id)-desc">\(description)</desc>\(body)</svg>
    """
  }

  static func text(
    _ text: String, x: Double, y: Double, anchor: String = "start", kind: String = "label"
  ) -> HTML {
    "<text class=\"\(kind)\" x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\">\(text)</text>"
  }

  static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, kind: String) -> HTML {
    "<line class=\"\(kind)\" x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\"/>"
  }

  /// A mark around a point; its shape says again what its colour says. `kind` is a class, `tip` what hovering shows.
  static func mark(_ shape: Shape, x: Double, y: Double, radius r: Double, kind: String, tip: String? = nil)
    -> HTML
  {
    let title: HTML = tip.map { "<title>\($0)</title>" } ?? ""
    let path: HTML
    switch shape {
    case .circle: return "<circle class=\"\(kind)\" cx=\"\(x)\" cy=\"\(y)\" r=\"\(r)\">\(title)</circle>"
    case .square: path = "M\(x - r * 0.88) \(y - r * 0.88)h\(r * 1.76)v\(r * 1.76)h\(-r * 1.76)z"
    case .diamond:
      path =
        "M\(x) \(y - r * 1.25)l\(r * 1.25) \(r * 1.25)l\(-r * 1.25) \(r * 1.25)l\(-r * 1.25) \(-r * 1.25)z"
    case .triangle: path = "M\(x) \(y - r * 1.2)l\(r * 1.15) \(r * 2)h\(-r * 2.3)z"
    }
    return "<path class=\"\(kind)\" d=\"\(path)\">\(title)</path>"
  }

  enum Shape: CaseIterable {
    case circle
    case square
    case diamond
    case triangle
  }
}

/// Which of the report's colours a model has.
enum ModelTone: String {
  case reference
  case domain
  case language
  case fused

  /// The kind of the model with this name.
  init(model: String) {
    let name = model.lowercased()
    func has(_ words: String...) -> Bool { words.contains { name.contains($0) } }
    if has("popular", "shuffled") || name == "random" {
      self = .reference
    } else if has("fusion", "fused", "hybrid", "lm's reading") {
      self = .fused
    } else if has("gcn", "bpr", "sasrec", "ease", "domain", "recommender") {
      self = .domain
    } else {
      self = .language
    }
  }
}
