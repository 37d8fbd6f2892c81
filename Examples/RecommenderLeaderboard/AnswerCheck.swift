import Foundation
import Trestle

/// How long answers to single users take, exactly and by an index of the items, and what the index misses.
struct AnswerCheck {
  /// How many users are asked for.
  static let requests = 1000

  let recommender: FittedRecommender

  func run() throws {
    let users = sample()
    let exact = try answers("every item looked at", users) { try recommender.recommend(for: $0) }
    guard let items = recommender.embeddings?.items, recommender.embeddings?.users != nil else {
      print("\(recommender.card.model) has no rows of users: no index is made")
      return
    }
    let start = ContinuousClock.now
    let index = ItemIndex(items, seed: 0)
    print("an index of \(index.cellCount) cells: \(milliseconds(since: start, digits: 0)) ms")
    for probes in [4, 8, 16, 32, 64, 128] where probes <= index.cellCount {
      let found = try answers("\(probes) cells looked into", users) {
        try recommender.recommend(for: $0, by: index, probes: probes)
      }
      // Equal scores may come in any order: what counts is how many of the exact answer's scores are reached.
      var (reached, wanted) = (0, 0)
      for (own, all) in zip(found, exact) {
        wanted += all.items.count
        guard let last = all.items.last?.score else { continue }
        reached += own.items.filter { $0.score >= last - abs(last) * 1e-5 }.count
      }
      print(String(format: "  recall@10 %.4f", Double(reached) / Double(max(wanted, 1))))
    }
  }

  /// Users spread over the catalogue, in a scattered order.
  private func sample() -> [String] {
    var generator = RandomGenerator(seed: 1)
    let all = generator.permutation(of: recommender.userCount)
    return all.prefix(Self.requests).map { recommender.catalogue.userIDs[Int($0)] }
  }

  private func answers(
    _ what: String, _ users: [String], _ answer: (String) throws -> RecommendationList
  ) throws -> [RecommendationList] {
    // The first answers touch memory for the first time.
    for user in users.prefix(20) { _ = try answer(user) }
    var lists: [RecommendationList] = []
    var times: [Double] = []
    for user in users {
      let start = ContinuousClock.now
      lists.append(try answer(user))
      times.append((ContinuousClock.now - start) / .milliseconds(1))
    }
    times.sort()
    let (middle, late) = (times[times.count / 2], times[times.count * 99 / 100])
    print(String(format: "%@: p50 %.3f ms, p99 %.3f ms of %d answers", what, middle, late, times.count))
    fflush(nil)
    return lists
  }

  private func milliseconds(since start: ContinuousClock.Instant, digits: Int) -> String {
    String(format: "%.\(digits)f", (ContinuousClock.now - start) / .milliseconds(1))
  }
}
