import Foundation

/// A folder that a test fills with files and that goes with it.
final class TemporaryFolder {
  let url: URL

  init() throws {
    // The thousands of small files of the mutation tests belong in memory, where there is such a file system.
    let memory = URL(filePath: "/dev/shm")
    let base =
      FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
    url = base.appending(path: "trestle-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// Writes a file and returns its place.
  @discardableResult
  func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> URL {
    let file = url.appending(path: name)
    try Data(bytes).write(to: file)
    return file
  }

  /// Writes text as UTF-8.
  @discardableResult
  func write(_ text: String, to name: String) throws -> URL { try write(text.utf8, to: name) }
}
