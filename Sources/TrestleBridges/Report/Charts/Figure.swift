import Foundation

/// How the report spells numbers.
enum Figure {
  /// What stands where there is no figure.
  static let none = "–"

  /// An SVG coordinate, to a tenth; 0 where the value is not finite.
  static func coordinate(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "0" }
    let tenths = Int((value * 10).rounded())
    if tenths % 10 == 0 { return String(tenths / 10) }
    return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
  }

  /// A value with a fixed number of decimals.
  static func decimal(_ value: Double?, _ digits: Int = 4) -> String {
    guard let value, value.isFinite else { return none }
    return String(format: "%.\(digits)f", value)
  }

  /// A whole number with thin spaces between the thousands.
  static func count(_ value: Int) -> String {
    let digits = Array(String(abs(value)))
    var result = value < 0 ? "−" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0, digits.count > 4 { result += "\u{202F}" }
      result.append(digit)
    }
    return result
  }

  /// `p < 0.001` or `p = 0.023`.
  static func pValue(_ value: Double?) -> String? {
    guard let value, value.isFinite else { return nil }
    return value < 0.001 ? "p < 0.001" : "p = \(decimal(value, 3))"
  }

  /// The relative change from `old` to `new`, as `+4.1 %`.
  static func change(from old: Double, to new: Double) -> String? {
    guard old.isFinite, new.isFinite, old > 0 else { return nil }
    let percent = (new / old - 1) * 100
    let sign = percent >= 0.05 ? "+" : percent <= -0.05 ? "−" : "±"
    return "\(sign)\(decimal(abs(percent), 1))\u{202F}%"
  }

  /// A duration as `11 min 4 s`.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return none }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }

  /// The text with its first letter as a capital.
  static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

  /// The first `length` characters, with an ellipsis if there are more.
  static func shortened(_ text: String, to length: Int) -> String {
    text.count <= length ? text : text.prefix(max(length - 1, 1)) + "…"
  }
}
