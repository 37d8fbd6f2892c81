import Foundation
import TrestleFormats

/// Replaces a folder in one step: whoever opens it finds the old files or the new ones.
package enum FolderReplacement {
  /// Makes the folder at `url` anew through `body`, which fills an empty folder beside it.
  ///
  /// - Parameters:
  ///   - url: the folder.
  ///   - marker: a file that an older folder must hold to be replaced: others, and their contents, are left alone.
  ///   - body: fills the folder.
  /// - Throws: what `body` throws, and `FormatError.cannotWrite`; the old folder is intact then.
  package static func write(_ url: URL, marker: String = "manifest.json", _ body: (URL) throws -> Void) throws
  {
    let parent = url.standardizedFileURL.deletingLastPathComponent()
    let tag = "\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
    let fresh = parent.appending(path: ".\(url.lastPathComponent).\(tag).partial")
    let old = try? FileManager.default.contentsOfDirectory(atPath: url.path)
    guard old?.isEmpty ?? !FileManager.default.fileExists(atPath: url.path) || old?.contains(marker) == true
    else {
      throw FormatError.cannotWrite(
        .init(url.path, expected: "a new folder or an older one of the same kind", found: "other files"))
    }
    do {
      try FileManager.default.createDirectory(at: fresh, withIntermediateDirectories: true)
    } catch {
      throw FormatError.cannotWrite(
        .init(url.path, expected: "a folder that can be made", found: error.localizedDescription))
    }
    defer { try? FileManager.default.removeItem(at: fresh) }
    try body(fresh)
    try exchange(fresh, url)
  }

  /// Puts `fresh` in the place of `target`; afterwards `fresh` holds what was there before, or nothing.
  private static func exchange(_ fresh: URL, _ target: URL) throws {
    if !FileManager.default.fileExists(atPath: target.path), rename(fresh.path, target.path) == 0 { return }
    if swap(fresh.path, target.path) { return }
    // File systems that cannot exchange: the old folder moves aside first.
    let aside = fresh.path + ".old"
    guard rename(target.path, aside) == 0 else { throw failure(target) }
    guard rename(fresh.path, target.path) == 0 else {
      let error = failure(target)
      rename(aside, target.path)
      throw error
    }
    try? FileManager.default.removeItem(atPath: aside)
  }

  private static func failure(_ target: URL) -> FormatError {
    .cannotWrite(
      .init(target.path, expected: "a folder that can be replaced", found: String(cString: strerror(errno))))
  }

  /// Exchanges two names in one step; false where the system has no such call.
  private static func swap(_ first: String, _ second: String) -> Bool {
    #if canImport(Darwin)
      return renamex_np(first, second, UInt32(RENAME_SWAP)) == 0
    #else
      // The C library has the call, its Swift module does not show it.
      typealias RenameAt =
        @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
      guard let symbol = dlsym(nil, "renameat2") else { return false }
      let exchanges: UInt32 = 2
      return unsafeBitCast(symbol, to: RenameAt.self)(AT_FDCWD, first, AT_FDCWD, second, exchanges) == 0
    #endif
  }
}
