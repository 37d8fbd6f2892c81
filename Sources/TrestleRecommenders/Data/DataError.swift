import TrestleFormats

/// What can go wrong with recommendation data that comes from outside the program.
///
/// Every case names the file or the data, the place, what was expected and what was found.
public enum DataError: Error, Sendable, Equatable {
  /// The file cannot be opened or read.
  case unreadable(path: String, reason: String)
  /// A line does not hold what its format asks for. Lines and columns count from 1; the column is the byte within
  /// the line at which the offending field starts.
  case malformed(path: String, line: Int, column: Int, expected: String, found: String)
  /// A file lacks a column that is needed.
  case missingColumn(path: String, expected: String, found: [String])
  /// The data holds more rows, users or items than the 32-bit ids can name.
  case tooLarge(path: String, expected: String, found: String)
  /// An operation needs a column that the interactions do not have.
  case missingField(operation: String, expected: String)
  /// A parameter of a filter, a split or a world lies outside its domain.
  case invalidParameter(operation: String, expected: String, found: String)
  /// A model gave a score that is not a number.
  case notANumber(operation: String, user: Int, item: Int)
}

extension DataError: CustomStringConvertible {
  /// The message for people: `ml-100k.inter:17:9: expected a number, found "abc"`.
  public var description: String { PrintableText.message(message) }

  private var message: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path): cannot be read: \(reason)"
    case .malformed(let path, let line, let column, let expected, let found):
      "\(path):\(line):\(column): expected \(expected), found \(found)"
    case .missingColumn(let path, let expected, let found):
      "\(path):1:1: expected \(expected), found the columns \(found.prefix(100).joined(separator: ", "))"
    case .tooLarge(let path, let expected, let found):
      "\(path): expected \(expected), found \(found)"
    case .missingField(let operation, let expected):
      "\(operation): expected \(expected), found none"
    case .invalidParameter(let operation, let expected, let found):
      "\(operation): expected \(expected), found \(found)"
    case .notANumber(let operation, let user, let item):
      "\(operation): expected a score, found NaN for user \(user) and item \(item)"
    }
  }
}
