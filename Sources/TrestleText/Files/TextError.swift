import TrestleFormats

/// An error of this module: what was wrong, where, and what was expected there.
public enum TextError: Error, Equatable, Sendable {
  /// Outside data (a `tokenizer.json`, a GGUF header, a vocabulary) that breaks a rule of its format or
  /// asks for a component this library does not have.
  ///
  /// - `path`: the file, or a name for data that came from elsewhere.
  /// - `place`: the member inside it, as `model.merges[12]`.
  /// - `expected`, `found`: what the rule wants and what is there.
  case invalid(path: String, place: String, expected: String, found: String)
  /// A prompt names a control token that the tokenizer does not have.
  case unknownControlToken(name: String)
  /// A prompt holds a control token id that is negative.
  case invalidControlToken(id: Int32)
  /// A conversation that a chat template has no form for (`place` is the message's index).
  case invalidConversation(template: String, place: Int, expected: String, found: String)
}

extension TextError: CustomStringConvertible {
  /// One line that says what was wrong.
  public var description: String { PrintableText.message(message) }

  private var message: String {
    switch self {
    case .invalid(let path, let place, let expected, let found):
      "\(path): \(place): expected \(expected), found \(found)"
    case .unknownControlToken(let name):
      "the prompt's control token “\(name)” is not one of the tokenizer's"
    case .invalidControlToken(let id):
      "the prompt's control token id \(id) is negative"
    case .invalidConversation(let template, let place, let expected, let found):
      "\(template) chat template: message \(place): expected \(expected), found \(found)"
    }
  }
}

extension TextError {
  /// The error of the reader below, told as this module's.
  init(_ error: FormatError) {
    let details = error.details
    self = .invalid(
      path: details.path, place: details.place.isEmpty ? "the file" : details.place,
      expected: details.expected,
      found: details.found)
  }

  /// Calls a reader and passes its errors on as this module's.
  static func converting<Result>(_ body: () throws(FormatError) -> Result) throws(TextError) -> Result {
    do {
      return try body()
    } catch {
      throw TextError(error)
    }
  }
}

/// Where a piece of outside data came from, to build errors that name it.
struct Source: Sendable {
  let path: String

  func error(_ place: String, expected: String, found: String) -> TextError {
    .invalid(path: path, place: place, expected: expected, found: abbreviated(found))
  }

  /// Hostile files can hold megabytes where a word was expected; messages show the beginning.
  private func abbreviated(_ text: String) -> String {
    let limit = 120
    let start = text.unicodeScalars.prefix(limit + 1)
    return start.count <= limit ? text : String(String.UnicodeScalarView(start.prefix(limit))) + "…"
  }
}
