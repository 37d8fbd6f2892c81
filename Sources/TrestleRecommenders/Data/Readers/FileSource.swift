import Foundation
import TrestleFormats

/// A regular file that is read block by block; pipes and devices are refused. Closed when the last holder goes.
final class FileSource {
  /// The file's size when it was opened.
  let size: Int
  private let descriptor: Int32
  private let path: String
  private static let blockSize = 4 << 20

  /// Opens the file at `path`.
  ///
  /// - Throws: ``DataError/unreadable(path:reason:)``.
  init(_ path: String) throws(DataError) {
    switch openRegularFile(path) {
    case .opened(let descriptor, let size):
      (self.descriptor, self.size, self.path) = (descriptor, size, path)
    case .refused(let reason):
      throw .unreadable(path: path, reason: reason)
    }
  }

  deinit { close(descriptor) }

  /// Appends the next block to `buffer` and returns its length, 0 at the end of the file.
  func read(appendingTo buffer: inout [UInt8]) throws(DataError) -> Int {
    let start = buffer.count
    // A file that grows while it is read is read to its end; a short one needs no large block.
    buffer.append(contentsOf: repeatElement(0, count: min(Self.blockSize, max(size, 4096))))
    while true {
      let count = buffer.withUnsafeMutableBytes { bytes in
        Foundation.read(descriptor, bytes.baseAddress.map { $0 + start }, bytes.count - start)
      }
      if count >= 0 {
        buffer.removeLast(buffer.count - start - count)
        return count
      }
      guard errno == EINTR else {
        let reason = String(cString: strerror(errno))
        buffer.removeLast(buffer.count - start)
        throw .unreadable(path: path, reason: reason)
      }
    }
  }
}
