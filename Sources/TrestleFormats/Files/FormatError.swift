/// What went wrong while a file was read or written: every error of this module.
///
/// Each case carries ``Details``: the file, the place in it, what was expected there and what was found.
public enum FormatError: Error, Equatable, Sendable {
  /// The four facts that every error states, of this module and of those above.
  public struct Details: Equatable, Sendable {
    /// The path of the file or folder, or the name that the caller gave to something in memory, which may be empty.
    public let path: String
    /// Where in it: a byte offset, a line and column, a key, a tensor's name. Empty means the whole.
    public let place: String
    /// What is valid at that place.
    public let expected: String
    /// What is there.
    public let found: String

    /// Collects the four facts.
    public init(_ path: String, at place: String = "", expected: String, found: String) {
      self.path = path
      self.place = place
      self.expected = expected
      self.found = found
    }
  }

  /// The file cannot be opened or mapped.
  case cannotRead(Details)
  /// The bytes break a rule of the format.
  case malformed(Details)
  /// A key, a tensor or a file that is needed is not there.
  case missing(Details)
  /// A value is there, but of another type or outside its range.
  case wrongType(Details)
  /// A declared size is above a limit that protects time and memory.
  case limitExceeded(Details)
  /// A key or a name occurs twice.
  case duplicate(Details)
  /// The format allows it, this package does not.
  case unsupported(Details)
  /// A file name that would leave its folder.
  case unsafePath(Details)
  /// The file cannot be written; what was there before is intact.
  case cannotWrite(Details)

  /// The facts of the error, whatever its kind.
  public var details: Details {
    switch self {
    case .cannotRead(let details), .malformed(let details), .missing(let details),
      .wrongType(let details), .limitExceeded(let details), .duplicate(let details),
      .unsupported(let details), .unsafePath(let details), .cannotWrite(let details):
      details
    }
  }
}

extension FormatError: CustomStringConvertible {
  /// One printable sentence: file, kind, place, what was expected and what was found.
  public var description: String {
    let place = details.place.isEmpty ? "" : " at \(printable(details.place))"
    return "\(printable(details.path)): \(kind)\(place): expected \(printable(details.expected)), "
      + "found \(printable(details.found))."
  }

  private func printable(_ text: String) -> String { PrintableText(text).description }

  private var kind: String {
    switch self {
    case .cannotRead: "cannot be read"
    case .malformed: "malformed"
    case .missing: "incomplete"
    case .wrongType: "wrong type or range"
    case .limitExceeded: "limit exceeded"
    case .duplicate: "duplicate"
    case .unsupported: "unsupported"
    case .unsafePath: "unsafe path"
    case .cannotWrite: "cannot be written"
    }
  }
}
