import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

extension FittedRecommender {
  /// What the manifest says beside the card.
  private struct Manifest: Codable {
    var format = "trestle-recommender"
    var version = 1
    var card: RecommenderCard
    var form: ServedModel.Form
    var folding: RowFolding
    var architecture: ServedNetwork.Architecture?
    /// The SHA-256 of each file beside the manifest.
    var files: [String: String]
  }

  private static let manifestName = "manifest.json"

  /// Saves the recommender as a folder, which takes the place of an older one in one step: `manifest.json`,
  /// `catalogue.json` (ids and titles), `history.safetensors`, `model.safetensors`.
  ///
  /// - Throws: `FormatError.cannotWrite`; an older folder is intact then.
  public func save(to folder: URL) throws {
    try FolderReplacement.write(folder) { fresh in
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      try AtomicFile.write(Array(try encoder.encode(catalogue)), to: fresh.appending(path: "catalogue.json"))
      func write(_ name: String, _ tensors: [String: Tensor]) throws {
        try SafetensorsWriter.write(
          tensors.map { SafetensorsSource(name: $0.key, tensor: $0.value) }, to: fresh.appending(path: name))
      }
      try write(
        "history.safetensors",
        [
          "offsets": Tensor(histories.starts.map { Int32($0) }), "items": Tensor(histories.items),
          "popularity": Tensor(popularity),
        ])
      try write("model.safetensors", served.tensors)
      var files: [String: String] = [:]
      for name in ["catalogue.json", "history.safetensors", "model.safetensors"] {
        files[name] = try SavedFolder.hash(fresh.appending(path: name))
      }
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
      let manifest = Manifest(
        card: card, form: served.form, folding: served.folding, architecture: served.network?.architecture,
        files: files)
      try AtomicFile.write(Array(try encoder.encode(manifest)), to: fresh.appending(path: Self.manifestName))
    }
  }

  /// Loads a recommender that ``save(to:)`` wrote; neither the data set nor a generator is needed.
  ///
  /// Everything is read into memory, so that the folder may be exchanged while this value serves.
  ///
  /// - Throws: ``ServingError/invalidState(path:place:expected:found:)`` for a folder that is none, that another version
  ///   wrote, or a file of which is not the one that was saved; `FormatError` for one that cannot be read.
  public init(contentsOf folder: URL) throws {
    let saved = SavedFolder(folder)
    let manifest = try saved.manifest(Manifest.self, named: Self.manifestName, what: "a saved recommender")
    guard manifest.format == "trestle-recommender", manifest.version == 1 else {
      throw saved.invalid(
        Self.manifestName, "format", expected: "trestle-recommender, version 1",
        found: "\(manifest.format), version \(manifest.version)")
    }
    let catalogue = try saved.decode(Catalogue.self, "catalogue.json", manifest.files)
    guard catalogue.vocabularyHash == manifest.card.vocabularyHash else {
      throw saved.invalid(
        "catalogue.json", "users, items", expected: "ids of the hash \(manifest.card.vocabularyHash)",
        found: catalogue.vocabularyHash)
    }
    let history = try saved.tensors("history.safetensors", manifest.files)
    let counts = (users: catalogue.userIDs.count, items: catalogue.itemIDs.count)
    let histories = try saved.histories(history, "history.safetensors", counts)
    let popularity = try saved.tensor(history, "popularity", [counts.items], .float32, "history.safetensors")
      .floats
    let tensors = try saved.tensors("model.safetensors", manifest.files)
    try Self.check(tensors, manifest.form, counts, saved)
    var network: ServedNetwork?
    if manifest.form == .network || manifest.form == .sequence {
      guard let architecture = manifest.architecture, try Self.isSane(architecture, tensors) else {
        throw saved.invalid(
          Self.manifestName, "architecture", expected: "how the network is built", found: "something else")
      }
      network = try ServedNetwork(
        architecture, userCount: counts.users, itemCount: counts.items,
        weights: TensorDictionary(tensors: tensors),
        prefix: ServedModel.networkPrefix)
    }
    try self.init(
      card: manifest.card, catalogue: catalogue, histories: histories, popularity: popularity,
      served: ServedModel(form: manifest.form, tensors: tensors, folding: manifest.folding, network: network))
  }

