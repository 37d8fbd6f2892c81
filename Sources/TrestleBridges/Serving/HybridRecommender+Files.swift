import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

extension HybridRecommender {
  private struct Manifest: Codable {
    var format = 2
    var vocabulary: EntityVocabulary
    var splitHash: String
    var fusion: FusionWeights
    /// How the domain side makes a row of someone new; `nil` for the mean.
    var folding: RowFolding?
    var reading: SavedReading?
    /// Of what the hybrid was made; absent from hybrids that were saved before there was one.
    var card: HybridCard?
    /// The SHA-256 of each file beside the manifest.
    var files: [String: String]
  }

  /// Which sides to load.
  public struct Sides: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int
    /// Sides from bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// The domain side.
    public static let domain = Sides(rawValue: 1)
    /// The language side.
    public static let language = Sides(rawValue: 2)
    /// Both.
    public static let both: Sides = [.domain, .language]
  }

  static let manifestName = "manifest.json"

  /// Saves the hybrid as a folder, which takes the place of an older one in one step: `manifest.json`, `catalogue.json`
  /// (ids and titles), `domain.safetensors`, `language.safetensors`, `history.safetensors` and, if the language model reads,
  /// `reading.safetensors` with its adapters.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - extra: writes further files into it, before it takes its place.
  /// - Throws: `FormatError.cannotWrite`, and what `extra` throws; an older folder is intact then.
  public func save(to folder: URL, adding extra: (URL) throws -> Void = { _ in }) throws {
    try AtomicFolder.write(to: folder, holding: Self.manifestName) { fresh in
      try AtomicFile.writeJSON(catalogue, to: fresh.appending(path: "catalogue.json"))
      var files = ["catalogue.json": try SavedFolder.hash(fresh.appending(path: "catalogue.json"))]
      func write(_ name: String, _ tensors: [(String, Tensor)]) throws {
        let url = fresh.appending(path: name)
        try SafetensorsWriter.write(tensors.map { SafetensorsSource(name: $0.0, tensor: $0.1) }, to: url)
        files[name] = try SavedFolder.hash(url)
      }
      if let domain { try write("domain.safetensors", [("users", domain.users), ("items", domain.items)]) }
      if let language {
        try write("language.safetensors", [("users", language.users), ("items", language.items)])
      }
      try write(
        "history.safetensors",
        [
          ("offsets", Tensor(histories.starts.map { Int32($0) })), ("items", Tensor(histories.items)),
          ("counts", Tensor(trainingCounts.array)), ("popularity", Tensor(popularity.array)),
        ])
      try reading?.save(in: fresh, &files)
      try extra(fresh)
      let manifest = Manifest(
        vocabulary: vocabulary, splitHash: splitHash, fusion: fusion, folding: folding,
        reading: reading.map(SavedReading.init), card: card, files: files)
      try AtomicFile.writeJSON(manifest, isPretty: true, to: fresh.appending(path: Self.manifestName))
    }
  }

  /// Loads a hybrid; neither the data set, the language model nor a generator is needed.
  ///
  /// Everything is read into memory, so that the folder may be exchanged while this value serves.
  ///
  /// - Parameters:
  ///   - folder: the folder that the hybrid was saved in.
  ///   - sides: the sides to load; the files of others need not be there.
  /// - Throws: `ServingError/invalidState(path:place:expected:found:)` for a folder that is none,
  ///   that another version wrote, or a file of which is not the one that was saved; `FormatError` for one that cannot be
  ///   read.
  public init(contentsOf folder: URL, sides: Sides = .both) throws {
    self = try SavedFolder(folder).whole(Self.manifestName) { try HybridRecommender(reading: $0, sides) }
  }

  private init(reading saved: SavedFolder, _ sides: Sides) throws {
    let manifest = try saved.manifest(Manifest.self, named: Self.manifestName, what: "a saved hybrid")
    guard manifest.format == 2 else {
      throw saved.invalid(
        Self.manifestName, "format", expected: "a hybrid of format 2",
        found: "format \(manifest.format), of another version of the package: train it anew")
    }
    guard Self.isSane(manifest.fusion) else {
      throw saved.invalid(
        Self.manifestName, "fusion", expected: "weights from 0 to 1, one more than bounds", found: "others")
    }
    guard manifest.folding?.isValid ?? true else {
      throw saved.invalid(
        Self.manifestName, "folding", expected: "how rows of someone new are made", found: "other numbers")
    }
    let files = manifest.files
    let catalogue = try saved.decode(Catalogue.self, "catalogue.json", files)
    let counts = (users: catalogue.userIDs.count, items: catalogue.itemIDs.count)
    let found = EntityVocabulary(
      userCount: counts.users, itemCount: counts.items, hash: catalogue.vocabularyHash)
    guard found == manifest.vocabulary else {
      throw saved.invalid(
        "catalogue.json", "users, items", expected: "ids of the hash \(manifest.vocabulary.hash)",
        found: found.hash)
    }
    func rows(_ name: String) throws -> Representations {
      let tensors = try saved.tensors(name, files)
      let width = tensors["items"].map { $0.rank == 2 ? $0.shape[1] : 0 } ?? 0
      return Representations(
        users: try saved.tensor(tensors, "users", [counts.users, width], .float32, name),
        items: try saved.tensor(tensors, "items", [counts.items, width], .float32, name))
    }
    let name = "history.safetensors"
    let history = try saved.tensors(name, files)
    try self.init(
      catalogue: catalogue, splitHash: manifest.splitHash,
      domain: sides.contains(.domain) && files["domain.safetensors"] != nil
        ? rows("domain.safetensors") : nil,
      language: sides.contains(.language) && files["language.safetensors"] != nil
        ? rows("language.safetensors") : nil,
      fusion: manifest.fusion, histories: saved.histories(history, name, counts),
      trainingCounts: saved.tensor(history, "counts", [counts.users], .int32, name).scalars(as: Int32.self),
      popularity: saved.tensor(history, "popularity", [counts.items], .float32, name).floats,
      reading: sides == .both ? manifest.reading?.load(saved, files, counts.items) : nil,
      folding: manifest.folding ?? .mean, card: manifest.card)
  }

  /// Whether every number of interactions has a weight from 0 to 1.
  private static func isSane(_ fusion: FusionWeights) -> Bool {
    fusion.alphas.count == fusion.bounds.count + 1 && fusion.alphas.allSatisfy { $0 >= 0 && $0 <= 1 }
  }
}
