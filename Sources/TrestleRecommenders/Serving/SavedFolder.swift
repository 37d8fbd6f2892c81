import Foundation
import TrestleFormats
import TrestleTensor

/// Reads the files of a folder that a manifest vouches for.
package struct SavedFolder {
  /// The folder.
  package let url: URL

  /// A folder.
  package init(_ url: URL) { self.url = url }

  /// Reads what belongs together: once more if the folder was exchanged meanwhile, were it for one with the same manifest.
  ///
  /// - Throws: what `body` throws while the manifest stays the same file.
  package func whole<Value>(_ manifest: String, _ body: (SavedFolder) throws -> Value) throws -> Value {
    while true {
      let before = identity(of: manifest)
      do {
        return try body(self)
      } catch {
        if before == identity(of: manifest) { throw error }
      }
    }
  }

  /// What tells a file from another that has taken its name; `nil` if there is none.
  private func identity(of name: String) -> FileIdentity? {
    let path = url.appending(path: name).path
    guard let found = try? FileManager.default.attributesOfItem(atPath: path) else { return nil }
    return FileIdentity(
      number: found[.systemFileNumber] as? AnyHashable, modified: found[.modificationDate] as? Date)
  }

  private struct FileIdentity: Equatable {
    let number: AnyHashable?
    let modified: Date?
  }

  /// The SHA-256 of a file.
  package static func hash(_ url: URL) throws -> String {
    let file = try MappedFile(url)
    var hash = SHA256()
    hash.update(file.bytes)
    return withExtendedLifetime(file) { hash.hexadecimal() }
  }

  /// An error about a file of the folder.
  package func invalid(_ file: String, _ place: String, expected: String, found: String) -> ServingError {
    .invalidState(path: url.appending(path: file).path, place: place, expected: expected, found: found)
  }

  /// The manifest.
  package func manifest<Manifest: Decodable>(_ type: Manifest.Type, named name: String, what: String) throws
    -> Manifest
  {
    let file = url.appending(path: name)
    guard FileManager.default.fileExists(atPath: file.path) else {
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
      throw ServingError.invalidState(
        path: url.path, place: "", expected: "the folder of \(what)",
        found: !exists ? "nothing there" : isFolder.boolValue ? "a folder without \(name)" : "a file")
    }
    let bytes = try [UInt8](contentsOf: file, limit: JSONLimits().byteCount)
    guard let manifest = try? JSONDecoder().decode(type, from: Data(bytes)) else {
      throw invalid(name, "", expected: "the manifest of \(what)", found: "something else")
    }
    return manifest
  }

  /// A file whose hash the manifest has.
  package func verified(_ name: String, _ files: [String: String]) throws -> URL {
    let file = url.appending(path: name)
    guard let expected = files[name] else {
      throw invalid("manifest.json", "files", expected: "the hash of \(name)", found: "none")
    }
    let found = try Self.hash(file)
    guard found == expected else { throw invalid(name, "SHA-256", expected: expected, found: found) }
    return file
  }

  /// A JSON file, which should hold `what`.
  package func decode<Value: Decodable>(
    _ type: Value.Type, _ name: String, _ files: [String: String], what: String = "ids and titles"
  ) throws -> Value {
    let bytes = try [UInt8](contentsOf: verified(name, files), limit: 4 << 30)
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw invalid(name, "", expected: what, found: "something else")
    }
  }

  /// The tensors of a safetensors file, copied into memory.
  package func tensors(_ name: String, _ files: [String: String]) throws -> [String: Tensor] {
    let file = try SafetensorsFile(verified(name, files), access: .copied)
    var tensors: [String: Tensor] = [:]
    for name in file.names { tensors[name] = try file.tensor(name).copied() }
    return tensors
  }

  /// A tensor of a given shape and type.
  package func tensor(
    _ tensors: [String: Tensor], _ name: String, _ shape: Shape, _ dtype: DType, _ file: String
  ) throws -> Tensor {
    guard let tensor = tensors[name], tensor.shape == shape, tensor.dtype == dtype else {
      let found = tensors[name].map { "\($0.dtype) \($0.shape)" } ?? "none"
      throw invalid(file, name, expected: "\(dtype) \(shape)", found: found)
    }
    return tensor
  }

  /// What each user has had, from `offsets` and `items`.
  package func histories(
    _ tensors: [String: Tensor], _ file: String, _ counts: (users: Int, items: Int)
  ) throws -> UserHistories {
    let offsets = try tensor(tensors, "offsets", [counts.users + 1], .int32, file).scalars(as: Int32.self)
    let total = max(Int(offsets.last ?? 0), 0)
    let items = try tensor(tensors, "items", [total], .int32, file).scalars(as: Int32.self)
    guard offsets.first == 0, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 }),
      items.allSatisfy({ $0 >= 0 && Int($0) < counts.items })
    else { throw invalid(file, "offsets, items", expected: "the items of each user", found: "other numbers") }
    return UserHistories(starts: offsets.map(Int.init), items: items, itemCount: counts.items)
  }
}
