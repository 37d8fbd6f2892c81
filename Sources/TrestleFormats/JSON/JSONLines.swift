import Foundation

/// Texts of which each line is a JSON value of its own; empty lines are passed over.
package struct JSONLines: Sendable {
  /// The lines that are not empty.
  private let lines: [ArraySlice<UInt8>]
  /// The number of each, counted from 1 with the empty ones.
  private let numbers: [Int]

  /// Splits a text, without a look at the values.
  package init(_ bytes: [UInt8]) {
    let all = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let kept = all.indices.filter { !all[$0].isEmpty }
    lines = kept.map { all[$0] }
    numbers = kept.map { $0 + 1 }
  }

  /// How many values there are.
  package var count: Int { lines.count }

  /// One value. The bounded parser reads it first, which limits how deep and how large it may be.
  ///
  /// - Parameters:
  ///   - position: the place among the values, from 0.
  ///   - isValid: what else must hold for the value.
  ///   - refused: makes the error of a line that is no such value, of its number and its beginning.
  package func value<Value: Decodable, Failure: Error>(
    _ type: Value.Type = Value.self, at position: Int, isValid: (Value) -> Bool = { _ in true },
    refused: (_ line: Int, _ found: String) -> Failure
  ) throws(Failure) -> Value {
    let line = Data(lines[position])
    guard (try? JSONValue(parsing: String(decoding: line, as: UTF8.self), source: "")) != nil,
      let value = try? JSONDecoder().decode(type, from: line), isValid(value)
    else { throw refused(numbers[position], String(String(decoding: line, as: UTF8.self).prefix(60))) }
    return value
  }

  /// All values, in their order; as ``value(_:at:isValid:refused:)``.
  package func values<Value: Decodable, Failure: Error>(
    _ type: Value.Type = Value.self, isValid: (Value) -> Bool = { _ in true },
    refused: (_ line: Int, _ found: String) -> Failure
  ) throws(Failure) -> [Value] {
    var values: [Value] = []
    values.reserveCapacity(count)
    for position in lines.indices {
      values.append(try value(type, at: position, isValid: isValid, refused: refused))
    }
    return values
  }
}
