import Foundation
import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor

/// Users whose validation items are drawn by known weights of two sides' scores.
private struct FusionWorld {
  let domain: InnerProductScorer
  let language: InnerProductScorer
  let split: DataSplit

  /// - Parameter weights: of the standardised scores, for each user.
  init(users: Int, items: Int, seed: UInt64, weights: (Int) -> (domain: Double, language: Double)) {
    var generator = RandomGenerator(seed: seed)
    let width = items
    func scores() -> [[Double]] { (0..<users).map { _ in (0..<items).map { _ in generator.normal() } } }
    let (first, second) = (scores(), scores())
    func standardized(_ row: [Double]) -> [Double] {
      let mean = row.reduce(0, +) / Double(items)
      let deviation = (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(items)).squareRoot()
      return row.map { ($0 - mean) / deviation }
    }
    var rows: [(user: Int32, item: Int32)] = []
    var seen: [(user: Int32, item: Int32)] = []
    for user in 0..<users {
      let (a, b) = weights(user)
      let (x, y) = (standardized(first[user]), standardized(second[user]))
      // Users of odd number have more training items: two classes of activity.
      for item in 0..<(user % 2 == 0 ? 2 : 6) { seen.append((Int32(user), Int32(item))) }
      let odds = (6..<items).map { exp(a * x[$0] + b * y[$0]) }
      for _ in 0..<8 {
        var place = generator.uniform() * odds.reduce(0, +)
        var item = 0
        while item < odds.count - 1, place > odds[item] {
          place -= odds[item]
          item += 1
        }
        rows.append((Int32(user), Int32(item + 6)))
      }
    }
    func interactions(_ pairs: [(user: Int32, item: Int32)]) -> Interactions {
      Interactions(users: pairs.map(\.user), items: pairs.map(\.item), userCount: users, itemCount: items)
    }
    split = DataSplit(
      training: interactions(seen), validation: interactions(rows), test: interactions([]), strategy: "drawn")
    // Inner products with unit vectors: any matrix of scores, here on scales of their own.
    let identity = Tensor(
      (0..<width * width).map { $0 % (width + 1) == 0 ? Float(1) : 0 }, shape: [width, width])
    func scorer(_ scores: [[Double]], _ scale: Double, _ offset: Double) -> InnerProductScorer {
      InnerProductScorer(
        Representations(
          users: Tensor(scores.joined().map { Float($0 * scale + offset) }, shape: [users, width]),
          items: identity))
    }
    domain = scorer(first, 5, 2)
    language = scorer(second, 0.1, -40)
  }
}

@Suite struct FusionTests {
  @Test func theFitFindsTheWeightsThatMadeTheData() throws {
    for (a, b) in [(1.5, 0.5), (0.8, 0.8), (0.3, 1.2)] {
      let world = FusionWorld(users: 600, items: 60, seed: 5) { _ in (a, b) }
      let fit = try FusionWeights(fitting: world.domain, world.language, split: world.split, classes: 1)
      #expect(abs(fit.alphas[0] - b / (a + b)) < 0.04, "α \(fit.alphas[0]), made with \(b / (a + b))")
    }
  }

