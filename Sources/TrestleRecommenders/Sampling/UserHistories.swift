import TrestleTensor

/// Each user's items in the order of time: what sequential models read.
public struct UserHistories: Sendable {
  private let base: (starts: [Int], items: [Int32])
  /// The items of users who had further ones since, and of users who were added.
  private var changes = SharedMap<[Int32]>()
  /// The number of items that exist.
  public let itemCount: Int
  /// The number of users.
  public private(set) var userCount: Int

  /// Where each user's items begin, `[users + 1]`.
  public var starts: [Int] { changes.isEmpty ? base.starts : together.starts }
  /// The items of all users, user after user.
  public var items: [Int32] { changes.isEmpty ? base.items : together.items }

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
    self.init(starts: starts, items: items, itemCount: parts[0].itemCount)
  }

  /// Takes histories that are already in order.
  init(starts: [Int], items: [Int32], itemCount: Int) {
    (base, self.itemCount, userCount) = ((starts, items), itemCount, starts.count - 1)
  }

  /// The items of `user` in the order of time.
  public func items(of user: Int) -> ArraySlice<Int32> {
    if !changes.isEmpty, let own = changes[user] { return own[...] }
    return base.items[base.starts[user]..<base.starts[user + 1]]
  }

  /// The same histories with further items at some users' ends: what has not changed is shared.
  ///
  /// - Parameter further: by user; users who are not there yet come after those who are, without gaps.
  func adding(_ further: [Int: [Int32]]) -> UserHistories {
    var result = self
    for (user, items) in further.sorted(by: { $0.key < $1.key }) {
      precondition(user <= result.userCount, "UserHistories: user \(user) behind \(result.userCount)")
      result.changes.set(user < userCount ? Array(self.items(of: user)) + items : items, at: user)
      result.userCount = max(result.userCount, user + 1)
    }
    return result
  }

  /// The same histories in a catalogue with further items.
  package func over(itemCount: Int) -> UserHistories {
    precondition(itemCount >= self.itemCount, "UserHistories: \(itemCount) items, had \(self.itemCount)")
    return UserHistories(starts: starts, items: items, itemCount: itemCount)
  }

  /// All of it, put together.
  private var together: (starts: [Int], items: [Int32]) {
    var (starts, items) = ([0], [Int32]())
    starts.reserveCapacity(userCount + 1)
    items.reserveCapacity(base.items.count)
    for user in 0..<userCount {
      items += self.items(of: user)
      starts.append(items.count)
    }
    return (starts, items)
  }
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

/// A batch of training a sequential model: sequences, and the items to be predicted after some of their items.
package struct SequenceBatch {
  /// What is read.
  package let sequences: ItemSequences
  /// The places in the packed sequences after which an item is predicted, ascending.
  package let places: [Int32]
  /// The item that follows each of ``places``.
  package let targets: [Int32]
}

/// Batches of windows of the users' histories, in which every item but a user's first is predicted once an epoch.
///
/// A history longer than a window is read in overlapping windows, each a quarter of a window behind the one before it; only
/// what is new in a window is predicted there. So every prediction but those of the first window sees at least
/// three quarters of a window, as it does when the model serves. The cuts differ from epoch to epoch.
package struct SequenceBatches {
  private let histories: UserHistories
  private let windowLength: Int
  private let predictionsPerBatch: Int
  private let source: RandomGenerator

  package init(_ histories: UserHistories, windowLength: Int, predictionsPerBatch: Int, seed: UInt64) {
    precondition(
      windowLength > 0 && predictionsPerBatch > 0,
      "SequenceBatches: windows of \(windowLength), batches of \(predictionsPerBatch)")
    self.histories = histories
    self.windowLength = windowLength
    self.predictionsPerBatch = predictionsPerBatch
    source = RandomGenerator(seed: seed).split(0x7365_7175)
  }

  /// What is read, and from where on it is predicted; both in places of all histories.
  private struct Window {
    let read: Range<Int>
    let predictsFrom: Int
  }

  /// The batches of an epoch: windows in random order, so many that a batch has at least the wanted predictions.
  package func epoch(_ epoch: Int) -> [SequenceBatch] {
    var generator = source.split(UInt64(epoch))
    let stride = max(1, windowLength / 4)
    var windows: [Window] = []
    for user in 0..<histories.userCount {
      // The last item is a target only.
      let (first, last) = (histories.starts[user], histories.starts[user + 1] - 1)
      guard last > first else { continue }
      let isLong = last - first > windowLength
      var end = isLong ? first + windowLength - generator.index(below: stride) : last
      windows.append(Window(read: first..<end, predictsFrom: first))
      while end < last {
        let next = min(end + stride, last)
        windows.append(Window(read: max(first, next - windowLength)..<next, predictsFrom: end))
        end = next
      }
    }
    let order = generator.permutation(of: windows.count)
    var batches: [SequenceBatch] = []
    var chosen: [Window] = []
    var predictions = 0
    for index in order {
      let window = windows[Int(index)]
      chosen.append(window)
      predictions += window.read.upperBound - window.predictsFrom
      if predictions >= predictionsPerBatch {
        batches.append(batch(chosen))
        (chosen, predictions) = ([], 0)
      }
    }
    if !chosen.isEmpty { batches.append(batch(chosen)) }
    return batches
  }

  private func batch(_ windows: [Window]) -> SequenceBatch {
    var places: [Int32] = []
    var targets: [Int32] = []
    var start = 0
    for window in windows {
      for place in window.predictsFrom..<window.read.upperBound {
        places.append(Int32(start + place - window.read.lowerBound))
        targets.append(histories.items[place + 1])
      }
      start += window.read.count
    }
    return SequenceBatch(
      sequences: ItemSequences(windows.map { histories.items[$0.read] }), places: places, targets: targets)
  }
}
