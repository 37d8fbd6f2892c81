import Foundation

/// Executables of the package that are built beside its tests.
package enum TestExecutables {
  /// The executable called `name`, `nil` if it has not been built.
  package static func url(_ name: String) -> URL? {
    var folder = Bundle.main.executableURL?.deletingLastPathComponent()
    // On macOS the tests are a bundle in a bundle.
    for _ in 0..<4 {
      guard let here = folder else { return nil }
      let file = here.appending(path: name)
      if FileManager.default.isExecutableFile(atPath: file.path) { return file }
      folder = here.deletingLastPathComponent()
    }
    return nil
  }
}
