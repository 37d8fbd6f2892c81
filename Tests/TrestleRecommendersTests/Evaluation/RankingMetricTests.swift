import Foundation
import Testing
import TrestleRecommenders

@Suite struct RankingMetricTests {
  // The list is relevant at places 2 and 3; three items are relevant in all.
  static let list = [false, true, true, false, false]

  static let cases: [(RankingMetric, Double)] = [
    (RankingMetric.recall(5), 2.0 / 3), (.recall(2), 1.0 / 3), (.recall(1), 0),
    (.hit(5), 1), (.hit(1), 0),
    (.precision(5), 0.4), (.precision(2), 0.5),
    (.mrr(5), 0.5), (.mrr(1), 0),
    // (1/2 + 2/3) / min(5, 3), and (1/2) / min(2, 3).
    (.map(5), (0.5 + 2.0 / 3) / 3), (.map(2), 0.25),
    // (1/log2(3) + 1/log2(4)) / (1 + 1/log2(3) + 1/log2(4)) = 1.13092975 / 2.13092975.
    (.ndcg(5), 0.5307212739), (.ndcg(2), 0.3868528072), (.ndcg(1), 0),
  ]

  @Test(arguments: cases)
  func valuesByHand(metric: RankingMetric, expected: Double) {
    #expect(abs(metric.value(relevance: Self.list, relevantCount: 3) - expected) < 1e-9)
  }

  @Test func aPerfectListScoresOneEverywhere() {
    for metric in [RankingMetric.recall(3), .hit(3), .ndcg(3), .mrr(3), .map(3), .precision(3)] {
      #expect(metric.value(relevance: [true, true, true], relevantCount: 3) == 1)
    }
  }

  @Test func moreRelevantItemsThanPlacesCanStillBePerfect() {
    #expect(RankingMetric.ndcg(2).value(relevance: [true, true], relevantCount: 9) == 1)
    #expect(RankingMetric.map(2).value(relevance: [true, true], relevantCount: 9) == 1)
  }

  @Test func aShortListCountsAsFilledUp() {
    #expect(RankingMetric.precision(10).value(relevance: [true], relevantCount: 1) == 0.1)
    #expect(RankingMetric.recall(10).value(relevance: [], relevantCount: 2) == 0)
    #expect(RankingMetric.mrr(10).value(relevance: [], relevantCount: 2) == 0)
  }
}
