import Testing
import TrestleTestSupport
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Loss, all gradients, one Adam step and the scores of every trained model against PyTorch.
@Suite struct ModelParityTests {
  static let precisions: [DType] = [.float64, .float32]

  private func tolerance(_ dtype: DType, graph: Bool = false) -> Double {
    // The graph's values are stored in float32.
    dtype == .float32 ? 1e-5 : graph ? 2e-7 : 1e-12
  }

  @Test(arguments: precisions) func matrixFactorizationTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("bpr", dtype)
    var generator = RandomGenerator(seed: 0)
    var configuration = MatrixFactorization.Configuration()
    (configuration.dimension, configuration.regularization) = (6, 0)
    let model = MatrixFactorization(
      userCount: 7, itemCount: 11, configuration: configuration, dtype: dtype, using: &generator)
    let batch = try fixture.batch()
    try fixture.check(
      model, tolerance: tolerance(dtype), scores: { scores(model) },
      loss: { model.loss(batch, model.representations()) })
  }

  @Test(arguments: precisions) func rowSparseGradientsAreThoseOfTheWholeTables(_ dtype: DType) throws {
    let fixture = try ModelFixture("bpr", dtype)
    let batch = try fixture.batch()
    let tables = [try fixture.tensor("user_embedding.weight"), try fixture.tensor("item_embedding.weight")]
    let parameters = tables.map { Parameter($0) }
    let triples = RankingTriples(users: batch.users, positives: batch.positives, negatives: batch.negatives)
    let named = Set((batch.positives.scalars() as [Int32]) + batch.negatives.scalars())
    #expect(named.count < 11)
    for weight in [0, 0.3] {
      let results = [true, false].map { isDense in
        valueAndGradients(of: parameters) {
          Tensor.pairwiseRankingLoss(
            RankingTables(users: parameters[0].value, items: parameters[1].value), triples,
            penalty: RankingPenalty(
              users: parameters[0].value, items: parameters[1].value, weight: weight),
            hasDenseGradients: isDense)
        }
      }
      for parameter in parameters {
        let dense = try #require(results[0].gradients[parameter])
        let sparse = try #require(results[1].gradients[parameter])
        guard case .rows(let rows) = sparse else {
          Issue.record("the gradient is not row-sparse")
          continue
        }
        #expect(rows.indices.elementCount == (parameter === parameters[0] ? 7 : named.count))
        fixture.expectClose(sparse.dense(), dense.dense(), 1e-15, "row-sparse gradient")
      }
    }
  }

  @Test func largeTablesGetTheSameGradientsByRow() throws {
    try withSteadyInstructionSet {
      var generator = RandomGenerator(seed: 6)
      // More rows than one sorting pass of eleven bits tells apart.
      let (users, items, count) = (5000, 8400, 300)
      let parameters = [users, items].map {
        Parameter(.normal([$0, 5], deviation: 0.3, dtype: .float64, using: &generator))
      }
      func draw(_ bound: Int) -> Tensor {
        Tensor((0..<count).map { _ in Int32(generator.index(below: bound)) })
      }
      let triples = RankingTriples(users: draw(users), positives: draw(items), negatives: draw(items))
      let results = [true, false].map { isDense in
        valueAndGradients(of: parameters) {
          let tables = RankingTables(users: parameters[0].value, items: parameters[1].value)
          return .pairwiseRankingLoss(tables, triples, hasDenseGradients: isDense)
        }
      }
      for parameter in parameters {
        let dense: [Double] = try #require(results[0].gradients[parameter]).dense().scalars()
        guard case .rows(let rows) = try #require(results[1].gradients[parameter]) else {
          Issue.record("the gradient is not row-sparse")
          continue
        }
        let names: [Int32] = rows.indices.scalars()
        #expect(names == Set(names).sorted())
        #expect(rows.dense().scalars() == dense)
      }
    }
  }

  @Test(arguments: precisions) func lightGCNTakesPyTorchsStep(_ dtype: DType) throws {
    for penalty in [LightGCN.Penalty.squares, .norms] {
      let fixture = try ModelFixture(penalty == .squares ? "lightgcn_squared" : "lightgcn", dtype)
      var generator = RandomGenerator(seed: 0)
      var configuration = LightGCN.Configuration()
      (configuration.dimension, configuration.layers) = (6, 2)
      (configuration.regularization, configuration.penalty) = (0.05, penalty)
      let model = LightGCN(
        training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
      let batch = try fixture.batch()
      try fixture.check(
        model, tolerance: tolerance(dtype, graph: true), scores: { scores(model) },
        loss: { model.loss(batch, model.representations()) })
    }
  }

  @Test(arguments: precisions) func xSimGCLTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("xsimgcl", dtype)
    var generator = RandomGenerator(seed: 0)
    var configuration = XSimGCL.Configuration()
    (configuration.dimension, configuration.layers, configuration.noise) = (6, 3, 0.2)
    (configuration.contrastWeight, configuration.temperature) = (0.3, 0.2)
    configuration.regularization = 0
    let model = XSimGCL(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    let batch = try fixture.batch()
    let noise = try fixture.tensor("noise")
    try fixture.check(
      model, tolerance: tolerance(dtype, graph: true) * 5, scores: { scores(model) },
      loss: { model.loss(batch, noise: (0..<3).map { noise[$0] }) })
  }

  @Test(arguments: precisions) func neuMFTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("neumf", dtype)
    var generator = RandomGenerator(seed: 0)
    var configuration = NeuMF.Configuration()
    (configuration.factorDimension, configuration.networkDimension) = (4, 4)
    (configuration.hidden, configuration.dropout) = ([6, 3], 0)
    let model = NeuMF(
      userCount: 7, itemCount: 11, configuration: configuration, dtype: dtype, using: &generator)
    let grid = (0..<77).map { (user: Int32($0 / 11), item: Int32($0 % 11)) }
    let (users, items) = (try fixture.tensor("users"), try fixture.tensor("items"))
    let labels = try fixture.tensor("labels")
    try fixture.check(
      model, tolerance: tolerance(dtype),
      scores: {
        model.logits(users: Tensor(grid.map(\.user)), items: Tensor(grid.map(\.item)))
          .reshaped(to: [7, 11] as Shape)
      }, loss: { model.loss(users: users, items: items, labels: labels) })
  }

  @Test(arguments: precisions) func sasRecTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("sasrec", dtype)
    var generator = RandomGenerator(seed: 0)
    var configuration = SASRec.Configuration()
    (configuration.dimension, configuration.layers, configuration.heads) = (8, 2, 2)
    (configuration.hidden, configuration.windowLength, configuration.dropout) = (12, 5, 0)
    let model = SASRec(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    try check(model, fixture)
  }

  @Test(arguments: precisions) func gru4RecTakesPyTorchsStep(_ dtype: DType) throws {
    let fixture = try ModelFixture("gru4rec", dtype)
    var generator = RandomGenerator(seed: 0)
    var configuration = GRU4Rec.Configuration()
    (configuration.dimension, configuration.hidden, configuration.dropout) = (6, 8, 0)
    let model = GRU4Rec(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    try check(model, fixture)
  }

  @Test(arguments: [1, 2], precisions) func hstuTakesPyTorchsStep(_ layers: Int, _ dtype: DType) throws {
    let fixture = try ModelFixture(layers == 1 ? "hstu_block" : "hstu", dtype, in: "sequential/hstu")
    var generator = RandomGenerator(seed: 0)
    var configuration = HSTU.Configuration()
    (configuration.dimension, configuration.layers, configuration.heads) = (8, layers, 2)
    (configuration.windowLength, configuration.dropout) = (7, 0)
    let model = HSTU(
      training: try fixture.interactions(), configuration: configuration, dtype: dtype, using: &generator)
    try check(model, fixture)
  }

  @Test func hstuReadsNothingButWhatIsBefore() throws {
    var generator = RandomGenerator(seed: 3)
    let nobody = Interactions.empty(userCount: 1, itemCount: 12)
    let model = HSTU(training: nobody, dtype: .float64, using: &generator)
    let whole = model.states(ItemSequences([[3, 1, 4, 1, 5], [9, 2]]))
    let prefix = model.states(ItemSequences([[3, 1, 4]]))
    try ModelFixture("hstu", .float64, in: "sequential/hstu").expectClose(
      whole.sliced(0..<3, along: 0), prefix, 1e-12, "states of a prefix")
  }

  private func check(_ model: some SequentialRecommender, _ fixture: ModelFixture) throws {
    let sequences = try fixture.sequences()
    let targets = try fixture.tensor("targets")
    var end = 0
    let last = sequences.lengths.map { length in
      end += length
      return Int32(end - 1)
    }
    func states() -> Tensor { model.states(sequences).gatheredRows(Tensor(last)) }
    try fixture.check(
      model, tolerance: tolerance(fixture.dtype) * 10,
      scores: { states().matmul(model.itemEmbedding.value, transposingOther: true) },
      loss: { model.loss(states: states(), targets: targets) })
  }

  private func scores(_ model: any PairwiseRecommender) -> Tensor {
    let rows = model.embeddings()
    return rows.users.matmul(rows.items, transposingOther: true)
  }
}
