import Foundation
import Trestle
import TrestleCommand

/// How data is parted for a comparison: once for each seed, or by successive windows of time.
enum ComparedSplit: RawRepresentable, CaseIterable, Equatable {
  case single(SplitChoice), rolling

  static let allCases = SplitChoice.allCases.map { Self.single($0) } + [.rolling]

  var rawValue: String {
    switch self {
    case .single(let choice): choice.rawValue
    case .rolling: "rolling"
    }
  }

  init?(rawValue: String) {
    guard let choice = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = choice
  }
}

extension Compare {
  /// Stops where windows of time are asked for beside what parts the data in another way.
  func checkWindows() throws {
    guard split == .rolling else {
      guard windows == nil else { throw UsageError("--windows is for --split rolling: give both or neither") }
      return
    }
    let others = [
      ("--given-split", givenSplit != nil), ("--write-split", writtenSplit != nil),
      ("--bridges", bridges != nil), ("--serving", serving != nil), ("--labelled", labelled != nil),
    ].filter(\.1).map(\.0)
    guard others.isEmpty else {
      throw UsageError(
        "--split rolling makes a split for each window, which \(others.joined(separator: " and ")) cannot take: leave one of them out"
      )
    }
  }

  /// The split of a seed, where there is one.
  func singleSplit(of dataset: Dataset, seed: UInt64) throws -> DataSplit {
    guard case .single(let choice) = split else {
      throw UsageError("--split rolling makes several splits, expected one")
    }
    return try dataset.interactions.split(choice.strategy, seed: seed)
  }

  /// The splits by windows of time, the same for every seed; `nil` if they were not asked for.
  func rollingSplits(_ dataset: Dataset) throws -> RollingTimeSplits? {
    guard split == .rolling else { return nil }
    guard dataset.interactions.timestamps != nil else {
      throw UnsuitableData(
        "--split rolling: the data has no times that were found; --time-column names their column")
    }
    return try RollingTimeSplits(dataset.interactions, windows: windows ?? 5)
  }

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
    let split = try given?.split ?? singleSplit(of: dataset, seed: seed)
    try NamedSplit(split, userIDs: dataset.userIDs, itemIDs: dataset.itemIDs).write(to: folder)
    say("  the split is in \(folder.relativePath)")
  }
}

extension DataSplit {
  /// The numbers of rows, for people.
  var sizes: String {
    "\(training.count) / \(validation.count) / \(test.count) interactions to train on, to choose by, to measure on"
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
