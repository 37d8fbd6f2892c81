import Foundation
import Testing
import TrestleBridges
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A saved hybrid that somebody has changed, hashes included, is refused, and a failed save leaves the former one.
@Suite struct SavedHybridTests {
  private let folder: URL
  private let small: SmallHybrid
  private var dataset: Dataset { small.dataset }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "saved-hybrid-\(UUID().uuidString)")
    small = try SmallHybrid()
  }

  private func hybrid(alpha: Double = 0.5) throws -> HybridRecommender {
    try small.recommender(fusion: FusionWeights(alpha: alpha))
  }

  private func editManifest(_ change: (inout [String: Any]) throws -> Void) throws {
    let url = folder.appending(path: "manifest.json")
    var root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    try change(&root)
    try JSONSerialization.data(withJSONObject: root).write(to: url)
  }

  /// Writes a file anew and its hash into the manifest.
  private func replace(_ name: String, _ tensors: [String: Tensor]) throws {
    let url = folder.appending(path: name)
    let file = try SafetensorsFile(url, access: .copied)
    let sources = try file.names.map { part in
      SafetensorsSource(name: part, tensor: try tensors[part] ?? file.tensor(part))
    }
    try SafetensorsWriter.write(sources, to: url)
    var hash = SHA256()
    hash.update(Array(try Data(contentsOf: url)))
    try editManifest { root in
      var files = try #require(root["files"] as? [String: String])
      files[name] = hash.hexadecimal()
      root["files"] = files
    }
  }

  private func expectRefused(_ what: String, _ damage: () throws -> Void) throws {
    try hybrid().save(to: folder)
    _ = try HybridRecommender(contentsOf: folder)
    try damage()
    #expect(throws: ServingError.self, "\(what)") { try HybridRecommender(contentsOf: folder) }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (users, items) = (dataset.userCount, dataset.itemCount)
    let name = "history.safetensors"
    let offsets = try {
      try hybrid().save(to: folder)
      return try SafetensorsFile(folder.appending(path: name), access: .copied).tensor("offsets")
        .scalars(as: Int32.self)
    }()
    var (falling, distant) = (offsets, offsets)
    (falling[1], falling[2]) = (falling[2] + 1, falling[1])
    distant[users] = .max
    for (what, part, tensor) in [
      ("fractions", "offsets", Tensor(offsets.map(Float.init))), ("falling", "offsets", Tensor(falling)),
      ("beyond the items", "offsets", Tensor(distant)),
      ("negative", "offsets", Tensor(offsets.map { $0 - 1 })),
      ("one too few", "offsets", Tensor(Array(offsets.dropLast()))),
      (
        "items that nobody has", "items", Tensor([Int32](repeating: Int32(items), count: Int(offsets[users])))
      ),
      ("negative items", "items", Tensor([Int32](repeating: -1, count: Int(offsets[users])))),
      ("counts of another type", "counts", Tensor.ones([users])),
      ("popularity of other items", "popularity", Tensor.ones([items + 1])),
    ] {
      try expectRefused(what) { try replace(name, [part: tensor]) }
    }
    for (what, part, tensor) in [
      ("another type", "items", Tensor.ones([items, 4]).converted(to: .float64)),
      ("another width", "users", Tensor.ones([users, 5])),
      ("fewer items", "items", Tensor.ones([items - 1, 4])),
      ("no matrix", "items", Tensor.ones([items])),
    ] {
      try expectRefused(what) { try replace("domain.safetensors", [part: tensor]) }
    }
  }

  @Test func aManifestThatDoesNotFitIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try hybrid().save(to: folder)
    for (what, fusion) in [
      ("no weights", ["bounds": [], "alphas": []]), ("too few", ["bounds": [1], "alphas": [0.5]]),
      ("beyond 1", ["bounds": [], "alphas": [1.5]]), ("below 0", ["bounds": [], "alphas": [-1]]),
    ] as [(String, [String: Any])] {
      try expectRefused(what) { try editManifest { $0["fusion"] = fusion } }
    }
    for (name, value) in [
      ("unobservedWeight", -1), ("unobservedWeight", 1e300), ("regularization", -0.5), ("exponent", 1e6),
    ] {
      try expectRefused("folding with \(name) \(value)") {
        try editManifest { root in
          var folding = ["unobservedWeight": 0.1, "regularization": 0.1, "exponent": 1.0]
          folding[name] = value
          root["folding"] = ["leastSquares": folding]
        }
      }
    }
    for count in [-1, 0, Int.max] {
      try expectRefused("\(count) users") {
        try editManifest { root in
          var vocabulary = try #require(root["vocabulary"] as? [String: Any])
          vocabulary["userCount"] = count
          root["vocabulary"] = vocabulary
        }
      }
    }
  }

  @Test func theCardIsSavedAndOlderHybridsHaveNone() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    var first = try hybrid()
    #expect(first.card == nil)
    first.card = HybridCard(dataset: "books", settings: ["seed": "7"])
    try first.save(to: folder)
    #expect(try HybridRecommender(contentsOf: folder).card == first.card)
    let user = dataset.userIDs[0]
    #expect(try first.adding([UserItemPair(user: user, item: dataset.itemIDs[3])]).card == first.card)
    try editManifest { $0["card"] = nil }
    #expect(try HybridRecommender(contentsOf: folder).card == nil)
  }

  @Test func aFailedSaveLeavesTheFormerHybrid() throws {
    struct Failure: Error {}
    defer { try? FileManager.default.removeItem(at: folder) }
    try hybrid(alpha: 0.25).save(to: folder)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(throws: Failure.self) { try hybrid(alpha: 0.75).save(to: folder) { _ in throw Failure() } }
    #expect(try HybridRecommender(contentsOf: folder).fusion.alphas == [0.25])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == names)
    try hybrid(alpha: 0.75).save(to: folder)
    #expect(try HybridRecommender(contentsOf: folder).fusion.alphas == [0.75])
  }
}
