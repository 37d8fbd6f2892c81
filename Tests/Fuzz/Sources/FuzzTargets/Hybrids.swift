import Foundation
import Trestle
import TrestleTestSupport

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
    let folder = Scratch.folder.appending(path: "hybrid-seed")
    try SmallHybrid().recommender().save(to: folder)
    return try Scratch.files(of: folder)
  }
}
