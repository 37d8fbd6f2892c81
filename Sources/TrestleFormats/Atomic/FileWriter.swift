import Foundation

/// Writes one file in order, through a small buffer. Made by ``AtomicFile``.
public final class FileWriter {
  /// The place of the file that is written, for errors.
  private let path: String
  package let descriptor: Int32
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 16
  /// The number of bytes written so far.
  public private(set) var count = 0

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
    buffer.reserveCapacity(Self.bufferSize)
  }

  /// Appends `bytes`; large pieces go to the file without a copy.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``, for example when the disk is full.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count > Self.bufferSize {
      try writeThrough(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
    count += bytes.count
  }

  /// Appends `bytes`.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  public func write(_ bytes: [UInt8]) throws(FormatError) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(FormatError) in try write(bytes) }
    }
    try result.get()
  }

  /// Appends the UTF-8 of `text`.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  public func write(_ text: String) throws(FormatError) { try write(Array(text.utf8)) }

  /// Hands everything written so far to the system.
  package func flush() throws(FormatError) {
    let pending = buffer
    buffer.removeAll(keepingCapacity: true)
    let result = pending.withUnsafeBytes { bytes in
      Result { () throws(FormatError) in try writeThrough(bytes) }
    }
    try result.get()
  }

  private func writeThrough(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
    var offset = 0
    while offset < bytes.count {
      guard let start = bytes.baseAddress else { return }
      let written = Foundation.write(descriptor, start + offset, bytes.count - offset)
      if written > 0 {
        offset += written
      } else if written == 0 || errno != EINTR {
        throw .cannotWrite(
          .init(
            path, at: "byte \(count + offset)", expected: "room for \(bytes.count - offset) bytes",
            found: systemMessage()))
      }
    }
  }
}
