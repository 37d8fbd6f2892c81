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
    try AtomicFolder.write(to: folder, holding: Self.manifestName) { fresh in
      try AtomicFile.writeJSON(catalogue, to: fresh.appending(path: "catalogue.json"))
      func write(_ name: String, _ tensors: [String: Tensor]) throws {
        try SafetensorsWriter.write(
          tensors.map { SafetensorsSource(name: $0.key, tensor: $0.value) }, to: fresh.appending(path: name))
      }
      try write(
        "history.safetensors",
        [
          "offsets": Tensor(histories.starts.map { Int32($0) }), "items": Tensor(histories.items),
          "popularity": Tensor(popularity.array),
        ])
      try write("model.safetensors", tensors)
      var files: [String: String] = [:]
      for name in ["catalogue.json", "history.safetensors", "model.safetensors"] {
        files[name] = try SavedFolder.hash(fresh.appending(path: name))
      }
      let manifest = Manifest(
        card: card, form: served.form, folding: served.folding, architecture: served.network?.architecture,
        files: files)
      try AtomicFile.writeJSON(manifest, isPretty: true, to: fresh.appending(path: Self.manifestName))
    }
  }

  /// Loads a recommender that ``save(to:)`` wrote; neither the data set nor a generator is needed.
  ///
  /// Everything is read into memory, so that the folder may be exchanged while this value serves.
  ///
  /// - Throws: ``ServingError/invalidState(path:place:expected:found:)`` for a folder that is none, that another version
  ///   wrote, or a file of which is not the one that was saved; `FormatError` for one that cannot be read.
  public init(contentsOf folder: URL) throws {
    self = try SavedFolder(folder).whole(Self.manifestName) { try FittedRecommender(reading: $0) }
  }

  private init(reading saved: SavedFolder) throws {
    let manifest = try saved.manifest(Manifest.self, named: Self.manifestName, what: "a saved recommender")
    guard manifest.format == "trestle-recommender", manifest.version == 1 else {
      throw saved.invalid(
        Self.manifestName, "format", expected: "trestle-recommender, version 1",
        found: "\(manifest.format), version \(manifest.version), of another version of the package: "
          + "train it anew")
    }
    guard manifest.folding.isValid else {
      throw saved.invalid(
        Self.manifestName, "folding", expected: "how rows of someone new are made", found: "other numbers")
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
    if [.network, .sequence, .set].contains(manifest.form) {
      guard let architecture = manifest.architecture, try Self.isSane(architecture, tensors) else {
        throw saved.invalid(
          Self.manifestName, "architecture", expected: "how the network is built", found: "something else")
      }
      network = try ServedNetwork(
        architecture, userCount: counts.users, itemCount: counts.items,
        weights: TensorDictionary(tensors: tensors),
        prefix: ServedModel.networkPrefix)
    }
    let neighborhood = try manifest.form == .userNeighbors ? Self.neighborhood(tensors, counts, saved) : nil
    try self.init(
      card: manifest.card, catalogue: catalogue, histories: histories, popularity: popularity,
      served: ServedModel(
        form: manifest.form, tensors: tensors, folding: manifest.folding, network: network,
        neighborhood: neighborhood))
  }

  /// Checks the shapes and numbers that scoring relies on.
  private static func check(
    _ tensors: [String: Tensor], _ form: ServedModel.Form, _ counts: (users: Int, items: Int),
    _ saved: SavedFolder
  ) throws {
    let file = "model.safetensors"
    switch form {
    case .popularity, .userNeighbors: break
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
    case .network, .sequence, .set:
      guard let items = tensors["items"], items.rank == 2, items.shape[0] == counts.items,
        items.dtype == .float32
      else {
        throw saved.invalid(file, "items", expected: "rows of \(counts.items) items", found: "something else")
      }
    }
  }

  /// The users among whom neighbours are found; later ones, who were added, are not among them.
  private static func neighborhood(
    _ tensors: [String: Tensor], _ counts: (users: Int, items: Int), _ saved: SavedFolder
  ) throws -> UserNeighborhood {
    let file = "model.safetensors"
    let known = (tensors["offsets"]?.elementCount ?? 0) - 1
    let histories = try saved.histories(tensors, file, (known, counts.items))
    let neighbors = try saved.tensor(tensors, "neighbors", [1], .int32, file).scalars(as: Int32.self)[0]
    let shrinkage = try saved.tensor(tensors, "shrinkage", [1], .float64, file).item
    let isAscending = (0..<max(known, 0)).allSatisfy { user in
      let items = histories.items(of: user)
      return zip(items, items.dropFirst()).allSatisfy { $0 < $1 }
    }
    guard (0...counts.users).contains(known), isAscending, neighbors > 0, shrinkage >= 0, shrinkage.isFinite
    else {
      throw saved.invalid(
        file, "offsets, items, neighbors, shrinkage", expected: "the distinct items of known users",
        found: "other numbers")
    }
    var configuration = UserKNN.Configuration()
    (configuration.neighbors, configuration.shrinkage) = (Int(neighbors), shrinkage)
    let matrix = UserItemMatrix(offsets: histories.starts, items: histories.items, itemCount: counts.items)
    return UserNeighborhood(matrix, configuration)
  }

  /// Whether a network of this description can be built at all, and is no larger than the tensors beside it.
  private static func isSane(_ architecture: ServedNetwork.Architecture, _ tensors: [String: Tensor]) throws
    -> Bool
  {
    let room = tensors.values.reduce(0) { $0 + $1.elementCount }
    func fits(_ sizes: Int...) -> Bool { sizes.allSatisfy { $0 > 0 && $0 <= room } }
    func isRate(_ rates: Double...) -> Bool { rates.allSatisfy { $0 >= 0 && $0 < 1 } }
    switch architecture {
    case .neuMF(let c):
      return fits(c.factorDimension, c.networkDimension) && !c.hidden.isEmpty && c.hidden.count <= 64
        && c.hidden.allSatisfy { fits($0) } && isRate(c.dropout)
    case .sasRec(let c):
      return fits(c.dimension, c.hidden, c.windowLength, c.heads) && (1...256).contains(c.layers)
        && c.dimension % c.heads == 0 && isRate(c.dropout, c.attentionDropout) && c.epsilon > 0
    case .hstu(let c):
      return fits(c.dimension, c.windowLength, c.heads) && (1...256).contains(c.layers)
        && c.dimension % c.heads == 0 && isRate(c.dropout) && c.epsilon > 0
    case .gru4Rec(let c): return fits(c.dimension, c.hidden, c.windowLength) && isRate(c.dropout)
    case .bert4Rec(let c):
      return fits(c.dimension, c.hidden, c.windowLength, c.heads) && (1...256).contains(c.layers)
        && c.dimension % c.heads == 0 && c.windowLength > 1
        && isRate(c.dropout, c.attentionDropout, c.maskRate) && (0...1).contains(c.lastItemRate)
        && c.epsilon > 0
    case .multVAE(let c):
      return !c.hidden.isEmpty && c.hidden.count <= 64 && c.hidden.allSatisfy { fits($0) } && fits(c.latent)
        && isRate(c.dropout)
    case .recVAE(let c):
      return fits(c.hidden, c.latent, c.encoderPasses, c.decoderPasses) && isRate(c.dropout)
        && c.mixture.count == 3 && c.mixture.allSatisfy { $0 > 0 }
    }
  }
}
