import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Models with a loss on the rows' directions against PyTorch (Tests/Fixtures/recommenders/models/make_graph_models.py).
@Suite struct DirectionParityTests {
  static let precisions: [DType] = [.float64, .float32]

  /// The graph's values are stored in float32.
  private func tolerance(_ dtype: DType) -> Double { dtype == .float32 ? 5e-5 : 1e-6 }

  private func scores(_ model: any PairwiseRecommender) -> Tensor {
    let rows = model.embeddings()
    return rows.users.matmul(rows.items, transposingOther: true)
  }

  @Test(arguments: precisions) func simGCLTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("simgcl", dtype, in: "models/graph_models")
    var generator = RandomGenerator(seed: 0)
    var configuration = SimGCL.Configuration()
    (configuration.dimension, configuration.layers, configuration.noise) = (6, 2, 0.3)
    (configuration.contrastWeight, configuration.temperature) = (0.4, 0.2)
    configuration.regularization = 0
    let model = SimGCL(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    let batch = try fixture.batch()
    let noise = try ["noise1", "noise2"].map { try fixture.tensor($0) }
    try fixture.check(
      model, tolerance: tolerance(dtype), scores: { scores(model) },
      loss: {
        model.loss(
          batch, model.representations(),
          noise: ((0..<2).map { noise[0][$0] }, (0..<2).map { noise[1][$0] }))
      })
  }

  @Test(arguments: precisions, [SGL.Augmentation.edges, .walk])
  func sglTakesPyTorchsStep(_ dtype: DType, _ augmentation: SGL.Augmentation) throws {
    let isWalk = augmentation == .walk
    let fixture = try ModelFixture(isWalk ? "sgl_walk" : "sgl", dtype, in: "models/graph_models")
    var generator = RandomGenerator(seed: 0)
    var configuration = SGL.Configuration()
    (configuration.dimension, configuration.layers) = (6, isWalk ? 2 : 3)
    (configuration.contrastWeight, configuration.temperature) = (0.2, 0.3)
    (configuration.augmentation, configuration.regularization) = (augmentation, 0)
    let model = SGL(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    let batch = try fixture.batch()
    let views = try ["keeps1", "keeps2"].map { name in
      let keeps = try fixture.tensor(name)
      return (0..<keeps.shape[0]).map { graph in
        model.graph(keeping: (keeps[graph].scalars() as [Int32]).map { $0 == 1 })
      }
    }
    #expect(views[0].count == (isWalk ? 2 : 1))
    try fixture.check(
      model, tolerance: tolerance(dtype), scores: { scores(model) },
      loss: { model.loss(batch, model.representations(), views: (views[0], views[1])) })
  }

  @Test func aContrastAmongTheBatchIsOneAmongAllWhenTheBatchHasAll() throws {
    // Seven users with eleven items, of which one is nobody's; a batch of every pair.
    let fixture = try ModelFixture("sgl", .float64, in: "models/graph_models")
    let data = try fixture.interactions()
    var losses: [Double] = []
    for comparesAll in [true, false] {
      var generator = RandomGenerator(seed: 3)
      var configuration = SGL.Configuration()
      (configuration.dimension, configuration.comparesAll) = (6, comparesAll)
      let model = SGL(training: data, configuration: configuration, dtype: .float64, using: &generator)
      let others = data.items.map { _ in Int32(10) }
      let batch = PairwiseBatch(
        users: data.users + [0], positives: data.items + [10], negatives: others + [10])
      losses.append(model.trainingLoss(batch, model.representations(), using: &generator).item)
    }
    #expect(abs(losses[0] - losses[1]) < 1e-12 && losses[0] > 0)
  }

  @Test(arguments: precisions) func directAUTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("directau", dtype, in: "models/graph_models")
    var generator = RandomGenerator(seed: 0)
    var configuration = DirectAU.Configuration()
    (configuration.dimension, configuration.layers) = (6, 0)
    (configuration.uniformityWeight, configuration.regularization) = (0.7, 0.05)
    let model = DirectAU(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    let batch = try fixture.batch()
    try fixture.check(
      model, tolerance: dtype == .float32 ? 1e-5 : 1e-12, scores: { scores(model) },
      loss: { model.loss(batch, model.representations()) })
  }
}