  /// Checks the shapes and numbers that scoring relies on.
  private static func check(
    _ tensors: [String: Tensor], _ form: ServedModel.Form, _ counts: (users: Int, items: Int),
    _ saved: SavedFolder
  ) throws {
    let file = "model.safetensors"
    switch form {
    case .popularity: break
    case .rows:
      let width = tensors["items"].map { $0.rank == 2 ? $0.shape[1] : 0 } ?? 0
      _ = try saved.tensor(tensors, "items", [counts.items, width], .float32, file)
      _ = try saved.tensor(tensors, "users", [counts.users, width], .float32, file)
    case .itemWeights: _ = try saved.tensor(tensors, "weights", [counts.items, counts.items], .float32, file)
    case .neighbors:
      let offsets = try saved.tensor(tensors, "offsets", [counts.items + 1], .int32, file).scalars(
        as: Int32.self)
      let total = Int(offsets.last ?? 0)
      let targets = try saved.tensor(tensors, "targets", [max(total, 0)], .int32, file).scalars(
        as: Int32.self)
      _ = try saved.tensor(tensors, "similarities", [max(total, 0)], .float32, file)
      guard offsets.first == 0, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 }),
        targets.allSatisfy({ $0 >= 0 && Int($0) < counts.items })
      else {
        throw saved.invalid(
          file, "offsets, targets", expected: "the neighbours of each item", found: "other numbers")
      }
    case .network, .sequence:
      guard let items = tensors["items"], items.rank == 2, items.shape[0] == counts.items,
        items.dtype == .float32
      else {
        throw saved.invalid(file, "items", expected: "rows of \(counts.items) items", found: "something else")
      }
    }
  }

  /// Whether a network of this description can be built at all, and is no larger than the tensors beside it.
  private static func isSane(_ architecture: ServedNetwork.Architecture, _ tensors: [String: Tensor]) throws
    -> Bool
  {
    let room = tensors.values.reduce(0) { $0 + $1.elementCount }
    func fits(_ sizes: Int...) -> Bool { sizes.allSatisfy { $0 > 0 && $0 <= room } }
    func isRate(_ rate: Double) -> Bool { rate >= 0 && rate < 1 }
    switch architecture {
    case .neuMF(let c):
      return fits(c.factorDimension, c.networkDimension) && !c.hidden.isEmpty && c.hidden.count <= 64
        && c.hidden.allSatisfy { fits($0) } && isRate(c.dropout)
    case .sasRec(let c):
      return fits(c.dimension, c.hidden, c.windowLength, c.heads) && (1...256).contains(c.layers)
        && c.dimension % c.heads == 0 && isRate(c.dropout) && c.epsilon > 0
    case .gru4Rec(let c): return fits(c.dimension, c.hidden, c.windowLength) && isRate(c.dropout)
    }
  }
}

/// Reads the files of a folder that a manifest vouches for.
package struct SavedFolder {
  /// The folder.
  package let url: URL

  /// A folder.
  package init(_ url: URL) { self.url = url }

  /// The SHA-256 of a file.
  package static func hash(_ url: URL) throws -> String {
    let file = try MappedFile(url)
    var hash = SHA256()
    hash.update(file.bytes)
    return hash.hexadecimal()
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
      throw invalid(name, "", expected: what, found: "no such file")
    }
    let bytes = try MappedFile(file)
    guard let manifest = try? JSONDecoder().decode(type, from: Data(bytes.bytes)) else {
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

  /// A JSON file.
  package func decode<Value: Decodable>(_ type: Value.Type, _ name: String, _ files: [String: String]) throws
    -> Value
  {
    let bytes = try MappedFile(verified(name, files))
    do {
      return try JSONDecoder().decode(type, from: Data(bytes.bytes))
    } catch {
      throw invalid(name, "", expected: "ids and titles", found: "something else")
    }
  }

  /// The tensors of a safetensors file, copied into memory.
  package func tensors(_ name: String, _ files: [String: String]) throws -> [String: Tensor] {
    let file = try SafetensorsFile(verified(name, files))
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
