import Foundation
import Trestle
import TrestleTestSupport

extension FuzzTarget {
  /// Saved recommenders: each file of the folder in turn, with hashes that fit.
  static var served: [FuzzTarget] {
    [
      file("manifest.json", of: .itemKNN), file("catalogue.json", of: .itemKNN),
      file("history.safetensors", of: .itemKNN), file("model.safetensors", of: .itemKNN),
      file("manifest.json", of: .sasRec), file("model.safetensors", of: .sasRec),
      file("model.safetensors", of: .factorization),
      FuzzTarget("data-file", seeds: { [Array("user,item,rating\n1,a,3\n2,b,4\n1,b,5\n".utf8)] }) { bytes in
        _ = try Dataset(contentsOf: Scratch.file("any.csv", bytes))
      },
    ]
  }

  private static func file(_ name: String, of kind: ModelKind) -> FuzzTarget {
    let label = "served-\(kind.rawValue.lowercased())-\(name)"
    return FuzzTarget(label, seeds: { [try files(kind)[name] ?? []] }) { bytes in
      var files = try files(kind)
      if name != "manifest.json" {
        files["manifest.json"] = try rehashed(files["manifest.json"] ?? [], name, bytes)
      }
      files[name] = bytes
      let folder = try Scratch.subfolder(label)
      for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
      let recommender = try FittedRecommender(contentsOf: folder)
      for user in recommender.catalogue.userIDs.ids.prefix(2) {
        _ = try recommender.recommend(for: user, count: 3)
      }
      _ = try recommender.recommend(liking: Array(recommender.catalogue.itemIDs.ids.prefix(2)), count: 3)
    }
  }

  private nonisolated(unsafe) static var made: [String: [String: [UInt8]]] = [:]

  /// The files of a fitted recommender; made once.
  private static func files(_ kind: ModelKind) throws -> [String: [UInt8]] {
    if let files = made[kind.rawValue] { return files }
    var options = FitOptions()
    options.epochs = 1
    let folder = Scratch.folder.appending(path: "served-seed-\(kind.rawValue)")
    try SmallHybrid().dataset.fit(kind, options: options).save(to: folder)
    let files = try Scratch.files(of: folder)
    made[kind.rawValue] = files
    return files
  }

  /// The manifest with the hash of other bytes, as somebody would write it who made both.
  static func rehashed(_ manifest: [UInt8], _ name: String, _ bytes: [UInt8]) throws -> [UInt8] {
    guard var root = try JSONSerialization.jsonObject(with: Data(manifest)) as? [String: Any],
      var files = root["files"] as? [String: Any]
    else { return manifest }
    var hash = SHA256()
    hash.update(bytes)
    files[name] = hash.hexadecimal()
    root["files"] = files
    return try Array(JSONSerialization.data(withJSONObject: root, options: [.sortedKeys]))
  }
}
