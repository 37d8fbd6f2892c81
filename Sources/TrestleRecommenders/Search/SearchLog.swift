import Foundation
import TrestleFormats

/// The file of trials: a line of JSON for each rung of each trial, of any number of searches.
struct SearchLog {
  private let file: URL?
  private(set) var records: [SearchRecord] = []

  /// What is in the file; nothing if there is none, or no file is given.
  ///
  /// - Throws: ``DataError`` for a file that cannot be read or a line that is no trial's.
  init(_ file: URL?) throws(DataError) {
    self.file = file
    guard let file, FileManager.default.fileExists(atPath: file.path) else { return }
    let text: [UInt8]
    do { text = try [UInt8](contentsOf: file, limit: 4 << 30) } catch {
      throw .unreadable(path: file.path, reason: "\(error)")
    }
    records = try JSONLines(text).values(isValid: \.isValid) { line, found in
      DataError.malformed(
        path: file.path, line: line, column: 1, expected: "a line of a search", found: found)
    }
  }

  /// Adds a record, and writes the file at once: killed at any moment, it holds the former lines or the new ones.
  mutating func add(_ record: SearchRecord) throws {
    records.append(record)
    guard let file else { return }
    try AtomicFile.writeJSONLines(records, to: file)
  }
}

extension SearchRecord {
  /// Whether a search can have left the record.
  var isValid: Bool {
    let epochs = [measured?.epochs, measured?.bestEpoch].compactMap { $0 }
    return trial >= 0 && rung >= 0 && rung < 64 && seconds >= 0 && seconds.isFinite
      && (measured == nil) != (failure == nil) && measured?.value.isFinite ?? true
      && settings.values.allSatisfy(\.isFinite) && epochs.allSatisfy { (0...Int(Int32.max)).contains($0) }
  }
}
