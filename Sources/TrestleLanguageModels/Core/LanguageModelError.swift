import TrestleFormats

/// What went wrong while a language model was loaded or used: every error of this module.
///
/// Each case carries ``Details``: the file, the place in it, what was expected there and what was found.
public enum LanguageModelError: Error, Equatable, Sendable {
  /// The four facts that every error states.
  public typealias Details = FormatError.Details

  /// A file cannot be read, or breaks its format.
  case format(FormatError)
  /// No model is at the path.
  case noModel(Details)
  /// The architecture, or a variant of it, is not one that this package has.
  case unsupported(Details)
  /// A configuration value is missing, of another type or out of range.
  case configuration(Details)
  /// A tensor that the model needs is not there.
  case missingTensor(Details)
  /// A tensor is there that the model does not know.
  case unknownTensor(Details)
  /// A tensor has another shape or type.
  case wrongShape(Details)
  /// An adapter does not fit the model.
  case adapter(Details)
  /// A request to generate or score cannot be met: a token outside the vocabulary, too long a prompt.
  case request(Details)

  /// The facts of the error, whatever its kind.
  public var details: Details {
    switch self {
    case .format(let error): error.details
    case .noModel(let details), .unsupported(let details), .configuration(let details),
      .missingTensor(let details), .unknownTensor(let details), .wrongShape(let details),
      .adapter(let details), .request(let details):
      details
    }
  }
}

extension LanguageModelError: CustomStringConvertible {
  /// One sentence: file, kind, place, what was expected and what was found.
  public var description: String {
    if case .format(let error) = self { return error.description }
    let path = details.path.isEmpty ? "" : details.path + ": "
    let place = details.place.isEmpty ? "" : " at \(details.place)"
    return PrintableText.message(
      "\(path)\(kind)\(place): expected \(details.expected), found \(details.found).")
  }

  private var kind: String {
    switch self {
    case .format: "malformed"
    case .noModel: "no model"
    case .unsupported: "unsupported"
    case .configuration: "bad configuration"
    case .missingTensor: "missing tensor"
    case .unknownTensor: "unknown tensor"
    case .wrongShape: "wrong shape"
    case .adapter: "bad adapter"
    case .request: "bad request"
    }
  }
}

/// Runs `body`, and passes its ``FormatError`` on as a ``LanguageModelError``.
func reading<Result>(_ body: () throws(FormatError) -> Result) throws(LanguageModelError) -> Result {
  do { return try body() } catch { throw .format(error) }
}
