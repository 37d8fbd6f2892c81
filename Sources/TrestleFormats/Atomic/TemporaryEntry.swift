import Foundation

/// A temporary file or folder beside the one that it will replace, locked as long as its writer lives.
struct TemporaryEntry {
  /// Where it is.
  let path: String
  /// The open file or folder, which holds the lock.
  let descriptor: Int32

  private static let suffix = ".partial"
  private static let attempts = 16

  /// A new file for the contents of `url`.
  static func file(for url: URL) throws(FormatError) -> TemporaryEntry {
    try make(for: url) { path in
      // Exclusive: a file or link that somebody planted under this name is refused, not followed.
      open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
    }
  }

  /// A new folder for the contents of `url`.
  static func folder(for url: URL) throws(FormatError) -> TemporaryEntry {
    try make(for: url) { path in
      guard mkdir(path, 0o777) == 0 else { return -1 }
      return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    }
  }

  /// Ends the lock.
  func release() { close(descriptor) }

  private static func make(
    for url: URL, _ create: (String) -> Int32
  ) throws(FormatError) -> TemporaryEntry {
    let folder = url.deletingLastPathComponent()
    for _ in 0..<attempts {
      let path = folder.appending(path: name(for: url.lastPathComponent)).path
      let descriptor = create(path)
      guard descriptor >= 0 else { throw cannotWrite(url, "a new entry in the folder") }
      // Where there are no locks nothing is cleared either.
      _ = flock(descriptor, LOCK_EX | LOCK_NB)
      if isStill(path, descriptor) { return TemporaryEntry(path: path, descriptor: descriptor) }
      // Somebody cleared it between the creation and the lock.
      close(descriptor)
    }
    throw .cannotWrite(.init(url.path, expected: "a new entry in the folder", found: "none that stays"))
  }

  /// Whether `path` is the open file.
  private static func isStill(_ path: String, _ descriptor: Int32) -> Bool {
    var (named, opened) = (stat(), stat())
    guard lstat(path, &named) == 0, fstat(descriptor, &opened) == 0 else { return false }
    return named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
  }

  /// `.NAME.PROCESS-RANDOM.partial`, with the name cut so that the whole fits a folder entry.
  private static func name(for name: String) -> String {
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    let short = String(decoding: name.utf8.prefix(180), as: UTF8.self)
    return ".\(short).\(getpid())-\(random)\(suffix)"
  }

  /// Whether a name is one that ``name(for:)`` gives.
  static func isName(_ name: String) -> Bool { writer(of: name) != nil }

  /// The process in a temporary name, as its own host numbers it; `nil` for other names.
  private static func writer(of name: String) -> pid_t? {
    let bytes = Array(name.utf8)
    guard bytes.first == UInt8(ascii: "."), bytes.count > suffix.utf8.count,
      bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8),
      let tag = bytes.dropLast(suffix.utf8.count).split(separator: UInt8(ascii: ".")).last
    else { return nil }
    let parts = tag.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty,
      let process = pid_t(String(decoding: parts[0], as: UTF8.self)), process > 0
    else { return nil }
    return process
  }

  /// Whether the writer has ended as far as this host can tell.
  static func hasEnded(_ name: String) -> Bool {
    guard let process = writer(of: name) else { return false }
    return kill(process, 0) != 0 && errno == ESRCH
  }

  /// Removes a leftover file or folder, unless a writer still holds it.
  static func removeUnlessHeld(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(path, descriptor) else { return false }
    return (try? FileManager.default.removeItem(atPath: path)) != nil
  }
}
