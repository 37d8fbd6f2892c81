import Foundation

extension SearchRecord {
  /// Of the lines that a search of a model left in a file, the one of the highest value.
  ///
  /// - Parameters:
  ///   - kind: the model; lines of others may stand beside.
  ///   - file: where a ``HyperparameterSearch`` kept its trials.
  /// - Throws: ``DataError`` for a file that cannot be read, a line that is no trial's, or none of this model.
  package static func best(of kind: ModelKind, in file: URL) throws(DataError) -> SearchRecord {
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw .unreadable(path: file.path, reason: "No such file")
    }
    let records = try SearchLog(file).records
    let own = records.filter { $0.model == kind.name && $0.measured != nil }
    guard let best = own.max(by: { ($0.measured?.value ?? 0) < ($1.measured?.value ?? 0) }) else {
      let others = Set(records.map(\.model)).sorted().joined(separator: ", ")
      throw .malformed(
        path: file.path, line: 1, column: 1,
        expected: "a line of \(kind.name), as compare --search N --tried FILE writes it",
        found: others.isEmpty ? "none" : "lines of \(others)")
    }
    return best
  }
}
