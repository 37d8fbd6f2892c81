import Foundation

/// A regular file in memory for reading; tensors are views over it and keep it alive.
///
/// By default the file is mapped, privately and read-only: the operating system loads pages on first use, so opening
/// costs the same for a file of one megabyte and of one hundred gigabytes.
///
/// - Warning: A file that another process truncates while it is mapped makes later reads of the lost pages fail
///   with `SIGBUS`. ``AtomicFile`` never does that: it replaces files, and the old contents stay mapped. Where others may
///   write to the file, open it with ``Access/copied``.
public final class MappedFile: @unchecked Sendable {
  // Safety of `@unchecked Sendable`: all properties are `let`; the memory is mapped `PROT_READ`, so no thread can
  // write to it through this process; it is unmapped in `deinit` only, when no reference is left.

  /// How a file comes into memory.
  public enum Access: Sendable {
    /// Mapped: at once, without a copy, for files that nobody shortens meanwhile.
    case mapped
    /// Read in full at the opening: whatever happens to the file afterwards, the bytes stay.
    case copied
  }

  /// Where the file was opened.
  public let url: URL
  /// The whole file. Valid as long as this object lives; hold the object, or use ``MappedBytes``.
  public let bytes: UnsafeRawBufferPointer

  /// The file's path, as it appears in errors.
  public var path: String { url.path }
  /// The file's size in bytes.
  public var count: Int { bytes.count }

  /// Opens the file at `url`. An empty file is valid and has no bytes.
  ///
  /// - Parameters:
  ///   - url: The file; a pipe, a device or a folder is refused.
  ///   - access: Whether the file is mapped or copied.
  /// - Throws: ``FormatError/cannotRead(_:)`` if there is no such file, if it is a folder or another special file,
  ///   if the system refuses, or if a file that is copied is cut off meanwhile.
  public init(_ url: URL, access: Access = .mapped) throws(FormatError) {
    func failure(_ found: String) -> FormatError {
      .cannotRead(.init(url.path, expected: "a readable regular file", found: found))
    }
    let descriptor: Int32
    let size: Int
    switch openRegularFile(url.path) {
    case .opened(let opened, let count): (descriptor, size) = (opened, count)
    case .refused(let reason): throw failure(reason)
    }
    defer { close(descriptor) }
    self.url = url
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    switch access {
    case .mapped:
      guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
        throw failure(systemMessage())
      }
      bytes = UnsafeRawBufferPointer(start: base, count: size)
    case .copied:
      let pages = PROT_READ | PROT_WRITE
      guard let base = mmap(nil, size, pages, MAP_PRIVATE | mapAnonymous, -1, 0), base != MAP_FAILED else {
        throw .cannotRead(.init(url.path, expected: "memory for \(size) bytes", found: systemMessage()))
      }
      guard let reason = readAll(descriptor, into: UnsafeMutableRawBufferPointer(start: base, count: size))
      else {
        mprotect(base, size, PROT_READ)
        bytes = UnsafeRawBufferPointer(start: base, count: size)
        return
      }
      munmap(base, size)
      throw failure(reason)
    }
  }

  /// Copies bytes that are in memory already, so that the readers of this module take them for a file.
  ///
  /// - Parameters:
  ///   - bytes: The contents.
  ///   - name: What errors call them.
  /// - Throws: ``FormatError/cannotRead(_:)`` if the memory cannot be had.
  public init(copying bytes: [UInt8], name: String) throws(FormatError) {
    url = URL(filePath: name)
    guard !bytes.isEmpty else {
      self.bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let access = PROT_READ | PROT_WRITE
    guard let base = mmap(nil, bytes.count, access, MAP_PRIVATE | mapAnonymous, -1, 0), base != MAP_FAILED
    else {
      throw .cannotRead(.init(name, expected: "memory for \(bytes.count) bytes", found: systemMessage()))
    }
    bytes.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: base, count: bytes.count).copyMemory(from: $0)
    }
    mprotect(base, bytes.count, PROT_READ)
    self.bytes = UnsafeRawBufferPointer(start: base, count: bytes.count)
  }

  deinit {
    if let base = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }

  /// The bytes `offset ..< offset + count`, together with the mapping that they need.
  ///
  /// - Throws: ``FormatError/malformed(_:)`` if they do not lie inside the file.
  public func slice(offset: Int, count: Int, place: String = "") throws(FormatError) -> MappedBytes {
    guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
      throw .malformed(
        .init(
          path, at: place, expected: "bytes inside the file of \(bytes.count) bytes",
          found: "\(count) bytes from offset \(offset)"))
    }
    return MappedBytes(file: self, range: offset..<(offset + count))
  }

  /// Tells the system that the whole file will be needed soon, so that it reads ahead.
  public func prefetch() {
    if let base = bytes.baseAddress {
      _ = madvise(UnsafeMutableRawPointer(mutating: base), bytes.count, Int32(MADV_WILLNEED))
    }
  }
}

