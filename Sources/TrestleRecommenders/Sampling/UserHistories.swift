import TrestleTensor

/// Each user's items in the order of time: what sequential models read.
public struct UserHistories: Sendable {
  /// Where each user's items begin, `[users + 1]`.
  public let starts: [Int]
  /// The items of all users, user after user.
  public let items: [Int32]
  /// The number of items that exist.
  public let itemCount: Int

  /// The histories of one or several parts of the data, one after the other: training, then validation, say.
  ///
  /// Within a part the order is that of the timestamps, or of the rows if it has none.
  /// - Precondition: all parts are over the same users and items; there is at least one.
  public init(_ parts: Interactions...) { self.init(parts) }

  /// The histories of several parts of the data.
  public init(_ parts: [Interactions]) {
    precondition(
      parts.first.map { first in
        parts.allSatisfy { $0.userCount == first.userCount && $0.itemCount == first.itemCount }
      } ?? false, "UserHistories: parts of \(parts.map { [$0.userCount, $0.itemCount] }) users and items")
    let grouped = parts.map { part in (part, (try? part.rowsByUserInTimeOrder()) ?? part.rowsByUser()) }
    var starts = [0]
    var items: [Int32] = []
    starts.reserveCapacity(parts[0].userCount + 1)
    items.reserveCapacity(parts.reduce(0) { $0 + $1.count })
    for user in 0..<parts[0].userCount {
      for (part, (offsets, rows)) in grouped {
        for row in rows[offsets[user]..<offsets[user + 1]] { items.append(part.items[Int(row)]) }
      }
      starts.append(items.count)
    }
    (self.starts, self.items, itemCount) = (starts, items, parts[0].itemCount)
  }

  /// Takes histories that are already in order.
  init(starts: [Int], items: [Int32], itemCount: Int) {
    (self.starts, self.items, self.itemCount) = (starts, items, itemCount)
  }

  /// The number of users.
  public var userCount: Int { starts.count - 1 }

  /// The items of `user` in the order of time.
  public func items(of user: Int) -> ArraySlice<Int32> { items[starts[user]..<starts[user + 1]] }
}

/// Sequences of items one after the other, without padding.
public struct ItemSequences: Sendable {
  /// The items of all sequences.
  public var items: [Int32]
  /// The length of each sequence.
  public var lengths: [Int]

  /// Packs sequences.
  public init(_ sequences: [some Collection<Int32>]) {
    items = sequences.flatMap { $0 }
    lengths = sequences.map(\.count)
  }

  /// The places of the last item of each sequence; sequences have at least one.
  var lastPlaces: [Int32] {
    var end = 0
    return lengths.map { length in
      end += length
      return Int32(end - 1)
    }
  }

  /// The place of each item within its sequence.
  var positions: [Int32] { lengths.flatMap { (0..<$0).map { Int32($0) } } }
}

/// A batch of training a sequential model: sequences, and the item that follows each of their items.
struct SequenceBatch {
  let sequences: ItemSequences
  let targets: [Int32]
}

/// Batches of windows of the users' histories, in which every item but a user's first is predicted once an epoch.
///
/// A history longer than a window is cut at places that differ from epoch to epoch.
struct SequenceBatches {
  private let histories: UserHistories
  private let windowLength: Int
  private let tokensPerBatch: Int
  private let source: RandomGenerator

  init(_ histories: UserHistories, windowLength: Int, tokensPerBatch: Int, seed: UInt64) {
    precondition(
      windowLength > 0 && tokensPerBatch > 0,
      "SequenceBatches: windows of \(windowLength), batches of \(tokensPerBatch)")
    self.histories = histories
    self.windowLength = windowLength
    self.tokensPerBatch = tokensPerBatch
    source = RandomGenerator(seed: seed).split(0x7365_7175)
  }

  /// The batches of an epoch: windows in random order, so many that a batch has at least the wanted tokens.
  func epoch(_ epoch: Int) -> [SequenceBatch] {
    var generator = source.split(UInt64(epoch))
    var windows: [Range<Int>] = []
    for user in 0..<histories.userCount {
      // The last item is a target only.
      let (first, last) = (histories.starts[user], histories.starts[user + 1] - 1)
      guard last > first else { continue }
      var start = first
      var length = last - first > windowLength ? 1 + generator.index(below: windowLength) : windowLength
      while start < last {
        windows.append(start..<min(start + length, last))
        start += length
        length = windowLength
      }
    }
    let order = generator.permutation(of: windows.count)
    var batches: [SequenceBatch] = []
    var chosen: [Range<Int>] = []
    var tokens = 0
    for index in order {
      chosen.append(windows[Int(index)])
      tokens += windows[Int(index)].count
      if tokens >= tokensPerBatch {
        batches.append(batch(chosen))
        (chosen, tokens) = ([], 0)
      }
    }
    if !chosen.isEmpty { batches.append(batch(chosen)) }
    return batches
  }

  private func batch(_ windows: [Range<Int>]) -> SequenceBatch {
    SequenceBatch(
      sequences: ItemSequences(windows.map { histories.items[$0] }),
      targets: windows.flatMap { histories.items[$0.lowerBound + 1..<$0.upperBound + 1] })
  }
}
