import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// The approximate index: exact where it looks everywhere, near to it where it does not.
@Suite struct ItemIndexTests {
  /// Rows around some centres, of lengths that differ as those of popular and rare items do.
  private static func rows(_ count: Int, width: Int = 24, seed: UInt64) -> Tensor {
    var generator = RandomGenerator(seed: seed)
    let centres = Tensor.normal([60, width], using: &generator)
    let of = Tensor((0..<count).map { _ in Int32(generator.index(below: 60)) })
    let noise = Tensor.normal([count, width], deviation: 0.7, using: &generator)
    let lengths = Tensor((0..<count).map { 0.3 + 1 / (1 + Float($0 % 97)) }, shape: [count, 1])
    return (centres.gatheredRows(of) + noise) * lengths
  }

  private static func exact(_ query: Tensor, _ rows: Tensor, _ count: Int) -> [Int] {
    let scores = query.matmul(rows, transposingOther: true).floats
    return scores.indices.sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }.prefix(
      count
    )
    .map { $0 }
  }

  @Test func lookingEverywhereIsExactAndLookingIntoATenthFindsNineTenths() throws {
    let rows = Self.rows(6000, seed: 1)
    let index = ItemIndex(rows, seed: 3)
    #expect(index.itemCount == 6000 && index.cellCount == 309)
    let queries = Self.rows(60, seed: 2)
    var found = 0
    for row in 0..<60 {
      let query = queries.sliced(row..<row + 1, along: 0)
      let exact = Self.exact(query, rows, 10)
      let all = index.search(query, count: 10, probes: index.cellCount).map(\.item)
      #expect(Set(all) == Set(exact))
      found += Set(index.search(query, count: 10, probes: 31).map(\.item)).intersection(exact).count
    }
    #expect(found >= 540, "\(found) of 600")
  }

  @Test func aSavedIndexIsMappedAndAnswersTheSame() throws {
    let rows = Self.rows(500, seed: 4)
    let index = ItemIndex(rows, cells: 20, seed: 1)
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "index.safetensors")
    try index.save(to: file)
    let mapped = try ItemIndex(contentsOf: file)
    let query = rows.sliced(7..<8, along: 0)
    let removed = Set(index.search(query, count: 3, probes: 5).map { Int32($0.item) })
    let (list, expected) = withSteadyInstructionSet {
      (
        mapped.search(query, count: 12, probes: 5, without: removed),
        index.search(query, count: 12, probes: 5, without: removed)
      )
    }
    #expect(list == expected && list.count == 12 && list.allSatisfy { !removed.contains(Int32($0.item)) })
    #expect(index.search(query, count: 0, probes: 5).isEmpty)
    try Data("nothing".utf8).write(to: file)
    #expect(throws: (any Error).self) { try ItemIndex(contentsOf: file) }
  }

  @Test func aRecommenderAnswersByIt() throws {
    var configuration = SyntheticWorld.Configuration()
    (configuration.users, configuration.items, configuration.interactions) = (100, 90, 2500)
    let model = try SyntheticWorld(configuration, seed: 2).dataset().fit(.implicitALS)
    let rows = try #require(model.embeddings).items
    let index = ItemIndex(rows, cells: 9, seed: 1)
    let (list, expected) = try withSteadyInstructionSet {
      (
        try model.recommend(for: "5", count: 7, by: index, probes: 9).map(\.id),
        try model.recommend(for: "5", count: 7).map(\.id)
      )
    }
    #expect(list == expected)
    let other = ItemIndex(Self.rows(50, seed: 1), seed: 1)
    #expect(throws: ServingError.self) { try model.recommend(for: "5", by: other) }
    #expect(throws: ServingError.self) { try model.recommend(for: "nobody", by: index) }
  }
}
