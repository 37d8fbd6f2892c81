import Foundation

/// A folder that one test fills with files, and that goes with it.
package final class TemporaryFolder {
  /// The folder.
  package let url: URL

  /// Makes an empty folder.
  ///
  /// - Parameter inMemory: whether it lies in memory where there is such a file system, as the thousands of small files of
  ///   mutation tests should, and not on the disk.
  package init(inMemory: Bool = false) throws {
    let memory = URL(filePath: "/dev/shm")
    let base =
      inMemory && FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
    url = base.appending(path: "trestle-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// Writes a file and returns its place.
  @discardableResult
  package func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> URL {
    let file = url.appending(path: name)
    try Data(bytes).write(to: file)
    return file
  }

  /// Writes text as UTF-8.
  @discardableResult
  package func write(_ text: String, to name: String) throws -> URL { try write(text.utf8, to: name) }

  /// The names of what is in the folder, sorted.
  package var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
  }
}
