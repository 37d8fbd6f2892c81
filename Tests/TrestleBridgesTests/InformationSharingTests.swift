import Foundation
import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

@Suite struct InformationSharingTests {
  private func store(normalized: Bool = false, rate: Double = 0.25) -> InformationSharingModule {
    InformationSharingModule(
      EntityVocabulary(userCount: 3, itemCount: 4, hash: "test"),
      configuration: .init(width: 2, writeRate: rate, isNormalized: normalized))
  }

  @Test func theFirstWritingReplacesAndLaterOnesAverage() {
    let store = store()
    store.write(.item, ids: [1, 3], rows: Tensor([4, 0, 0, 8] as [Float], shape: [2, 2]), by: .domain)
    store.write(.item, ids: [3], rows: Tensor([4, 4] as [Float], shape: [1, 2]), by: .language)
    #expect(store.items.rows.floats == [0, 0, 4, 0, 0, 0, 1, 7])
    #expect(store.items.versions == [0, 1, 0, 2])
    #expect(store.items.lastWriters == [nil, .domain, nil, .language])
    #expect(store.items.domainWrites == [0, 1, 0, 1])
    #expect(store.users.versions == [0, 0, 0])
  }

  @Test func writersSayHowSureTheyAre() throws {
    let first = store()
    let rows = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])
    first.write(.item, ids: [0, 2], rows: rows, by: .domain, confidences: [1, 0.5])
    #expect(first.items.confidences == [1, 0, 0.5, 0])
    first.write(.item, ids: [2], rows: rows.sliced(0..<1, along: 0), by: .language, confidences: [0.1])
    #expect(abs(first.items.confidences[2] - 0.4) < 1e-6)
    // In proportion to the mean of the written ones, .7.
    let relative = first.relativeConfidence(.item, Tensor([0, 1, 2] as [Int32])).floats
    #expect(abs(relative[0] - 1 / 0.7) < 1e-5 && relative[1] == 0 && abs(relative[2] - 0.4 / 0.7) < 1e-5)
    #expect(first.relativeConfidence(.user, Tensor([0] as [Int32])).floats == [0])

    var state = BridgeState()
    first.save(into: &state)
    let second = store()
    try second.load(from: state)
    #expect(second.items.confidences == first.items.confidences)
    #expect(second.relativeConfidence(.item, Tensor([0, 1, 2] as [Int32])).floats == relative)
    state.tensors["sharing.items.confidences"] = Tensor([1, 0, 1.5, 0] as [Float])
    #expect(throws: BridgeError.self) { try second.load(from: state) }
    #expect(second.items.confidences == first.items.confidences)
    // A state of before has none.
    state.tensors["sharing.items.confidences"] = nil
    try second.load(from: state)
    #expect(second.items.confidences == [1, 0, 1, 0])
  }

  @Test func aRowOfZerosIsNotWritten() {
    let store = store()
    store.write(.user, ids: [0, 1], rows: Tensor([0, 0, 1, 2] as [Float], shape: [2, 2]), by: .language)
    #expect(store.users.versions == [0, 1, 0])
  }

  @Test func normalizedRowsHaveLengthOne() {
    let store = store(normalized: true)
    store.write(.user, ids: [0], rows: Tensor([3, 4] as [Float], shape: [1, 2]), by: .domain)
    #expect(abs(store.users.rows.floats[0] - 0.6) < 1e-6 && abs(store.users.rows.floats[1] - 0.8) < 1e-6)
  }

  @Test func theStateSurvivesSaving() throws {
    let first = store()
    first.write(.item, ids: [0, 2], rows: Tensor([1, 2, 3, 4] as [Float], shape: [2, 2]), by: .language)
    var state = BridgeState()
    first.save(into: &state)
    let second = store()
    try second.load(from: state)
    #expect(second.items.rows.floats == first.items.rows.floats)
    #expect(second.items.lastWriters == first.items.lastWriters)
    state.tensors["sharing.items.rows"] = Tensor([1, 2] as [Float])
    #expect(throws: BridgeError.self) { try store().load(from: state) }
  }

  @Test func anOrthonormalMapIsInvertedExactlyAndMatchesTheSpread() {
    var generator = RandomGenerator(seed: 5)
    let rows = Tensor.normal([50, 8], using: &generator)
    let mean = Tensor.normal([24], deviation: 0.1, using: &generator)
    let map = OrthonormalMap(matching: rows, mean: mean, deviation: 0.03, using: &generator)
    let up = map.up(rows)
    let back = map.down(up)
    let error = zip(back.floats, rows.floats).map { abs($0 - $1) }.max() ?? 1
    #expect(error < 1e-4)
    let spread = ((up - mean).squared().mean().item).squareRoot()
    #expect(abs(spread - 0.03) < 1e-4)
  }

  @Test func ridgeRegressionRecoversALinearMap() {
    var generator = RandomGenerator(seed: 6)
    let x = Tensor.normal([200, 5], using: &generator)
    let w = Tensor.normal([5, 3], using: &generator)
    let y = x.matmul(w) + Tensor([1, 2, 3] as [Float])
    let map = RidgeMap(inputs: x, outputs: y, strength: 1e-8)
    let error = zip(map(x).floats, y.floats).map { abs($0 - $1) }.max() ?? 1
    #expect(error < 1e-3)
  }
}