/// A range of a mapped file that keeps the mapping alive.
public struct MappedBytes: Sendable {
  /// The mapping; a view over the bytes retains it.
  public let file: MappedFile
  /// The range within the file. It always lies inside the file.
  public let range: Range<Int>

  /// The caller has checked that the range lies inside the file.
  init(file: MappedFile, range: Range<Int>) {
    self.file = file
    self.range = range
  }

  /// The number of bytes.
  public var count: Int { range.count }

  /// The bytes themselves, valid as long as ``file`` lives. They may be unaligned for their element type.
  public var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[range]) }

  /// Calls `body` with the bytes while the mapping is held.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withExtendedLifetime(file) { () throws(Failure) -> Result in try body(buffer) }
  }
}

#if canImport(Darwin)
  private let mapAnonymous = MAP_ANON
#else
  private let mapAnonymous = MAP_ANONYMOUS
#endif

/// Fills `buffer` from the start of an open file; the reason if that fails.
private func readAll(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> String? {
  var offset = 0
  while offset < buffer.count, let base = buffer.baseAddress {
    let count = pread(descriptor, base + offset, buffer.count - offset, off_t(offset))
    if count > 0 {
      offset += count
    } else if count == 0 {
      return "a file that was cut off at byte \(offset) of \(buffer.count) while it was read"
    } else if errno != EINTR {
      return systemMessage()
    }
  }
  return nil
}

/// What came of opening a file for reading.
package enum OpenedFile {
  /// An open descriptor, which the caller closes, and the file's size.
  case opened(Int32, size: Int)
  /// Why there is none.
  case refused(String)
}

/// Opens a regular file for reading. Everything else is refused without being waited for: pipes, devices, folders.
package func openRegularFile(_ path: String) -> OpenedFile {
  guard !path.utf8.contains(0) else { return .refused("a path with a zero byte") }
  // Non-blocking, so that a named pipe is refused below rather than waited for.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { return .refused(systemMessage()) }
  var status = stat()
  var reason: String?
  if fstat(descriptor, &status) != 0 {
    reason = systemMessage()
  } else if status.st_mode & S_IFMT == S_IFDIR {
    reason = "a folder"
  } else if status.st_mode & S_IFMT != S_IFREG {
    reason = "a special file"
  } else if status.st_size < 0 {
    reason = "size \(status.st_size)"
  }
  if let reason {
    close(descriptor)
    return .refused(reason)
  }
  return .opened(descriptor, size: Int(status.st_size))
}

extension [UInt8] {
  /// The bytes of a regular file of at most `limit` bytes.
  ///
  /// - Throws: ``FormatError/cannotRead(_:)``, ``FormatError/limitExceeded(_:)``.
  package init(contentsOf url: URL, limit: Int) throws(FormatError) {
    // Before anything is copied, and again in case it has grown since.
    if case .opened(let descriptor, let size) = openRegularFile(url.path) {
      close(descriptor)
      try Self.check(size, limit, url)
    }
    let file = try MappedFile(url, access: .copied)
    try Self.check(file.count, limit, url)
    self = withExtendedLifetime(file) { [UInt8](file.bytes) }
  }

  private static func check(_ size: Int, _ limit: Int, _ url: URL) throws(FormatError) {
    guard size <= limit else {
      throw .limitExceeded(.init(url.path, expected: "at most \(limit) bytes", found: "\(size)"))
    }
  }
}

/// The system's words for the last failed call.
func systemMessage() -> String { String(cString: strerror(errno)) }
