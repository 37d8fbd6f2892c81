import TrestleFormats

/// What can go wrong when a model or a training state is loaded.
public enum NNError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Where it went wrong, what was expected there and what was found.
  public typealias Details = FormatError.Details

  /// Tensors that the model needs are not there.
  case missing(Details)
  /// There are tensors that the model has no place for.
  case unexpected(Details)
  /// A tensor or setting does not fit the model.
  case mismatch(Details)
  /// A folder or file was not written by this package, or by a newer version of it.
  case foreign(Details)
  /// A checkpoint's files do not belong together or are damaged.
  case torn(Details)

  /// One sentence that says what is wrong and where.
  public var description: String {
    let (kind, details) =
      switch self {
      case .missing(let details): ("missing", details)
      case .unexpected(let details): ("unexpected", details)
      case .mismatch(let details): ("mismatch", details)
      case .foreign(let details): ("foreign", details)
      case .torn(let details): ("torn", details)
      }
    return PrintableText.message(
      "\(details.path): \(kind) at \(details.place): expected \(details.expected), found \(details.found)")
  }
}
