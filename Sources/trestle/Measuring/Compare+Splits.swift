import Foundation
import Trestle
import TrestleCommand

extension Compare {
  /// The data to compare on: that which is asked for, or, if only a split is given, the split's rows.
  func dataset(_ data: DataOptions, _ given: NamedSplit?) throws -> Dataset {
    guard let given, let place = givenSplit else { return try data.read() }
    guard data.interactions != nil else {
      return Dataset(
        name: place.lastPathComponent, interactions: given.rows, userIDs: given.userIDs,
        itemIDs: given.itemIDs)
    }
    let dataset = try data.read()
    guard dataset.userIDs == given.userIDs, dataset.itemIDs == given.itemIDs else {
      throw UsageError(
        "--given-split: its users and items are not those of the data, in the same order; leave the data out to take the split's own"
      )
    }
    return dataset
  }

  /// Keeps the split of the only seed.
  func write(_ given: NamedSplit?, _ dataset: Dataset, to folder: URL) throws {
    guard seeds == 1 || given != nil else {
      throw UsageError("--write-split keeps one split, and each seed has its own: leave --seeds out")
    }
    let split = try given?.split ?? dataset.interactions.split(self.split.strategy, seed: seed)
    try NamedSplit(split, userIDs: dataset.userIDs, itemIDs: dataset.itemIDs).write(to: folder)
    say("  the split is in \(folder.relativePath)")
  }
}

extension NamedSplit {
  /// The rows of all parts.
  fileprivate var rows: Interactions {
    let parts = [split.training, split.validation, split.test]
    func joined<Value>(_ column: (Interactions) -> [Value]?) -> [Value]? {
      let columns = parts.compactMap { $0.count == 0 ? [] : column($0) }
      return columns.count == parts.count ? Array(columns.joined()) : nil
    }
    return Interactions(
      users: parts.flatMap(\.users), items: parts.flatMap(\.items),
      ratings: parts.contains { $0.ratings != nil } ? joined(\.ratings) : nil,
      timestamps: parts.contains { $0.timestamps != nil } ? joined(\.timestamps) : nil,
      userCount: split.userCount, itemCount: split.itemCount)
  }
}
