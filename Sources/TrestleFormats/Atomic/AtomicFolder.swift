import Foundation

/// Replaces a folder in one step: readers see all of the old files or all of the new ones.
///
/// The new files are written to a temporary folder beside the old one and synced to the disk; then both folders change
/// places in one call of the system (`renameat2` with `RENAME_EXCHANGE` on Linux, `renamex_np` with `RENAME_SWAP` on
/// Apple's), and the old one is removed. Whatever fails before, the old folder is as it was.
///
/// ```swift
/// try AtomicFolder.write(to: folder) { new in
///   try model.save(to: new.appending(path: "model.safetensors"))
///   try AtomicFile.write(manifest, to: new.appending(path: "manifest.json"))
/// }
/// ```
///
/// Some file systems cannot exchange (FAT, some network mounts, kernels before 3.15). There the old folder is renamed aside
/// first: a process that is killed between two renamings leaves no folder at the place, and the old files whole in
/// `.NAME.PROCESS-RANDOM.partial` beside it.
public enum AtomicFolder {
  /// Writes the folder at `url` through `body`, which gets an empty folder to fill.
  ///
  /// - Parameters:
  ///   - url: The folder to make or to replace. A link to a folder is followed; the folder it leads to is replaced.
  ///   - marker: A file that a folder with files must hold to be replaced, so that a wrong path does not cost a folder of
  ///     another kind; `nil` replaces any.
  ///   - keepingOthers: Whether files of the old folder that `body` does not write stay in the new one. They are linked,
  ///     not copied; folders inside it do not stay.
  ///   - body: Writes the files.
  /// - Throws: What `body` throws, or ``FormatError/cannotWrite(_:)``.
  public static func write(
    to url: URL, holding marker: String? = nil, keepingOthers: Bool = false, _ body: (URL) throws -> Void
  ) throws {
    let target = URL(filePath: realPath(url.path) ?? url.path, directoryHint: .isDirectory)
    if let marker { try check(target, holds: marker) }
    let temporary = try TemporaryEntry.folder(for: target)
    defer { temporary.release() }
    let fresh = URL(filePath: temporary.path, directoryHint: .isDirectory)
    do {
      keepPermissions(of: target, on: temporary.descriptor)
      try body(fresh)
      if keepingOthers { try linkOthers(from: target, into: fresh) }
      try synchronizeTree(fresh)
      try put(fresh, at: target)
    } catch {
      try? FileManager.default.removeItem(at: fresh)
      throw error
    }
    // The former folder, or nothing if there was none.
    try? FileManager.default.removeItem(at: fresh)
    try synchronizeFolder(target.deletingLastPathComponent())
  }

  /// Looks whether the folder at `url` can be made or replaced, before work is done that ends there.
  ///
  /// - Parameters:
  ///   - url: The folder to make or to replace.
  ///   - marker: As for ``write(to:holding:keepingOthers:_:)``.
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  public static func checkDestination(_ url: URL, holding marker: String? = nil) throws(FormatError) {
    let target = URL(filePath: realPath(url.path) ?? url.path, directoryHint: .isDirectory)
    if let marker { try check(target, holds: marker) }
    try checkPlace(target.standardizedFileURL.deletingLastPathComponent(), of: target)
  }

