/// The best `k` items of one user, collected tile by tile; of equal scores the lower item comes first.
///
/// A binary heap with the worst kept item on top: a tile costs one comparison per item and a sift per item that
/// enters.
struct TopItems {
  private(set) var scores: [Float] = []
  private(set) var items: [Int32] = []
  /// How many items have the worst kept item's score and were not kept.
  private(set) var leftOutTies = 0
  private let limit: Int

  init(limit: Int) {
    self.limit = limit
    scores.reserveCapacity(limit)
    items.reserveCapacity(limit)
  }

  /// The best of several parts of a catalogue, each with its own best: as if one had seen all.
  init(merging parts: [TopItems], limit: Int) {
    self.init(limit: limit)
    var all: [(score: Float, item: Int32)] = []
    for part in parts {
      for place in part.scores.indices { all.append((part.scores[place], part.items[place])) }
    }
    all.sort { $0.score == $1.score ? $0.item < $1.item : $0.score > $1.score }
    // Worst first is a heap already.
    for entry in all.prefix(limit).reversed() {
      scores.append(entry.score)
      items.append(entry.item)
    }
    guard let worst = scores.first, scores.count == limit else { return }
    leftOutTies = all.dropFirst(limit).prefix { $0.score == worst }.count
    for part in parts where part.scores.first == worst { leftOutTies += part.leftOutTies }
  }

  /// Items with their scores, of which further ones of the worst score were left out.
  init(limit: Int, scores: [Float], items: [Int32], leftOutTies: Int) {
    (self.limit, self.scores, self.items, self.leftOutTies) = (limit, scores, items, leftOutTies)
  }

  /// Offers the items `first..<first + count` whose scores start at `start`; tiles come in ascending order of items.
  ///
  /// Scores of −∞ never enter. Returns the first item whose score is NaN, `nil` if there is none.
  mutating func offer(_ tile: [Float], from start: Int, count: Int, first: Int) -> Int? {
    guard limit > 0 else { return nil }
    var threshold = self.scores.count < limit ? -Float.infinity : self.scores[0]
    for offset in 0..<count {
      let score = tile[start + offset]
      // Written so that NaN passes, which costs nothing on the usual path.
      if !(score < threshold) {
        if score.isNaN { return first + offset }
        if score > threshold {
          insert(score, Int32(first + offset))
          if scores.count == limit { threshold = scores[0] }
        } else if score > -.infinity {
          // A later item of equal score is worse.
          leftOutTies += 1
        }
      }
    }
    return nil
  }

  /// Offers one item, behind those offered before; its score is a number.
  mutating func offer(_ score: Float, _ item: Int) {
    if scores.count < limit || score > (scores.first ?? .infinity) { insert(score, Int32(item)) }
  }

  /// The items with their scores, from the best to the worst.
  func sorted() -> [(item: Int32, score: Float)] {
    items.indices.sorted { first, second in
      scores[first] == scores[second] ? items[first] < items[second] : scores[first] > scores[second]
    }.map { (items[$0], scores[$0]) }
  }

  private mutating func insert(_ score: Float, _ item: Int32) {
    if scores.count < limit {
      scores.append(score)
      items.append(item)
      siftUp(scores.count - 1)
    } else {
      let replaced = scores[0]
      scores[0] = score
      items[0] = item
      siftDown()
      leftOutTies = scores[0] == replaced ? leftOutTies + 1 : 0
    }
  }

  /// Whether entry `a` ranks behind entry `b`.
  private func isWorse(_ a: Int, _ b: Int) -> Bool {
    scores[a] == scores[b] ? items[a] > items[b] : scores[a] < scores[b]
  }

  private mutating func siftUp(_ start: Int) {
    var index = start
    while index > 0 {
      let parent = (index - 1) / 2
      guard isWorse(index, parent) else { return }
      swap(index, parent)
      index = parent
    }
  }

  private mutating func siftDown() {
    var index = 0
    while true {
      var worst = index
      for child in [2 * index + 1, 2 * index + 2] where child < scores.count && isWorse(child, worst) {
        worst = child
      }
      guard worst != index else { return }
      swap(index, worst)
      index = worst
    }
  }

  private mutating func swap(_ a: Int, _ b: Int) {
    scores.swapAt(a, b)
    items.swapAt(a, b)
  }
}

extension Array<Float> {
  /// Those of the given places where the largest values stand, the largest first, of equal ones the lower place first.
  ///
  /// - Precondition: no value is NaN.
  package func largest(_ count: Int, among places: some Sequence<Int>) -> [Int] {
    var top = TopItems(limit: count)
    for place in places.sorted() { top.offer(self[place], place) }
    return top.sorted().map { Int($0.item) }
  }
}
