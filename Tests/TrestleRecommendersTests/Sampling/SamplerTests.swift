import Testing
import TrestleRecommenders
import TrestleTensor

@Suite struct SamplerTests {
  /// User 0 has all but item 5, user 1 has everything, user 2 has items 0 and 1, user 3 nothing.
  static let matrix = UserItemMatrix(
    Interactions(
      users: [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2], items: [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 0, 1],
      userCount: 4,
      itemCount: 6))

  static let samplers: [any NegativeSampler] = [
    UniformNegativeSampler(avoiding: matrix), PopularityNegativeSampler(avoiding: matrix),
    InBatchNegativeSampler(avoiding: matrix),
    DynamicNegativeSampler(avoiding: matrix, candidates: 3) { _, items in items.map { Float($0) } },
  ]

  @Test(arguments: samplers.indices)
  func negativesAreNeverPositivesAndFullUsersGetNone(index: Int) {
    let sampler = Self.samplers[index]
    var generator = RandomGenerator(seed: 1)
    let users = (0..<400).map { Int32($0 % 4) }
    let positives = users.map { _ in Int32(1) }
    var negatives: [Int32] = []
    sampler.sample(users: users, positives: positives, into: &negatives, generator: &generator)
    #expect(negatives.count == 400)
    for (user, item) in zip(users, negatives) {
      switch user {
      case 0: #expect(item == 5)
      case 1: #expect(item == -1)
      default: #expect((0..<6).contains(item) && !Self.matrix.contains(user: Int(user), item: item))
      }
    }
    var again: [Int32] = []
    var sameSeed = RandomGenerator(seed: 1)
    sampler.sample(users: users, positives: positives, into: &again, generator: &sameSeed)
    #expect(again == negatives)
  }

  @Test func uniformNegativesAreUniform() {
    var generator = RandomGenerator(seed: 2)
    var negatives: [Int32] = []
    let users = [Int32](repeating: 2, count: 40_000)
    UniformNegativeSampler(avoiding: Self.matrix).sample(
      users: users, positives: users, into: &negatives, generator: &generator)
    for item in 2..<6 {
      let share = Double(negatives.count { $0 == item }) / 40_000
      #expect(abs(share - 0.25) < 0.015)
    }
  }

  @Test func popularNegativesFollowTheCounts() {
    var generator = RandomGenerator(seed: 3)
    var negatives: [Int32] = []
    let users = [Int32](repeating: 3, count: 40_000)
    PopularityNegativeSampler(avoiding: Self.matrix, exponent: 1).sample(
      users: users, positives: users, into: &negatives, generator: &generator)
    // Users per item: 3 3 2 2 2 1 of 13.
    for (item, weight) in [3.0, 3, 2, 2, 2, 1].enumerated() {
      let share = Double(negatives.count { $0 == item }) / 40_000
      #expect(abs(share - weight / 13) < 0.015)
    }
  }

  @Test func dynamicNegativesPreferHighScores() {
    var generator = RandomGenerator(seed: 4)
    var negatives: [Int32] = []
    let users = [Int32](repeating: 2, count: 10_000)
    Self.samplers[3].sample(users: users, positives: users, into: &negatives, generator: &generator)
    // The best of three uniform draws from 2…5 is 5 with probability 1 − (3/4)³.
    let share = Double(negatives.count { $0 == 5 }) / 10_000
    #expect(abs(share - (1 - 27.0 / 64)) < 0.03)
  }

  @Test func epochsCoverEveryRowOnceAndDependOnTheirNumberOnly() throws {
    let data = try SyntheticWorld(seed: 1).dataset().interactions
    let sampler = PairwiseBatches(training: data, batchSize: 1000, seed: 7)
    let matrix = UserItemMatrix(data)
    func epoch(_ number: Int) -> [[[Int32]]] {
      sampler.epoch(number).map { [$0.users.scalars(), $0.positives.scalars(), $0.negatives.scalars()] }
    }
    let first = epoch(0)
    #expect(first.count == sampler.count && first.dropLast().allSatisfy { $0[0].count == 1000 })
    let pairs = first.flatMap { zip($0[0], $0[1]).map { [$0, $1] } }
    #expect(pairs.count == data.count && Set(pairs) == Set(zip(data.users, data.items).map { [$0, $1] }))
    for batch in first {
      for (user, item) in zip(batch[0], batch[2]) {
        #expect(!matrix.contains(user: Int(user), item: item))
      }
    }
    #expect(epoch(1) != first && epoch(0) == first)
  }

  @Test func everySamplerServesPairwiseBatches() throws {
    let data = try SyntheticWorld(seed: 1).dataset().interactions
    let matrix = UserItemMatrix(data)
    let samplers: [any NegativeSampler] = [
      PopularityNegativeSampler(avoiding: matrix), InBatchNegativeSampler(avoiding: matrix),
    ]
    for sampler in samplers {
      let batches = PairwiseBatches(training: data, batchSize: 500, seed: 7, negatives: sampler)
      for batch in batches.epoch(3) {
        let users: [Int32] = batch.users.scalars()
        for (user, item) in zip(users, batch.negatives.scalars() as [Int32]) {
          #expect(!matrix.contains(user: Int(user), item: item))
        }
      }
    }
  }

  @Test func rowsOfUsersWithEverythingAreLeftOut() {
    let rows = Interactions(users: [0, 0, 1], items: [0, 1, 0], userCount: 2, itemCount: 2)
    let sampler = PairwiseBatches(training: rows, batchSize: 8, seed: 0)
    #expect(sampler.interactionCount == 1)
    for batch in sampler.epoch(0) {
      #expect(batch.users.scalars() == [1 as Int32] && batch.positives.scalars() == [0 as Int32])
      #expect(batch.negatives.scalars() == [1 as Int32])
    }
    let empty = PairwiseBatches(
      training: .empty(userCount: 3, itemCount: 0), batchSize: 8, seed: 0)
    for _ in empty.epoch(0) { Issue.record("expected no batch") }
    #expect(empty.count == 0)
  }
}
