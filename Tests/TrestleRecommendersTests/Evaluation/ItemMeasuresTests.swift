import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

/// Intra-list diversity and miscalibration, of lists small enough for a pencil and against another way of computing them.
@Suite struct ItemMeasuresTests {
  private static let labels = [["A", "B"], ["A"], ["C", "B", "C"], [], ["B", "A"], ["D"]]
  private static let categories = ItemCategories(labels)

  private func list(_ items: [Int32], user: Int32 = 0) -> RankedList {
    RankedList(
      user: user, items: items, relevance: items.map { _ in false }, relevantCount: 1)
  }

  private func isClose(_ value: Double?, _ expected: Double, within tolerance: Double = 1e-12) -> Bool {
    value.map { abs($0 - expected) <= tolerance } ?? false
  }

  @Test func categoriesAreDistinctAndInTheOrderOfTheirNames() {
    #expect(Self.categories.names == ["A", "B", "C", "D"] && Self.categories.itemCount == 6)
    #expect(
      (0..<6).map { Array(Self.categories.categories(of: $0)) } == [[0, 1], [0], [1, 2], [], [0, 1], [3]])
  }

  @Test(
    arguments: [
      // {A,B} and {A} differ by 1/2, {A,B} and {B,C} by 2/3, {A} and {B,C} by 1.
      ([0, 1, 2], 13.0 / 18), ([2, 0], 2.0 / 3), ([0, 4], 0), ([0, 5], 1), ([5, 1, 2], 1),
      // Beyond the cutoff of 3 nothing counts.
      ([0, 1, 2, 5], 13.0 / 18),
      // Pairs with the unknown item 3 are left out.
      ([0, 3, 1], 0.5), ([0, 3], 0), ([3], 0), ([1], 0), ([], 0),
    ] as [([Int32], Double)])
  func diversityIsTheMeanDistanceOfPairs(items: [Int32], expected: Double) {
    let measure = IntraListDiversity(Self.categories, cutoff: 3)
    #expect(isClose(measure.value(list(items)), expected) && measure.name == "ILD@3")
    #expect(IntraListDiversity(Self.categories, cutoff: 1).value(list(items)) == 0)
  }

  @Test func diversityOfVectorsIsOneMinusTheCosine() throws {
    let rows: [Float] = [3, 0, 0, 2, -5, 0, 0, 0, 1, 1, 7, 7]
    let single = Tensor(rows, shape: [6, 2])
    for vectors in [single, single.converted(to: .float64)] {
      let measure = try IntraListDiversity(vectors: vectors, cutoff: 4)
      #expect(measure.name == "CosineILD@4")
      #expect(isClose(measure.value(list([0, 1])), 1) && isClose(measure.value(list([0, 2])), 2))
      // 1, 2 and 1 of the three pairs.
      #expect(isClose(measure.value(list([0, 1, 2])), 4.0 / 3))
      #expect(isClose(measure.value(list([0, 4])), 1 - 0.5.squareRoot()))
      #expect(isClose(measure.value(list([4, 5])), 0) && measure.value(list([4, 5])) >= 0)
      // A vector of zeros says nothing.
      #expect(isClose(measure.value(list([0, 3, 1])), 1) && measure.value(list([3, 0])) == 0)
    }
    for wrong in [Tensor(rows), Tensor([1, 2] as [Int32], shape: [1, 2])] {
      let error = #expect(throws: DataError.self) { try IntraListDiversity(vectors: wrong) }
      #expect("\(try #require(error))".contains("expected vectors [items, width]"))
    }
    let error = #expect(throws: DataError.self) {
      try IntraListDiversity(vectors: Tensor([1, 2, 3, .nan] as [Float], shape: [2, 2]))
    }
    #expect("\(try #require(error))".contains("for item 1"))
  }

  /// User 0 has had {A} and {B,C}, user 1 only the unknown item, user 2 nothing, user 3 {A} twice, {D} and the unknown item.
  private static let history = Interactions(
    users: [0, 0, 1, 3, 3, 3, 3], items: [1, 2, 3, 1, 5, 1, 3], userCount: 4, itemCount: 6)

  @Test func miscalibrationIsTheDivergenceFromTheHistory() {
    let measure = Miscalibration(Self.categories, training: Self.history, cutoff: 2)
    #expect(measure.name == "Miscalibration@2" && measure.smoothing == 0.01)
    // p is 1/2 A, 1/4 B, 1/4 C; the list of {A,B} and {A} has 3/4 A, 1/4 B, smoothed .7475, .25 and .0025.
    let expected = 0.5 * log(0.5 / 0.7475) + 0.25 * log(100.0)
    #expect(isClose(measure.value(list([0, 1])), expected) && isClose(expected, 0.950229, within: 1e-6))
    // The same proportions, whatever stands beyond the cutoff; unknown items are left out.
    #expect(isClose(measure.value(list([2, 1, 5])), 0) && measure.value(list([2, 1])) >= 0)
    #expect(isClose(measure.value(list([3, 1])), measure.value(list([1]))))
    // Nothing that the user had, or nothing known.
    for items: [Int32] in [[5], [3], []] { #expect(isClose(measure.value(list(items)), log(100))) }
    // 2/3 A and 1/3 D: interactions that are repeated count each time.
    let other = 2.0 / 3 * log(2.0 / 3 / (0.99 + 0.02 / 3)) + 1.0 / 3 * log(100.0)
    #expect(isClose(measure.value(list([1], user: 3)), other))
    let one = Miscalibration(Self.categories, training: Self.history, cutoff: 1, smoothing: 0.5)
    // Of k = 1 only {A}: smoothed 3/4, 1/8 and 1/8.
    #expect(isClose(one.value(list([1, 2])), 0.5 * log(2.0 / 3) + 0.5 * log(2.0)))
    #expect((0..<4).map { measure.isDefined(for: $0) } == [true, false, false, true])
    #expect(measure.value(list([1, 0], user: 1)) == 0)
  }

  // MARK: In an evaluation

  private static func split(test: [(Int32, Int32)]) -> DataSplit {
    DataSplit(
      training: history, validation: .empty(userCount: 4, itemCount: 6),
      test: Interactions(users: test.map(\.0), items: test.map(\.1), userCount: 4, itemCount: 6))
  }

  private func evaluate(
    _ scorer: some CatalogueScorer, test: [(Int32, Int32)] = [(0, 0), (1, 0), (2, 1), (3, 4)],
    cutoff: Int = 3
  ) throws -> EvaluationResult {
    var items = ItemAttributes(count: 6)
    items.genres = Self.labels
    let split = Self.split(test: test)
    var evaluator = RankingEvaluator(split, configuration: RankingEvaluatorTests.configuration([.ndcg(2)]))
    evaluator.customMetrics = items.genreMetrics(training: split.training, cutoff: cutoff)
    #expect(evaluator.customMetrics.count == 2)
    return try evaluator.evaluate(scorer)
  }

  @Test func tiesAreBrokenAsInTheLists() throws {
    let result = try evaluate(RowScorer(itemCount: 6) { _ in [Float](repeating: 1, count: 6) })
    // The lower item first, without what was seen: user 3 has had 1, 3 and 5.
    #expect(result.lists?.map { Array($0.prefix(3)) } == [[0, 3, 4], [0, 1, 2], [0, 1, 2], [0, 2, 4]])
    let values = result.values("ILD@3")
    #expect(values == [0, Float(13.0 / 18), Float(13.0 / 18), Float(4.0 / 9)])
    #expect(isClose(result.mean("ILD@3"), (13.0 / 9 + 4.0 / 9) / 4))
  }

  @Test func usersWithoutCategoriesCountInNoMeanAndNoTest() throws {
    let scorer = RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] }
    let result = try evaluate(scorer)
    let all = try #require(result.slice(.all))
    #expect(all.users == [0, 1, 2, 3] && all.usersWithoutValue == ["Miscalibration@3": [1, 2]])
    let values = result.values("Miscalibration@3").map(Double.init)
    #expect(values[1] == 0 && values[2] == 0 && values[0] > 0 && values[3] > 0)
    #expect(isClose(result.mean("Miscalibration@3"), (values[0] + values[3]) / 2, within: 1e-6))
    let groups = result.groups(by: UserGroups(names: ["a", "b"], groups: [0, 0, 1, 1]))
    #expect(isClose(groups[0].means["Miscalibration@3"], values[0]))
    #expect(isClose(groups[1].means["Miscalibration@3"], values[3]))

    let other = try evaluate(RowScorer(itemCount: 6) { _ in [1, 2, 3, 4, 5, 6] })
    let comparison = try PairedComparison([other], over: [result], metric: "Miscalibration@3")
    let differences = zip(other.values("Miscalibration@3"), result.values("Miscalibration@3"))
      .map { Double($0) - Double($1) }
    #expect(comparison.difference.count == 2)
    #expect(isClose(comparison.difference.mean, (differences[0] + differences[3]) / 2))
    #expect(try PairedComparison([other], over: [result], metric: "ILD@3").difference.count == 4)
    #expect(throws: DataError.self) { try PairedComparison([other], over: [result], metric: "ILD@4") }

    // Nobody with a value: no mean.
    let nobody = try evaluate(scorer, test: [(1, 0), (2, 0)])
    #expect(nobody.mean("Miscalibration@3") == nil && nobody.values("Miscalibration@3") == [0, 0])
    #expect(nobody.mean("ILD@3") != nil)
  }

  @Test func linesOfALeaderboardSayOfHowManyUsers() throws {
    let result = try evaluate(RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] })
    var board = Leaderboard(dataset: "tiny")
    board.add(model: "A", seed: 0, result: result, trainingSeconds: 0)
    let lines = try board.jsonLines().split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    func users(_ metric: String) throws -> Int? {
      try lines.first {
        try $0.member("metric").string() == metric && $0.member("slice").string() == "all"
      }?.member("users").int()
    }
    #expect(try users("Miscalibration@3") == 2 && users("ILD@3") == 4 && users("NDCG@2") == 4)
    let decoded = try JSONDecoder().decode(EvaluationResult.self, from: JSONEncoder().encode(result))
    #expect(decoded.slice(.all)?.usersWithoutValue == ["Miscalibration@3": [1, 2]])
  }

  @Test func listsShorterThanTheCutoffCountAsTheyAre() throws {
    let result = try evaluate(RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] }, cutoff: 50)
    // User 3 is left with 0, 2 and 4: distances of 2/3, 0 and 2/3.
    #expect(result.values("ILD@50").last == Float(4.0 / 9))
    let single = try evaluate(RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] }, cutoff: 1)
    #expect(single.values("ILD@1") == [0, 0, 0, 0])
    // {A,B} for a user of 1/2 A, 1/4 B and 1/4 C.
    let expected = 0.5 * log(0.5 / 0.5) + 0.25 * log(0.25 / 0.4975) + 0.25 * log(100.0)
    #expect(isClose(Double(single.values("Miscalibration@1")[0]), expected, within: 1e-6))
  }

  @Test func withoutGenresNothingIsMeasured() throws {
    let items = ItemAttributes(count: 6)
    #expect(items.genreMetrics(training: Self.history).isEmpty)
  }

  /// Both measures over a world by tables of all items and all pairs: products of matrices and entropies, where the measures
  /// go from list to list.
  @Test func tablesOfAllPairsGiveTheSame() throws {
    var dataset = try SyntheticWorld(seed: 5).dataset()
    // Some items are unknown, and some users have had no others.
    for item in stride(from: 0, to: dataset.itemCount, by: 3) { dataset.items.genres[item] = [] }
    let split = try dataset.interactions.split(.ratio(), seed: 1)
    var configuration = RankingEvaluator.Configuration()
    configuration.keepsLists = true
    var evaluator = RankingEvaluator(split, configuration: configuration)
    evaluator.customMetrics = dataset.items.genreMetrics(training: split.training)
    let result = try evaluator.evaluate(EASE(training: split.training).makeScorer())
    let tables = Tables(dataset.items.genres)
    let lists = try #require(result.lists)
    let (diversity, calibration) = (result.values("ILD@10"), result.values("Miscalibration@10"))
    for (place, user) in result.users.enumerated() {
      let list = lists[place].prefix(10).map(Int.init)
      #expect(isClose(Double(diversity[place]), tables.diversity(list), within: 1e-6))
      let history = split.training.users.indices.filter { split.training.users[$0] == user }
        .map { Int(split.training.items[$0]) }
      let expected = tables.divergence(of: list, from: history)
      #expect(isClose(Double(calibration[place]), expected ?? 0, within: 1e-5))
      #expect(
        (expected == nil)
          == (result.slices[0].usersWithoutValue?["Miscalibration@10"]?.contains(user) ?? false))
    }
    #expect(Set(diversity).count > 30 && Set(calibration).count > 30)
  }

  /// A column for each category, a row for each item.
  private struct Tables {
    private let indicators: [[Double]]
    private let shared: [[Double]]

    init(_ labels: [[String]]) {
      let names = Array(Set(labels.joined()))
      let rows = labels.map { own in names.map { own.contains($0) ? 1.0 : 0.0 } }
      indicators = rows
      shared = rows.map { row in rows.map { other in zip(row, other).map(*).reduce(0, +) } }
    }

    /// Half of the sum over both orders, where both items are known.
    func diversity(_ list: [Int]) -> Double {
      var (sum, weight) = (0.0, 0.0)
      for first in list {
        for second in list where first != second {
          let known = min(shared[first][first], 1) * min(shared[second][second], 1)
          let union = shared[first][first] + shared[second][second] - shared[first][second]
          sum += known * (1 - shared[first][second] / max(union, 1))
          weight += known
        }
      }
      return weight == 0 ? 0 : sum / weight
    }

    private func mean(_ items: [Int]) -> [Double]? {
      let rows = items.filter { shared[$0][$0] > 0 }
        .map { item in indicators[item].map { $0 / shared[item][item] } }
      guard let first = rows.first else { return nil }
      return rows.dropFirst().reduce(first) { zip($0, $1).map(+) }.map { $0 / Double(rows.count) }
    }

    /// Cross entropy less entropy.
    func divergence(of list: [Int], from history: [Int]) -> Double? {
      guard let wanted = mean(history) else { return nil }
      let found = mean(list) ?? wanted.map { _ in 0 }
      let smooth = zip(found, wanted).map { $0 - ($0 - $1) / 100 }
      let entropy = -wanted.filter { $0 > 0 }.map { $0 * log($0) }.reduce(0, +)
      let cross = -zip(wanted, smooth).filter { $0.0 > 0 }.map { $0 * log($1) }.reduce(0, +)
      return cross - entropy
    }
  }
}
