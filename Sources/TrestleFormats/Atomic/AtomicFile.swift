import Foundation

/// Replaces a file in one step: readers see the old contents or the new ones, never a part.
///
/// The new contents go to a temporary file in the same folder, which is synced to the disk and renamed onto the
/// target; then the folder is synced. Whatever fails before the renaming, the old file is intact and the temporary file
/// is removed; if only the last sync fails, the new file is there but may not outlast a loss of power. A process that is
/// killed meanwhile leaves the temporary file behind: ``removeLeftovers(in:)`` clears such files.
public enum AtomicFile {
  /// Writes the file at `url` through `body`.
  ///
  /// - Throws: What `body` throws, or ``FormatError/cannotWrite(_:)``.
  public static func write(to url: URL, _ body: (FileWriter) throws -> Void) throws {
    let folder = url.deletingLastPathComponent()
    let temporary = try TemporaryEntry.file(for: url)
    defer { temporary.release() }
    do {
      keepPermissions(of: url, on: temporary.descriptor)
      let writer = FileWriter(descriptor: temporary.descriptor, path: url.path)
      try body(writer)
      try writer.flush()
      guard synchronize(temporary.descriptor) else { throw cannotWrite(url, "contents on the disk") }
    } catch {
      unlink(temporary.path)
      throw error
    }
    guard rename(temporary.path, url.path) == 0 else {
      let error = cannotWrite(url, "a file that can be replaced")
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

  /// Writes a value as JSON, its keys sorted.
  ///
  /// - Parameter isPretty: whether members stand on lines of their own.
  /// - Throws: what encoding throws, or ``FormatError/cannotWrite(_:)``.
  package static func writeJSON(_ value: some Encodable, isPretty: Bool = false, to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = isPretty ? [.sortedKeys, .prettyPrinted] : [.sortedKeys]
    try write(Array(try encoder.encode(value)), to: url)
  }

  /// Writes values as JSON, each on a line, their keys sorted.
  ///
  /// - Throws: what encoding throws, or ``FormatError/cannotWrite(_:)``.
  package static func writeJSONLines(_ values: [some Encodable], to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try write(values.flatMap { Array(try encoder.encode($0)) + [UInt8(ascii: "\n")] }, to: url)
  }

  /// Writes files that belong together into a folder, so that old and new ones never lie beside each other: all are written and
  /// synced first; then the old ones go, and the new ones take their names. Whatever fails before leaves the old ones; a process
  /// that is killed between the last steps leaves a part of the new ones, without the rest.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  package static func write(_ files: [(name: String, bytes: [UInt8])], into folder: URL) throws {
    guard let first = files.first else { return }
    for file in files { try checkDestination(folder.appending(path: file.name)) }
    let temporary = try TemporaryEntry.folder(for: folder.appending(path: first.name))
    defer { temporary.release() }
    let staging = URL(filePath: temporary.path, directoryHint: .isDirectory)
    defer { try? FileManager.default.removeItem(at: staging) }
    for file in files { try write(file.bytes, to: staging.appending(path: file.name)) }
    for file in files {
      let url = folder.appending(path: file.name)
      guard unlink(url.path) == 0 || errno == ENOENT else {
        throw cannotWrite(url, "a file that can be replaced")
      }
    }
    for file in files {
      let url = folder.appending(path: file.name)
      guard rename(staging.appending(path: file.name).path, url.path) == 0 else {
        throw cannotWrite(url, "a place for the file")
      }
    }
    try synchronizeFolder(folder)
  }

  /// Looks whether the file at `url` can be made or replaced, before work is done that ends there.
  ///
  /// - Throws: ``FormatError/cannotWrite(_:)``.
  public static func checkDestination(_ url: URL) throws(FormatError) {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
      throw .cannotWrite(.init(url.path, expected: "a file, or nothing yet", found: "a folder"))
    }
    try AtomicFolder.checkPlace(url.standardizedFileURL.deletingLastPathComponent(), of: url)
  }

  /// Removes the temporary files and folders that writers which no longer run have left in `folder`.
  ///
  /// A writer holds a lock on its temporary file, which ends with it wherever it runs: in another container, or on another
  /// host that shares the disk. What is locked stays, what names a process that runs on this host stays, and so does everything where the file system has no locks.
  ///
  /// - Returns: The names of what was removed, sorted.
  @discardableResult
  public static func removeLeftovers(in folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().filter { name in
      TemporaryEntry.hasEnded(name) && TemporaryEntry.removeUnlessHeld(folder.appending(path: name).path)
    }
  }

  private static func keepPermissions(of url: URL, on descriptor: Int32) {
    var status = stat()
    if stat(url.path, &status) == 0 { fchmod(descriptor, status.st_mode & 0o777) }
  }
}

/// Makes a file's contents durable.
func synchronize(_ descriptor: Int32) -> Bool {
  #if canImport(Darwin)
    // On Apple systems `fsync` leaves the data in the drive's cache.
    if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
  #endif
  return fsync(descriptor) == 0
}

/// Makes renamings in a folder durable. File systems that cannot sync a folder say `EINVAL`, which is no failure.
func synchronizeFolder(_ folder: URL) throws(FormatError) {
  let descriptor = open(folder.path.isEmpty ? "." : folder.path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 || errno == EINVAL else { throw cannotWrite(folder, "a folder on the disk") }
}

/// An error about the last failed call.
func cannotWrite(_ url: URL, _ expected: String) -> FormatError {
  .cannotWrite(.init(url.path, expected: expected, found: systemMessage()))
}