  /// Looks whether an entry can be made in a folder by making one.
  static func checkPlace(_ parent: URL, of url: URL) throws(FormatError) {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: parent.path, isDirectory: &isFolder)
    guard exists, isFolder.boolValue else {
      throw .cannotWrite(
        .init(
          url.path, expected: "a folder that one may write in",
          found: exists ? "a file at \(parent.path)" : "no folder \(parent.path)"))
    }
    let probe = try TemporaryEntry.file(for: url)
    unlink(probe.path)
    probe.release()
  }

  private static func check(_ target: URL, holds marker: String) throws(FormatError) {
    var status = stat()
    guard lstat(target.path, &status) == 0 else { return }
    let names = try? FileManager.default.contentsOfDirectory(atPath: target.path)
    guard let names, names.isEmpty || names.contains(marker) else {
      throw .cannotWrite(
        .init(
          target.path, expected: "a new folder or an older one of the same kind",
          found: names != nil
            ? "other files" : status.st_mode & S_IFMT == S_IFDIR ? "a folder that cannot be read" : "a file"))
    }
  }

  private static func put(_ fresh: URL, at target: URL) throws(FormatError) {
    var status = stat()
    guard lstat(target.path, &status) == 0 else {
      guard rename(fresh.path, target.path) == 0 else { throw cannotWrite(target, "a place for the folder") }
      return
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .cannotWrite(.init(target.path, expected: "a folder, or nothing yet", found: "a file"))
    }
    switch exchange(fresh.path, target.path) {
    case 0: return
    case ENOSYS, EINVAL, ENOTSUP: try putByTwoRenamings(fresh, at: target)
    case let code:
      errno = code
      throw cannotWrite(target, "a folder that can be replaced")
    }
  }

  /// For file systems that cannot exchange: `fresh` ends as the name of the old folder, as after an exchange.
  package static func putByTwoRenamings(_ fresh: URL, at target: URL) throws(FormatError) {
    let aside = try TemporaryEntry.folder(for: target)
    defer { aside.release() }
    func failure() -> FormatError {
      let error = cannotWrite(target, "a folder that can be replaced")
      rmdir(aside.path)
      return error
    }
    // An empty folder may be replaced by a renaming.
    guard rename(target.path, aside.path) == 0 else { throw failure() }
    guard rename(fresh.path, target.path) == 0 else {
      let error = cannotWrite(target, "a folder that can be replaced")
      rename(aside.path, target.path)
      throw error
    }
    guard rename(aside.path, fresh.path) == 0 else { throw failure() }
  }

  /// Lets two folders change places; the system's error number, 0 for none.
  private static func exchange(_ first: String, _ second: String) -> Int32 {
    #if canImport(Darwin)
      return renamex_np(first, second, UInt32(RENAME_SWAP)) == 0 ? 0 : errno
    #else
      // Looked up at run time: not every C library has it, and Swift's import of glibc leaves it out.
      typealias Renameat2 =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32)
        -> Int32
      guard let symbol = dlsym(nil, "renameat2") else { return ENOSYS }
      let exchanging: UInt32 = 2  // RENAME_EXCHANGE, linux/fs.h
      let call = unsafeBitCast(symbol, to: Renameat2.self)
      return call(AT_FDCWD, first, AT_FDCWD, second, exchanging) == 0 ? 0 : errno
    #endif
  }

  /// Links the files of the old folder that the new one lacks.
  private static func linkOthers(from old: URL, into fresh: URL) throws(FormatError) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: old.path)) ?? []
    for name in names where !TemporaryEntry.isName(name) {
      let (source, copy) = (old.appending(path: name).path, fresh.appending(path: name).path)
      var status = stat()
      guard lstat(source, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { continue }
      guard link(source, copy) == 0 || errno == EEXIST else { throw cannotWrite(fresh, "a link to \(name)") }
    }
  }

  private static func synchronizeTree(_ folder: URL) throws(FormatError) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    for name in names {
      let url = folder.appending(path: name)
      var status = stat()
      guard lstat(url.path, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR {
        try synchronizeTree(url)
      } else if status.st_mode & S_IFMT == S_IFREG {
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw cannotWrite(url, "a file on the disk") }
        defer { close(descriptor) }
        guard synchronize(descriptor) else { throw cannotWrite(url, "a file on the disk") }
      }
    }
    try synchronizeFolder(folder)
  }

  private static func keepPermissions(of url: URL, on descriptor: Int32) {
    var status = stat()
    if stat(url.path, &status) == 0 { fchmod(descriptor, status.st_mode & 0o777) }
  }
}
