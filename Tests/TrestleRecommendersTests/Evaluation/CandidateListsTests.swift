import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct CandidateListsTests {
  private struct Pairwise: CandidateScorer {
    let itemCount = 300
    func scores(user: Int32, items: [Int32]) -> [Float] { items.map { Float(($0 &* 7919 &+ user) % 101) } }
    func prepare(users: [Int32]) throws -> any UserBatchScores {
      throw DataError.unreadable(path: "", reason: "unused")
    }
  }

  private func split() throws -> DataSplit {
    try SyntheticWorld(seed: 8).dataset().interactions.split(.ratio(), seed: 1)
  }

  @Test func sampledCandidatesHoldTheTestItemsAndNothingElseKnown() throws {
    let split = try split()
    let lists = CandidateLists.sampled(from: split, negatives: 50, seed: 2)
    let test = UserItemMatrix(split.test)
    let seen = UserItemMatrix(
      split.training, split.validation, userCount: split.userCount, itemCount: split.itemCount)
    #expect(lists.users == test.activeUsers())
    for (user, items) in zip(lists.users, lists.items) {
      #expect(items.count == 50 + test.count(of: Int(user)))
      #expect(items == items.sorted() && Set(items).isSuperset(of: test.items(of: Int(user))))
      #expect(!items.contains { seen.contains(user: Int(user), item: $0) })
    }
    #expect(lists == CandidateLists.sampled(from: split, negatives: 50, seed: 2))
    #expect(lists != CandidateLists.sampled(from: split, negatives: 50, seed: 3))
    let all = CandidateLists.sampled(from: split, negatives: 10_000, seed: 2)
    #expect(all.items[0].count == split.itemCount - seen.count(of: Int(all.users[0])))
  }

  @Test func bothWaysOfScoringCandidatesAgree() throws {
    let split = try split()
    let lists = CandidateLists.sampled(from: split, negatives: 20, seed: 2)
    let configuration = RankingEvaluatorTests.configuration(
      RankingMetric.standard + [.auc, .gauc])
    let evaluator = RankingEvaluator(split, candidates: lists, configuration: configuration)
    let pairs = try evaluator.evaluate(Pairwise())
    let rows = try evaluator.evaluate(
      RowScorer(itemCount: 300) { user in Pairwise().scores(user: user, items: (0..<300).map { Int32($0) }) })
    #expect(pairs.lists == rows.lists && pairs.slices[0].means == rows.slices[0].means)
    #expect(pairs.candidates == lists)
    for (list, items) in zip(pairs.lists ?? [], lists.items) { #expect(Set(items).isSuperset(of: list)) }
  }

  @Test func allUnseenItemsAsCandidatesEqualFullRanking() throws {
    let split = try split()
    let configuration = RankingEvaluatorTests.configuration(RankingMetric.standard + [.auc, .gauc])
    let scorer = RowScorer(itemCount: 300) { user in
      Pairwise().scores(user: user, items: (0..<300).map { Int32($0) })
    }
    let lists = CandidateLists.sampled(from: split, negatives: 300, seed: 0)
    let full = try RankingEvaluator(split, configuration: configuration).evaluate(scorer)
    let fixed = try RankingEvaluator(split, candidates: lists, configuration: configuration).evaluate(scorer)
    #expect(full.lists == fixed.lists && full.slices[0].means == fixed.slices[0].means)
  }

  @Test func listsSurviveTheirFileAndBadFilesThrow() throws {
    let split = try split()
    let lists = CandidateLists.sampled(from: split, negatives: 5, seed: 2)
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "candidates.json")
    try lists.write(to: file)
    #expect(try CandidateLists(contentsOf: file, userCount: 400, itemCount: 300) == lists)
    #expect(throws: DataError.self) { try CandidateLists(contentsOf: file, userCount: 400, itemCount: 10) }
    for text in [
      "", "{}", #"{"users":[1,0],"items":[[0],[0]],"description":""}"#,
      #"{"users":[0],"items":[],"description":""}"#,
    ] {
      let bad = try folder.write(text, to: "bad.json")
      #expect(throws: DataError.self) { try CandidateLists(contentsOf: bad, userCount: 4, itemCount: 4) }
    }
  }
}
