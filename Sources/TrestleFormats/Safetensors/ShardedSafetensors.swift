import Foundation

/// The tensors of a model in safetensors, in one file or spread over several with an index.
///
/// The index, `model.safetensors.index.json`, maps each tensor to its file: `{"weight_map": {"name": "file"}}`. The
/// index and the files must name exactly the same tensors, and no file may lie outside the index's folder.
public final class ShardedSafetensors: Sendable {
  /// The folder of the files.
  public let folder: URL
  /// The folder's path.
  public var path: String { folder.path }
  /// The tensors' names, sorted by their bytes.
  public let names: [String]
  private let shards: [ByteKey: SafetensorsFile]
  private let shardNames: [ByteKey: ByteKey]

  /// Opens the model in `folder`: `model.safetensors.index.json` if it is there, else `model.safetensors`.
  ///
  /// - Parameters:
  ///   - folder: The model's folder.
  ///   - allowsLinks: Whether a file may be a symbolic link that leads out of the folder, as in the download cache
  ///     of the Hugging Face hub. Say yes only for a folder that you or your tools have made.
  ///   - access: Whether files are mapped, or copied because others may shorten them meanwhile.
  /// - Throws: ``FormatError``; ``FormatError/unsafePath(_:)`` for a file outside the folder.
  public convenience init(
    folder: URL, allowsLinks: Bool = false, access: MappedFile.Access = .mapped
  ) throws(FormatError) {
    let index = folder.appending(path: "model.safetensors.index.json")
    if FileManager.default.fileExists(atPath: index.path) {
      try self.init(index: index, allowsLinks: allowsLinks, access: access)
    } else {
      let name = "model.safetensors"
      let url = try Self.resolve(name, in: folder, index: folder, allowsLinks: allowsLinks)
      let file = try SafetensorsFile(url, access: access)
      self.init(
        folder: folder, shards: [ByteKey(name): file],
        shardNames: file.entries.mapValues { _ in ByteKey(name) })
    }
  }

  /// Opens the files that the index at `index` names.
  ///
  /// - Parameters:
  ///   - index: The index file.
  ///   - allowsLinks: See ``init(folder:allowsLinks:access:)``.
  ///   - access: See there.
  /// - Throws: ``FormatError``; ``FormatError/unsafePath(_:)`` for a file outside the folder.
  public convenience init(
    index: URL, allowsLinks: Bool = false, access: MappedFile.Access = .mapped
  ) throws(FormatError) {
    let folder = index.deletingLastPathComponent()
    let map = try JSONValue(contentsOf: index).member("weight_map")
    var shardNames: [ByteKey: ByteKey] = [:]
    for (tensor, shard) in try map.object() {
      guard shardNames.updateValue(ByteKey(try shard.string()), forKey: ByteKey(tensor)) == nil else {
        throw .duplicate(
          .init(index.path, at: "weight_map", expected: "each tensor once", found: "\"\(tensor)\" twice"))
      }
    }
    var shards: [ByteKey: SafetensorsFile] = [:]
    for shard in Set(shardNames.values).sorted(by: { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }) {
      let url = try Self.resolve(shard.text, in: folder, index: index, allowsLinks: allowsLinks)
      let file = try SafetensorsFile(url, access: access)
      shards[shard] = file
      for tensor in file.names where shardNames[tensor] != shard {
        throw .malformed(
          .init(
            index.path, at: "weight_map", expected: "the tensor \"\(tensor)\" in \(shard.text)",
            found: shardNames[tensor].map { "it in \($0.text)" } ?? "no such tensor"))
      }
    }
    for (tensor, shard) in shardNames where shards[shard]?.entries[tensor] == nil {
      throw .missing(
        .init(
          index.path, at: "weight_map", expected: "the tensor \"\(tensor.text)\" in \(shard.text)",
          found: "none"))
    }
    self.init(folder: folder, shards: shards, shardNames: shardNames)
  }

  private init(folder: URL, shards: [ByteKey: SafetensorsFile], shardNames: [ByteKey: ByteKey]) {
    self.folder = folder
    self.shards = shards
    self.shardNames = shardNames
    names = shardNames.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The tensor's type, shape and range within its file.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func entry(_ name: String) throws(FormatError) -> SafetensorsEntry {
    try file(of: name).entry(name)
  }

  /// The tensor's bytes: a view that keeps its file mapped. They may be unaligned for their type.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func bytes(of name: String) throws(FormatError) -> MappedBytes {
    try file(of: name).bytes(of: name)
  }

  /// The file that holds the tensor.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func file(of name: String) throws(FormatError) -> SafetensorsFile {
    guard let shard = shardNames[name], let file = shards[shard] else {
      throw .missing(.init(folder.path, expected: "a tensor \"\(name)\"", found: "none of that name"))
    }
    return file
  }

  /// The place of the file `name`, which must not lead out of `folder`.
  private static func resolve(
    _ name: String, in folder: URL, index: URL, allowsLinks: Bool
  ) throws(FormatError) -> URL {
    guard isPlainPath(name) else {
      throw .unsafePath(
        .init(index.path, at: "weight_map", expected: "a file name below the folder", found: "\"\(name)\""))
    }
    let url = folder.appending(path: name)
    if allowsLinks { return url }
    guard let realFolder = realPath(folder.path.isEmpty ? "." : folder.path) else {
      throw .cannotRead(.init(folder.path, expected: "a folder", found: systemMessage()))
    }
    guard let realFile = realPath(url.path) else {
      throw .cannotRead(.init(url.path, expected: "a readable regular file", found: systemMessage()))
    }
    guard isPath(realFile, below: realFolder) else {
      throw .unsafePath(
        .init(
          index.path, at: "weight_map", expected: "a file below the folder", found: "a link to \(realFile)"))
    }
    // The resolved path, so that what was checked is what is opened.
    return URL(filePath: realFile)
  }
}
