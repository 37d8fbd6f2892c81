import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Variational autoencoders against PyTorch (Tests/Fixtures/recommenders/autoencoders/make_autoencoders.py), and what their training keeps.
@Suite struct AutoencoderTests {
  static let precisions: [DType] = [.float64, .float32]

  /// The values of sparse rows are stored in float32, those of the fixture likewise.
  private func tolerance(_ dtype: DType) -> Double { dtype == .float32 ? 5e-5 : 1e-6 }

  private func sets(_ data: Interactions, _ users: Range<Int>) -> ItemSets {
    let matrix = UserItemMatrix(data)
    return ItemSets(users.map { Array(matrix.items(of: $0)) }, itemCount: data.itemCount)
  }

  private func inputs(_ fixture: ModelFixture, _ dtype: DType) throws -> SparseMatrix {
    let values = try fixture.tensor("inputs").floats
    let places = values.indices.filter { values[$0] != 0 }
    return SparseMatrix(
      rowCount: 5, columnCount: 11, rows: places.map { Int32($0 / 11) },
      columns: places.map { Int32($0 % 11) },
      values: places.map { values[$0] }, dtype: dtype)
  }

  @Test(arguments: precisions) func multVAETakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("multvae", dtype, in: "autoencoders/autoencoders")
    var generator = RandomGenerator(seed: 0)
    var configuration = MultVAE.Configuration()
    (configuration.hidden, configuration.latent) = ([6, 4], 3)
    let data = try fixture.interactions()
    let model = MultVAE(training: data, configuration: configuration, dtype: dtype, using: &generator)
    let (rows, noise) = (try inputs(fixture, dtype), try fixture.tensor("noise"))
    let batch = sets(data, 0..<5)
    try fixture.check(
      model, tolerance: tolerance(dtype), scores: { model.logits(sets(data, 0..<7)) },
      loss: { model.loss(inputs: rows, targets: batch.targets(dtype: dtype), noise: noise, weight: 0.3) })
  }

  @Test(arguments: precisions) func recVAEsEncoderTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("recvae_encoder", dtype, in: "autoencoders/autoencoders")
    let data = try fixture.interactions()
    let model = recVAE(data, dtype)
    let (rows, noise) = (try inputs(fixture, dtype), try fixture.tensor("noise"))
    let former = (mean: try fixture.tensor("former_mean"), logVariance: try fixture.tensor("former_logvar"))
    let batch = sets(data, 0..<5)
    try fixture.check(
      model, tolerance: tolerance(dtype) * 10, trained: "encoder",
      scores: { model.logits(sets(data, 0..<7)) },
      loss: { model.encoderLoss(batch, inputs: rows, noise: noise, former: former) })
  }

  @Test(arguments: precisions) func recVAEsDecoderTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("recvae_decoder", dtype, in: "autoencoders/autoencoders")
    let data = try fixture.interactions()
    let model = recVAE(data, dtype)
    let noise = try fixture.tensor("noise")
    let batch = sets(data, 0..<5)
    try fixture.check(
      model, tolerance: tolerance(dtype) * 10, trained: "decoder",
      scores: { model.logits(sets(data, 0..<7)) }, loss: { model.decoderLoss(batch, noise: noise) })
  }

  private func recVAE(_ data: Interactions, _ dtype: DType) -> RecVAE {
    var generator = RandomGenerator(seed: 0)
    var configuration = RecVAE.Configuration()
    (configuration.hidden, configuration.latent, configuration.itemDivergenceWeight) = (6, 3, 0.05)
    return RecVAE(training: data, configuration: configuration, dtype: dtype, using: &generator)
  }

  @Test func scoresAreTheLogits() throws {
    let data = try ModelFixture("multvae", .float32, in: "autoencoders/autoencoders").interactions()
    var generator = RandomGenerator(seed: 2)
    let models: [(any HistoryRecommender, Tensor)] = [
      { model in (model, model.logits(sets(data, 0..<7))) }(
        MultVAE(training: data, using: &generator)),
      { model in (model, model.logits(sets(data, 0..<7))) }(RecVAE(training: data, using: &generator)),
    ]
    for (model, logits) in models {
      var scores = [Float](repeating: .nan, count: 77)
      var batch = try model.makeScorer().prepare(users: (0..<7).map { $0 })
      try batch.write(items: 0..<11, into: &scores)
      #expect(zip(scores, logits.floats).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }
}