  @Test func aSideThatSaysNothingOrTheContraryGetsNoWeight() throws {
    let silent = FusionWorld(users: 600, items: 60, seed: 6) { _ in (1.2, 0) }
    #expect(
      try FusionWeights(fitting: silent.domain, silent.language, split: silent.split, classes: 1).alphas[0]
        < 0.05)
    let contrary = FusionWorld(users: 600, items: 60, seed: 7) { _ in (1.2, -0.4) }
    #expect(
      try FusionWeights(fitting: contrary.domain, contrary.language, split: contrary.split, classes: 1).alphas
        == [0])
    let reversed = FusionWorld(users: 600, items: 60, seed: 8) { _ in (-0.4, 1.2) }
    #expect(
      try FusionWeights(fitting: reversed.domain, reversed.language, split: reversed.split, classes: 1).alphas
        == [1])
  }

  @Test func classesDifferAsFarAsTheirUsersSupport() throws {
    // The active users follow the language side, the others the domain side.
    let weights = { (user: Int) in user % 2 == 0 ? (domain: 1.2, language: 0.2) : (domain: 0.2, language: 1.2)
    }
    let many = FusionWorld(users: 3000, items: 40, seed: 9, weights: weights)
    let wide = try FusionWeights(fitting: many.domain, many.language, split: many.split, classes: 2)
    #expect(wide.bounds.count == 1)
    #expect(wide.alphas[0] < 0.25 && wide.alphas[1] > 0.75, "\(wide)")
    // A few users: both stay near the common value.
    let few = FusionWorld(users: 20, items: 40, seed: 9, weights: weights)
    let narrow = try FusionWeights(fitting: few.domain, few.language, split: few.split, classes: 2)
    #expect(narrow.alphas[1] - narrow.alphas[0] < 0.3, "\(narrow)")
  }

  @Test func withoutValidationDataBothSidesCountAlike() throws {
    let world = FusionWorld(users: 12, items: 20, seed: 10) { _ in (1, 1) }
    let none = Interactions(users: [], items: [], userCount: 12, itemCount: 20)
    let split = DataSplit(training: world.split.training, validation: none, test: none, strategy: "empty")
    #expect(try FusionWeights(fitting: world.domain, world.language, split: split).alphas == [0.5, 0.5, 0.5])
  }
}

@Suite struct TimedHistoriesTests {
  private func interactions(_ timestamps: [Int64]?) -> Interactions {
    Interactions(
      users: [0, 0, 0, 1, 0, 0], items: [4, 2, 7, 1, 2, 9], timestamps: timestamps, userCount: 3,
      itemCount: 10)
  }

  @Test func historiesAreInTheOrderOfTimeAndHoldAnItemOnce() {
    #expect(TimedHistories(interactions([50, 10, 30, 1, 60, 30])).items == [[7, 9, 4, 2], [1], []])
    #expect(TimedHistories(interactions(nil)).items == [[4, 7, 2, 9], [1], []])
  }

  @Test func windowsHoldWhatIsNearInTime() {
    let count = 100
    let histories = TimedHistories(
      Interactions(
        users: Array(repeating: 0, count: count), items: (0..<Int32(count)).map { $0 },
        timestamps: (0..<Int64(count)).map { $0 }, userCount: 1, itemCount: count))
    let read = histories.readingWindows(of: 0, width: 32, most: 768, seed: 1)
    #expect(read.map(\.count) == [33, 33, 34])
    #expect(read.map { $0.sorted() }.joined().elementsEqual(0..<Int32(count)))
    #expect(read.contains { $0 != $0.sorted() }, "the order within a window is random")
    #expect(read == histories.readingWindows(of: 0, width: 32, most: 768, seed: 1))
    let thinned = histories.readingWindows(of: 0, width: 32, most: 64, seed: 1)
    #expect(thinned.count == 2 && thinned[0].sorted() == Array(0..<33))

    var generator = RandomGenerator(seed: 3)
    var cuts: Set<[[Int32]]> = []
    for _ in 0..<20 {
      let windows = histories.trainingWindows(of: 0, width: 32, most: 64, using: &generator)
      #expect(windows.count == 2)
      #expect(Set(windows.joined()).count == windows.joined().count)
      for window in windows {
        // Neighbours on the ring of the history.
        let sorted = window.sorted()
        let gaps = zip(sorted, sorted.dropFirst() + [sorted[0] + 100]).filter { $1 - $0 > 1 }
        #expect(gaps.count == 1, "\(sorted)")
      }
      cuts.insert(windows.map { $0.sorted() })
    }
    #expect(cuts.count > 15, "cut anew each time")
  }
}
