import TrestleFormats

/// What can go wrong when a trained recommender is loaded or asked.
public enum ServingError: Error, Sendable, Equatable {
  /// Nobody has this id. `examples` are ids that there are.
  case unknownUser(id: String, count: Int, examples: [String])
  /// No item has this id, or this title. `examples` are near or at least real ones.
  case unknownItem(id: String, count: Int, examples: [String])
  /// A request that makes no sense, such as one without liked items.
  case invalidRequest(expected: String, found: String)
  /// A folder does not hold what it should.
  case invalidState(path: String, place: String, expected: String, found: String)
  /// The model was fitted on other data than it is asked about.
  case otherData(expected: String, found: String)
}

extension ServingError: CustomStringConvertible {
  /// One sentence that says what is wrong, and what there is.
  public var description: String { PrintableText.message(message) }

  private var message: String {
    switch self {
    case .unknownUser(let id, let count, let examples):
      "no user has the id '\(id)'; the \(count) users have ids like \(examples.joined(separator: ", "))"
    case .unknownItem(let id, let count, let examples):
      "none of the \(count) items is '\(id)'; there are \(examples.joined(separator: ", "))"
    case .invalidRequest(let expected, let found): "expected \(expected), found \(found)"
    case .invalidState(let path, let place, let expected, let found):
      "\(path)\(place.isEmpty ? "" : " at \(place)"): expected \(expected), found \(found)"
    case .otherData(let expected, let found): "expected \(expected), found \(found)"
    }
  }
}
