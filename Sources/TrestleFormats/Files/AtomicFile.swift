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

/// Replaces a file in one step: readers see the old contents or the new ones, never a part.
///
/// The new contents go to a temporary file in the same folder, which is synced to the disk and renamed onto the
/// target; then the folder is synced. Whatever fails before the renaming, the old file is intact and the temporary file
/// is removed; if only the last sync fails, the new file is there but may not outlast a loss of power. A process that is killed meanwhile leaves the temporary file behind: ``removeLeftovers(in:)`` clears such files.
public enum AtomicFile {
  private static let suffix = ".partial"

  /// Writes the file at `url` through `body`.
  ///
  /// - Throws: What `body` throws, or ``FormatError/cannotWrite(_:)``.
  public static func write(to url: URL, _ body: (FileWriter) throws -> Void) throws {
    let folder = url.deletingLastPathComponent()
    let temporary = folder.appending(path: temporaryName(for: url.lastPathComponent))
    // Exclusive: a file or link that somebody planted under this name is refused, not followed.
    let descriptor = open(temporary.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw failure(url, "a new file in the folder") }
    do {
      defer { close(descriptor) }
      keepPermissions(of: url, on: descriptor)
      let writer = FileWriter(descriptor: descriptor, path: url.path)
      try body(writer)
      try writer.flush()
      guard synchronize(descriptor) else { throw failure(url, "contents on the disk") }
    } catch {
      unlink(temporary.path)
      throw error
    }
    guard rename(temporary.path, url.path) == 0 else {
      let error = failure(url, "a file that can be replaced")
      unlink(temporary.path)
      throw error
    }
    try synchronizeFolder(folder)
  }

  /// Writes `bytes` as the file at `url`.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  public static func write(_ bytes: [UInt8], to url: URL) throws {
    try write(to: url) { writer in try writer.write(bytes) }
  }

  /// Removes the temporary files that processes which no longer run have left in `folder`.
  ///
  /// - Returns: The names of the removed files, sorted.
  @discardableResult
  public static func removeLeftovers(in folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().filter { name in
      guard let process = writingProcess(of: name), kill(process, 0) != 0, errno == ESRCH else {
        return false
      }
      return unlink(folder.appending(path: name).path) == 0
    }
  }

  /// `.NAME.PROCESS-RANDOM.partial`, with the name cut so that the whole fits a folder entry.
  private static func temporaryName(for name: String) -> String {
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    let short = String(decoding: name.utf8.prefix(180), as: UTF8.self)
    return ".\(short).\(getpid())-\(random)\(suffix)"
  }

  /// The process in a temporary file's name, `nil` for other names.
  private static func writingProcess(of name: String) -> pid_t? {
    guard name.hasPrefix("."), name.hasSuffix(suffix),
      let tag = name.dropLast(suffix.count).split(separator: ".").last
    else { return nil }
    let parts = tag.split(separator: "-")
    guard parts.count == 2, let process = pid_t(parts[0]), process > 0 else { return nil }
    return process
  }

  private static func keepPermissions(of url: URL, on descriptor: Int32) {
    var status = stat()
    if stat(url.path, &status) == 0 { fchmod(descriptor, status.st_mode & 0o777) }
  }

  private static func synchronize(_ descriptor: Int32) -> Bool {
    #if canImport(Darwin)
      // On Apple systems `fsync` leaves the data in the drive's cache.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
    #endif
    return fsync(descriptor) == 0
  }

  /// Makes the renaming itself durable. File systems that cannot sync a folder say `EINVAL`, which is no failure.
  private static func synchronizeFolder(_ folder: URL) throws(FormatError) {
    let descriptor = open(folder.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(folder, "a folder on the disk") }
  }

  private static func failure(_ url: URL, _ expected: String) -> FormatError {
    .cannotWrite(.init(url.path, expected: expected, found: systemMessage()))
  }
}
