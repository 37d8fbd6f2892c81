import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// BERT4Rec against PyTorch (Tests/Fixtures/recommenders/sequential/make_bert4rec.py), and what it reads.
@Suite struct BERT4RecTests {
  private func model(_ fixture: ModelFixture, _ dtype: DType) throws -> BERT4Rec {
    var generator = RandomGenerator(seed: 0)
    var configuration = BERT4Rec.Configuration()
    (configuration.dimension, configuration.layers, configuration.heads) = (8, 2, 2)
    (configuration.hidden, configuration.windowLength, configuration.dropout) = (12, 5, 0)
    return BERT4Rec(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
  }

  @Test(arguments: [DType.float64, .float32]) func takesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("bert4rec", dtype, in: "sequential/bert4rec")
    let model = try model(fixture, dtype)
    let sequences = try fixture.sequences()
    let (places, targets) = (try fixture.tensor("places"), try fixture.tensor("targets"))
    let masked: [Int32] = places.scalars()
    #expect(masked.allSatisfy { sequences.items[Int($0)] == model.mask })
    func logits() -> Tensor { model.logits(model.states(sequences, at: masked)) }
    try fixture.check(
      model, tolerance: dtype == .float32 ? 1e-4 : 1e-11, scores: logits,
      loss: { logits().crossEntropy(labels: targets).mean() })
  }

  @Test func aScoreIsTheLogitAtAMaskBehindTheLastItems() throws {
    let fixture = try ModelFixture("bert4rec", .float32, in: "sequential/bert4rec")
    let model = try model(fixture, .float32)
    let histories = UserHistories(
      Interactions(users: [0, 0, 0, 0, 0, 0, 2], items: [1, 2, 3, 4, 5, 6, 9], userCount: 3, itemCount: 11))
    var scores = [Float](repeating: .nan, count: 33)
    var batch = try model.makeScorer(histories: histories).prepare(users: [0, 1, 2])
    try batch.write(items: 0..<11, into: &scores)
    let read = ItemSequences([[3, 4, 5, 6, model.mask], [model.mask], [9, model.mask]])
    let expected = model.logits(model.states(read, at: [4, 5, 7])).floats
    #expect(zip(scores, expected).allSatisfy { abs($0 - $1) < 1e-5 })
  }
}
