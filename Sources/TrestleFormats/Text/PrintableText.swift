/// Text from outside as it may stand in a message: on one line, without terminal codes, and of bounded length.
///
/// Names, titles and values from files may hold line breaks, escape sequences that a terminal obeys, or characters that
/// turn the direction of writing. Every error text of the package passes through here: control and format characters
/// and the separators of lines and paragraphs are written as escapes (`\u{1B}`), and what exceeds the limit is cut.
public struct PrintableText: CustomStringConvertible, Sendable {
  /// The text to print.
  public let description: String

  /// Escapes `text`, of which at most `limit` characters (Unicode scalars) are kept.
  public init(_ text: String, limit: Int = 1000) {
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
      guard count < limit else {
        result += "…"
        break
      }
      count += 1
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: result += scalar.escaped(asASCII: true)
      default: result.unicodeScalars.append(scalar)
      }
    }
    description = result
  }

  /// A whole message, which may hold several such texts.
  public static func message(_ text: String) -> String { PrintableText(text, limit: 4000).description }
}
