import Testing
import TrestleRecommenders
import TrestleTensor

/// The windows that sequential models are trained on.
@Suite struct SequenceBatchesTests {
  /// Users of 0, 1, 2, 8, 9 and 61 items; items count up within a user, from a hundred times the user.
  private static let histories: UserHistories = {
    var users: [Int32] = []
    var items: [Int32] = []
    for (user, count) in [0, 1, 2, 8, 9, 61].enumerated() {
      for place in 0..<count {
        users.append(Int32(user))
        items.append(Int32(100 * user + place))
      }
    }
    return UserHistories(Interactions(users: users, items: items, userCount: 6, itemCount: 600))
  }()

  private func batches(_ epoch: Int, perBatch: Int = 10) -> [SequenceBatch] {
    SequenceBatches(Self.histories, windowLength: 8, predictionsPerBatch: perBatch, seed: 3).epoch(epoch)
  }

  @Test func everyItemButTheFirstIsPredictedOnceAnEpoch() {
    for epoch in 0..<5 {
      let targets = batches(epoch).flatMap(\.targets).sorted()
      let expected = (0..<6).flatMap { Self.histories.items(of: $0).dropFirst() }
      #expect(targets == expected)
    }
  }

  @Test func aTargetFollowsItsPlaceAndSeesMostOfAWindow() {
    for batch in (0..<5).flatMap({ batches($0) }) {
      #expect(batch.places.count == batch.targets.count && batch.sequences.lengths.allSatisfy { $0 <= 8 })
      let positions = batch.sequences.lengths.flatMap { Array(0..<$0) }
      for (place, target) in zip(batch.places, batch.targets) {
        #expect(batch.sequences.items[Int(place)] == target - 1)
        let seen = positions[Int(place)] + 1
        // As many as there are, but for what a window ends early by.
        let before = Int(target % 100)
        #expect(seen >= min(before, 7), "\(target) sees \(seen) of \(before)")
      }
    }
  }

  @Test func longHistoriesAreCutElsewhereInAnotherEpoch() {
    // The first items of the windows, whatever their order.
    let starts = (0..<6).map { epoch in
      batches(epoch).flatMap { batch in
        var start = 0
        return batch.sequences.lengths.map { length in
          defer { start += length }
          return batch.sequences.items[start]
        }
      }.sorted()
    }
    #expect(Set(starts).count > 1)
    #expect(batches(2).map(\.targets) == batches(2).map(\.targets))
  }

  @Test func batchesHoldTheWantedPredictions() {
    for batch in batches(0, perBatch: 10).dropLast() {
      #expect(batch.targets.count >= 10 && batch.targets.count < 18)
    }
    let none = UserHistories(Interactions.empty(userCount: 3, itemCount: 2))
    #expect(SequenceBatches(none, windowLength: 8, predictionsPerBatch: 4, seed: 0).epoch(0).isEmpty)
  }

  @Test func predictionsSeeNearlyAsMuchAsInServing() throws {
    // Forty users of 150 items: a prediction sees 50 items in the end; disjoint windows show it 25 on average.
    let items = (0..<40 * 150).map { Int32($0 % 150) }
    let users = (0..<40 * 150).map { Int32($0 / 150) }
    let histories = UserHistories(Interactions(users: users, items: items, userCount: 40, itemCount: 150))
    let batches = SequenceBatches(histories, windowLength: 50, predictionsPerBatch: 500, seed: 1).epoch(0)
    var seen: [Int] = []
    for batch in batches {
      let positions = batch.sequences.lengths.flatMap { Array(0..<$0) }
      seen += batch.places.map { positions[Int($0)] + 1 }
    }
    // Prefixes of at most 50: (1 + … + 50 + 99 · 50) / 149 = 41.8.
    #expect(seen.count == 40 * 149)
    #expect(Double(seen.reduce(0, +)) / Double(seen.count) > 37)
  }
}
