/// A column of a file: its values, row by row.
public struct Column: Sendable, Equatable {
  /// What the rows hold.
  public enum Values: Sendable, Equatable {
    /// Whole numbers.
    case integers([Int64])
    /// Floating-point numbers, any of which may be NaN or infinite.
    case numbers([Double])
    /// Truth values.
    case booleans([Bool])
    /// Texts.
    case texts([String])
    /// Lists: where each row's entries begin, with the end of the last behind, and the entries of all rows.
    indirect case lists(starts: [Int], entries: Column)
  }

  /// The column's name.
  public let name: String
  /// What the rows hold; rows without a value hold something arbitrary.
  public let values: Values
  /// Whether each row has no value; empty if all have one.
  public let isAbsent: [Bool]

  /// A column.
  ///
  /// - Precondition: `isAbsent` is empty or has an element for each row.
  public init(name: String, values: Values, isAbsent: [Bool] = []) {
    (self.name, self.values, self.isAbsent) = (name, values, isAbsent)
    precondition(
      isAbsent.isEmpty || isAbsent.count == count, "Column: \(isAbsent.count) marks of \(count) rows")
  }

  /// The number of rows.
  public var count: Int {
    switch values {
    case .integers(let values): values.count
    case .numbers(let values): values.count
    case .booleans(let values): values.count
    case .texts(let values): values.count
    case .lists(let starts, _): starts.count - 1
    }
  }

  /// What the column holds, in words.
  public var kind: String {
    switch values {
    case .integers: "whole numbers"
    case .numbers: "numbers"
    case .booleans: "truth values"
    case .texts: "texts"
    case .lists(_, let entries): "lists of \(entries.kind)"
    }
  }

  /// Some of the rows; of lists only whole ones.
  func sliced(_ range: Range<Int>) -> Column {
    let absent = isAbsent.isEmpty ? [] : Array(isAbsent[range])
    let part: Values =
      switch values {
      case .integers(let values): .integers(Array(values[range]))
      case .numbers(let values): .numbers(Array(values[range]))
      case .booleans(let values): .booleans(Array(values[range]))
      case .texts(let values): .texts(Array(values[range]))
      case .lists(let starts, let entries):
        .lists(
          starts: starts[range.lowerBound...range.upperBound].map { $0 - starts[range.lowerBound] },
          entries: entries.sliced(starts[range.lowerBound]..<starts[range.upperBound]))
      }
    return Column(name: name, values: part, isAbsent: absent)
  }

  /// Columns of one kind, one after the other.
  static func joined(_ parts: [Column]) -> Column? {
    guard let first = parts.first else { return nil }
    guard parts.count > 1 else { return first }
    let isAbsent =
      parts.allSatisfy(\.isAbsent.isEmpty)
      ? []
      : parts.flatMap { part in
        part.isAbsent.isEmpty ? [Bool](repeating: false, count: part.count) : part.isAbsent
      }
    return Column(name: first.name, values: joinedValues(parts, like: first.values), isAbsent: isAbsent)
  }

  private static func joinedValues(_ parts: [Column], like first: Values) -> Values {
    switch first {
    case .integers:
      return .integers(parts.flatMap { if case .integers(let own) = $0.values { own } else { [Int64]() } })
    case .numbers:
      return .numbers(parts.flatMap { if case .numbers(let own) = $0.values { own } else { [Double]() } })
    case .booleans:
      return .booleans(parts.flatMap { if case .booleans(let own) = $0.values { own } else { [Bool]() } })
    case .texts:
      return .texts(parts.flatMap { if case .texts(let own) = $0.values { own } else { [String]() } })
    case .lists(_, let entries):
      var starts = [0]
      var all: [Column] = []
      for part in parts {
        guard case .lists(let own, let entries) = part.values else { continue }
        let shift = starts.last ?? 0
        starts += own.dropFirst().map { $0 + shift }
        all.append(entries)
      }
      return .lists(starts: starts, entries: joined(all) ?? entries)
    }
  }
}
