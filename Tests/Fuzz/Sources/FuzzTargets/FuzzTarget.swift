import Foundation
import Trestle

/// A reader or a saved state under test: inputs that it accepts, and what is done with any other.
public struct FuzzTarget {
  /// The name on command lines.
  public let name: String
  /// Inputs that the reader accepts, from which damaged ones are made.
  public let seeds: () throws -> [[UInt8]]
  /// Reads the bytes and uses what comes out. Errors of the package are the expected outcome; any other is rethrown.
  public let run: ([UInt8]) throws -> Void

  init(
    _ name: String, seeds: @escaping () throws -> [[UInt8]], run: @escaping ([UInt8]) throws -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.run = run
  }

  /// All of them. States are made as they are asked for, in a folder of this process.
  public static var all: [FuzzTarget] {
    formats + texts + tables + models + states + sharded + served + clicks + hybrids
  }

  /// The target of a name.
  public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }

  /// Runs one input.
  ///
  /// - Returns: whether it was accepted.
  /// - Throws: an error that is none of the package's.
  public func accepts(_ bytes: [UInt8]) throws -> Bool {
    do {
      try run(bytes)
      return true
    } catch {
      switch error {
      case is FormatError, is TextError, is DataError, is NNError, is LanguageModelError, is BridgeError,
        is TensorError, is ServingError:
        // Error texts are part of what is promised: printable and bounded.
        let text = "\(error)"
        precondition(
          text.unicodeScalars.count < 10_000
            && !text.unicodeScalars.contains { $0.properties.generalCategory == .control },
          "an error text with control characters, or too long")
        return false
      default: throw error
      }
    }
  }
}

/// Folders of this process, in memory where the system has such a disk.
enum Scratch {
  /// The folder of the process.
  static let folder: URL = {
    let memory = URL(filePath: "/dev/shm")
    let base =
      FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
    let folder = base.appending(path: "trestle-fuzz-\(getpid())")
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }()

  /// Writes a file and gives its place.
  static func file(_ name: String, _ bytes: [UInt8]) throws -> URL {
    let url = folder.appending(path: name)
    try Data(bytes).write(to: url)
    return url
  }

  /// A new folder of that name.
  static func subfolder(_ name: String) throws -> URL {
    let url = folder.appending(path: name)
    try? FileManager.default.removeItem(at: url)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
  }

  /// What each file of a folder holds, by name.
  static func files(of folder: URL) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Array(Data(contentsOf: folder.appending(path: name)))
    }
    return files
  }
}

/// Removes what the process has written.
public func removeScratch() { try? FileManager.default.removeItem(at: Scratch.folder) }
