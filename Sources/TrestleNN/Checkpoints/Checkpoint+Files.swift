import Foundation
import TrestleFormats
import TrestleTensor

extension Checkpoint {
  /// A tensor of the given shape and type, copied out of the file.
  static func tensor(
    _ file: SafetensorsFile, _ name: String, _ shape: Shape, _ dtype: DType
  ) throws -> Tensor {
    let value = try file.tensor(name)
    guard value.shape == shape, value.dtype == dtype else {
      throw NNError.mismatch(
        .init(
          file.file.path, at: name, expected: "\(dtype) \(shape)",
          found: "\(value.dtype) \(value.shape)"))
    }
    return value.copied()
  }

  static func tensorFiles(in folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasPrefix("tensors-") && $0.hasSuffix(".safetensors") }.sorted()
  }

  static func freshName(besides names: [String]) -> String {
    var number = 0
    while names.contains("tensors-\(number).safetensors") { number += 1 }
    return "tensors-\(number).safetensors"
  }

  static func describe<Cursor>(
    _ file: URL, _ name: String
  ) throws -> CheckpointManifest<Cursor>.TensorFile {
    describe(try MappedFile(file), name)
  }

  static func describe<Cursor>(
    _ file: MappedFile, _ name: String
  ) -> CheckpointManifest<Cursor>.TensorFile {
    var hash = SHA256()
    hash.update(file.bytes)
    return withExtendedLifetime(file) {
      .init(name: name, byteCount: file.count, sha256: hash.hexadecimal())
    }
  }

  static func readManifest<Cursor: Codable>(
    _ type: Cursor.Type, _ folder: URL
  ) throws -> CheckpointManifest<Cursor> {
    let url = folder.appending(path: manifestName)
    // Read by the bounded parser first: it limits depth and size before the decoder sees the same bytes.
    let bytes = try [UInt8](contentsOf: url, limit: JSONLimits().byteCount)
    _ = try bytes.withUnsafeBytes { try JSONValue(parsing: $0, source: url.path) }
    let data = Data(bytes)
    let decoder = JSONDecoder()
    guard let header = try? decoder.decode(CheckpointHeader.self, from: data),
      header.format == CheckpointManifest<Cursor>.formatName
    else {
      throw NNError.foreign(
        .init(
          url.path, at: "format", expected: "'\(CheckpointManifest<Cursor>.formatName)'", found: "another"))
    }
    guard header.version == CheckpointManifest<Cursor>.currentVersion else {
      throw NNError.foreign(
        .init(
          url.path, at: "version", expected: "\(CheckpointManifest<Cursor>.currentVersion)",
          found: "\(header.version)"))
    }
    do {
      return try decoder.decode(CheckpointManifest<Cursor>.self, from: data)
    } catch {
      throw NNError.foreign(
        .init(
          url.path, at: "manifest", expected: "a checkpoint whose cursor is a \(Cursor.self)",
          found: "\(error)"))
    }
  }

  static func openTensors<Cursor>(
    _ expected: CheckpointManifest<Cursor>.TensorFile, _ folder: URL
  ) throws -> SafetensorsFile {
    guard expected.name.utf8.starts(with: "tensors-".utf8), isPlainPath(expected.name),
      !expected.name.utf8.contains(UInt8(ascii: "/"))
    else {
      throw NNError.foreign(
        .init(folder.path, at: "tensors", expected: "a file of this folder", found: "'\(expected.name)'"))
    }
    let url = folder.appending(path: expected.name)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw NNError.torn(
        .init(folder.path, at: "tensors", expected: "'\(expected.name)'", found: "no such file"))
    }
    // Copied and opened once, so that what is used is what was checked.
    let file = try MappedFile(url, access: .copied)
    let actual: CheckpointManifest<Cursor>.TensorFile = describe(file, expected.name)
    guard actual.byteCount == expected.byteCount && actual.sha256 == expected.sha256 else {
      throw NNError.torn(
        .init(
          url.path, at: "contents", expected: "\(expected.byteCount) bytes, SHA-256 \(expected.sha256)",
          found: "\(actual.byteCount) bytes, SHA-256 \(actual.sha256)"))
    }
    return try SafetensorsFile(file)
  }

  static func requireEqual(
    _ found: [String], _ expected: [String], _ folder: URL, _ place: String
  ) throws {
    guard found != expected else { return }
    let (foundNames, expectedNames) = (Set(found.map { ByteKey($0) }), Set(expected.map { ByteKey($0) }))
    let missing = expected.filter { !foundNames.contains(ByteKey($0)) }
    let extra = found.filter { !expectedNames.contains(ByteKey($0)) }
    guard missing.isEmpty else {
      throw NNError.missing(.init(folder.path, at: place, expected: list(missing), found: list(extra)))
    }
    throw NNError.unexpected(
      .init(folder.path, at: place, expected: "\(expected.count) in the model's order", found: list(extra)))
  }
}
