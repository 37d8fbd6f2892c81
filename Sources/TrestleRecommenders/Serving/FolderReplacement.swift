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
    try check(url, marker: marker)
    try AtomicFolder.write(to: url, body)
  }

  /// Looks whether the folder at `url` can be made or replaced, before work is done that ends there.
  ///
  /// - Throws: `FormatError.cannotWrite`.
  package static func check(_ url: URL, marker: String = "manifest.json") throws(FormatError) {
    let files = FileManager.default
    let old = try? files.contentsOfDirectory(atPath: url.path)
    guard old?.isEmpty ?? !files.fileExists(atPath: url.path) || old?.contains(marker) == true else {
      throw .cannotWrite(
        .init(url.path, expected: "a new folder or an older one of the same kind", found: "other files"))
    }
    let parent = url.standardizedFileURL.deletingLastPathComponent()
    guard files.isWritableFile(atPath: parent.path) else {
      throw .cannotWrite(
        .init(
          url.path, expected: "a folder that one may write in",
          found: files.fileExists(atPath: parent.path) ? "none" : "no folder \(parent.path)"))
    }
  }
}
