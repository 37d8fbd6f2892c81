import Foundation
import Trestle

extension FuzzTarget {
  /// Saved hybrids: each file of the folder in turn, with hashes that fit.
  static var hybrids: [FuzzTarget] {
    ["manifest.json", "catalogue.json", "history.safetensors", "domain.safetensors", "language.safetensors"]
      .map(hybrid)
  }

  private static func hybrid(_ name: String) -> FuzzTarget {
    let label = "hybrid-\(name)"
    return FuzzTarget(label, seeds: { [try hybridFiles.get()[name] ?? []] }) { bytes in
      var files = try hybridFiles.get()
      if name != "manifest.json" {
        files["manifest.json"] = try rehashed(files["manifest.json"] ?? [], name, bytes)
      }
      files[name] = bytes
      let folder = try Scratch.subfolder(label)
      for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
      for sides in [HybridRecommender.Sides.both, .domain] {
        let hybrid = try HybridRecommender(contentsOf: folder, sides: sides)
        for part in HybridRecommender.Part.allCases {
          for user in hybrid.catalogue.userIDs.ids.prefix(2) {
            _ = try hybrid.recommend(for: user, count: 3, by: part, reasons: 1)
          }
          let liked = Array(hybrid.catalogue.itemIDs.ids.prefix(2))
          _ = try hybrid.recommend(liking: liked, count: 3, by: part, reasons: 1)
        }
      }
    }
  }

  /// The files of a hybrid; made once.
  private static let hybridFiles = Result {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (12, 10, 90)
    let dataset = try SyntheticWorld(world, seed: 1).dataset()
    let split = try dataset.interactions.split(.ratio(), seed: 1)
    var generator = RandomGenerator(seed: 2)
    func rows(_ width: Int) -> Representations {
      Representations(
        users: Tensor.normal([dataset.userCount, width], using: &generator),
        items: Tensor.normal([dataset.itemCount, width], using: &generator))
    }
    var fusion = FusionWeights(alpha: 0.5)
    (fusion.bounds, fusion.alphas) = ([3, 9], [0.25, 0.5, 0.75])
    let folder = Scratch.folder.appending(path: "hybrid-seed")
    try HybridRecommender(
      dataset: dataset, split: split, domain: rows(4), language: rows(6), fusion: fusion
    ).save(to: folder)
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Array(Data(contentsOf: folder.appending(path: name)))
    }
    return files
  }
}
