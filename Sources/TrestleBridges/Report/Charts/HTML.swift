/// A piece of HTML or SVG.
///
/// Interpolated text is escaped, because titles and names come from outside; only another `HTML` goes in as it is:
/// `let cell: HTML = "<td>\(title)</td>"`.
struct HTML: ExpressibleByStringInterpolation {
  /// The markup.
  private(set) var text: String

  init(stringLiteral value: String) { text = value }
  init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }
  init(_ pieces: [HTML], separator: String = "\n") {
    text = pieces.map(\.text).joined(separator: separator)
  }

  static func + (left: HTML, right: HTML) -> HTML {
    var result = left
    result += right
    return result
  }

  static func += (left: inout HTML, right: HTML) { left.text += right.text }

  struct StringInterpolation: StringInterpolationProtocol {
    var text = ""

    init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity * 2) }

    mutating func appendLiteral(_ literal: String) { text += literal }
    mutating func appendInterpolation(_ html: HTML) { text += html.text }
    mutating func appendInterpolation(_ pieces: [HTML]) { for piece in pieces { text += piece.text } }
    mutating func appendInterpolation(_ outside: String) { text += HTML.escaped(outside) }
    mutating func appendInterpolation(_ number: Int) { text += String(number) }
    /// A coordinate, to a tenth.
    mutating func appendInterpolation(_ coordinate: Double) { text += Figure.coordinate(coordinate) }
  }

  /// `outside` as text for an element or a quoted attribute.
  ///
  /// Control characters, which HTML forbids, become U+FFFD; the marks that reorder the text around them are dropped.
  static func escaped(_ outside: String) -> String {
    var result = ""
    result.reserveCapacity(outside.utf8.count + 8)
    for scalar in outside.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t", "\r": result += " "
      case "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": continue
      case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
