import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct AmazonReaderTests {
  static let reviews2018 = """
    {"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400000000, "reviewText": "good, \\"really\\""}
    {"reviewerID": "A2", "asin": "B1", "overall": 3.0, "unixReviewTime": 1400000001}

    """
  static let metadata2018 = """
    {"asin": "B1", "title": "Caf\\u00e9 cups", "category": ["Home", "Kitchen", "Cups"], "description": ["Two", "cups."]}
    {"asin": "B9", "title": "Unseen", "category": [["Home"]], "description": "x"}

    """

  private func read(_ reviews: String, _ metadata: String? = nil, options: ReadOptions = .init()) throws
    -> Dataset
  {
    let folder = try TemporaryFolder(inMemory: true)
    return try Dataset.amazon(
      reviews: try folder.write(reviews, to: "Cups.jsonl"),
      metadata: try metadata.map { try folder.write($0, to: "meta.jsonl") }, options: options)
  }

  @Test func readsTheFormOf2018() throws {
    let data = try read(Self.reviews2018, Self.metadata2018)
    #expect(data.name == "Cups")
    #expect(data.userIDs.ids == ["A1", "A2"] && data.itemIDs.ids == ["B1"])
    #expect(
      data.interactions.ratings == [5, 3] && data.interactions.timestamps == [1_400_000_000, 1_400_000_001])
    #expect(data.items.summary(of: 0) == "Café cups, Kitchen, Cups. Two cups.")
  }

  @Test func readsTheFormOf2023() throws {
    let data = try read(
      #"{"rating":4.0,"title":"t","asin":"B2","parent_asin":"P1","user_id":"U","timestamp":1588687728923}"#
        + "\n",
      #"{"parent_asin":"P1","title":null,"categories":[],"description":[],"main_category":"x"}"#)
    #expect(data.itemIDs.ids == ["P1"] && data.interactions.timestamps == [1_588_687_728])
    #expect(data.items.summary(of: 0) == "")
  }

  @Test(arguments: [
    "{", "[]", "3", "{'reviewerID': 'A'}", #"{"reviewerID":"A","asin":"B","overall":5}"#,
    #"{"reviewerID":"A","asin":"B","overall":"5","unixReviewTime":1}"#,
    #"{"reviewerID":"","asin":"B","overall":5,"unixReviewTime":1}"#,
    #"{"reviewerID":7,"asin":"B","overall":5,"unixReviewTime":1}"#,
    #"{"reviewerID":"A","asin":"B","overall":1e39,"unixReviewTime":1}"#,
    #"{"reviewerID":"A","asin":"B","overall":5,"unixReviewTime":1e300}"#,
  ])
  func malformedReviewsThrow(text: String) {
    do {
      _ = try read(Self.reviews2018 + text + "\n")
      Issue.record("expected an error")
    } catch DataError.malformed(_, let line, _, _, _) {
      #expect(line == 3)
    } catch {
      Issue.record("expected a place, found \(error)")
    }
  }

  @Test func badLinesCanBeSkipped() throws {
    let data = try read("nonsense\n" + Self.reviews2018, options: ReadOptions(onBadLine: .skip))
    #expect(data.interactions.count == 2 && data.report?.skipped == 1 && data.report?.lines == 3)
  }

  @Test func threeThousandMutationsReadOrThrow() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let reviews = try folder.write(Self.reviews2018, to: "reviews.jsonl")
    let metadata = folder.url.appending(path: "meta.jsonl")
    let first = try Mutations.run(Array(Self.reviews2018.utf8), seed: 41) { bytes in
      try folder.write(bytes, to: reviews.lastPathComponent)
      _ = try Dataset.amazon(reviews: reviews)
    }
    #expect(first.threw > 500 && first.read > 100)
    try folder.write(Self.reviews2018, to: "reviews.jsonl")
    let second = try Mutations.run(Array(Self.metadata2018.utf8), seed: 42) { bytes in
      try folder.write(bytes, to: metadata.lastPathComponent)
      _ = try Dataset.amazon(reviews: reviews, metadata: metadata)
    }
    #expect(second.threw > 500 && second.read > 100)
  }
}
