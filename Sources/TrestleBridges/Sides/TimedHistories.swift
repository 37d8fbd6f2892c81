import TrestleRecommenders
import TrestleTensor

/// The histories of users in the order of time, and the windows that a language model reads them in.
///
/// What somebody met at one time belongs together more closely than what lies years apart. A window holds items that
/// follow one another in time, in random order: a model that has read a window knows what was near them, and a history
/// has as much to say as its windows together.
package struct TimedHistories: Sendable {
  /// The distinct items of each user, by the time of the last interaction; in the data's order if it has no timestamps.
  package let items: [[Int32]]

  package init(_ training: Interactions) {
    let (offsets, rows) = (try? training.rowsByUserInTimeOrder()) ?? training.rowsByUser()
    items = (0..<training.userCount).map { user in
      var seen: Set<Int32> = []
      let latestFirst = rows[offsets[user]..<offsets[user + 1]].reversed().compactMap { row in
        let item = training.items[Int(row)]
        return seen.insert(item).inserted ? item : nil
      }
      return latestFirst.reversed()
    }
  }

  /// The number of windows of a history.
  static func windowCount(_ items: Int, width: Int) -> Int {
    items == 0 ? 0 : max(1, (items + width / 2) / width)
  }

  /// Windows to train on: the history, begun at a random place as if it were a ring, is cut anew each time.
  ///
  /// - Parameters:
  ///   - width: about how many items a window has.
  ///   - most: how many items are read in all; random windows of longer histories.
  package func trainingWindows(
    of user: Int32, width: Int, most: Int, using generator: inout RandomGenerator
  ) -> [[Int32]] {
    var history = items[Int(user)]
    if Self.windowCount(history.count, width: width) > 1 {
      let start = generator.index(below: history.count)
      history = Array(history[start...] + history[..<start])
    }
    var windows = cut(history, width)
    generator.shuffle(&windows)
    windows = Array(windows.prefix(max(1, most / width)))
    for place in windows.indices { generator.shuffle(&windows[place]) }
    return windows
  }

  /// Windows to rank the catalogue by: the same each time.
  ///
  /// - Parameters:
  ///   - width: about how many items a window has.
  ///   - most: how many items are read in all; windows at even distances of longer histories.
  package func readingWindows(of user: Int32, width: Int, most: Int, seed: UInt64) -> [[Int32]] {
    let all = cut(items[Int(user)], width)
    let count = min(all.count, max(1, most / width))
    var generator = RandomGenerator(seed: seed).split(UInt64(user))
    return (0..<count).map { place in
      var window = all[place * all.count / count]
      generator.shuffle(&window)
      return window
    }
  }

  private func cut(_ history: [Int32], _ width: Int) -> [[Int32]] {
    let count = Self.windowCount(history.count, width: width)
    return (0..<count).map { place in
      Array(history[place * history.count / count..<(place + 1) * history.count / count])
    }
  }
}
