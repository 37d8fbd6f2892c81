import Foundation

/// Whether a path from a file leads to something below its folder: parts between slashes that are neither empty nor dots,
/// without zero bytes and backslashes.
///
/// Paths are looked at byte by byte, as the system does. A `Character` may be a slash with a combining mark, which the
/// system takes for a slash.
package func isPlainPath(_ path: String) -> Bool {
  let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  return parts.allSatisfy { part in
    let isDots = part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8)
    return !part.isEmpty && !isDots && !part.contains(0) && !part.contains(UInt8(ascii: "\\"))
  }
}

/// Whether `path` lies below `folder`; both without links and dots.
func isPath(_ path: String, below folder: String) -> Bool {
  let folder = Array(folder.utf8)
  let prefix = folder.last == UInt8(ascii: "/") ? folder : folder + [UInt8(ascii: "/")]
  return path.utf8.starts(with: prefix)
}

/// `path` without links and dots, `nil` if it does not exist.
func realPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
