import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Recommenders in closed form as sides that are drawn to a prior.
@Suite struct ClosedFormTests {
  private func side(_ model: ClosedFormSide.Model, _ small: SmallComposition) throws -> ClosedFormSide {
    try #require(try small.closedForm(model).domain as? ClosedFormSide)
  }

  @Test func withoutAPriorTheSideIsTheModel() throws {
    let small = try SmallComposition(seed: 2)
    let training = small.context.split.training
    let ease = try side(.ease(.init()), small).scores(users: [0, 5]).floats
    let alone = try EASE(training: training).makeScorer()
    var expected = [Float](repeating: 0, count: 2 * alone.itemCount)
    var batch = try alone.prepare(users: [0, 5])
    try batch.write(items: 0..<alone.itemCount, into: &expected)
    #expect(ease == expected)
    var generator = RandomGenerator(seed: small.language.configuration.seed)
    let als = ImplicitALS(training: training, configuration: SmallComposition.smallALS, using: &generator)
    als.fit()
    let own = try side(.als(SmallComposition.smallALS), small)
    #expect(
      try own.representations(of: .item, ids: [1, 2], source: .row).floats
        == als.representations.items.gatheredRows(Tensor([1, 2] as [Int32])).floats)
    #expect(try own.validate() > 0)
  }

  /// An item that nobody has takes its prior; taken back, the prior is forgotten.
  @Test func rowsAreDrawnToThePrior() throws {
    let small = try SmallComposition(seed: 2)
    let own = try side(.als(SmallComposition.smallALS), small)
    let before = try own.representations(ofAll: .item, from: .row)
    let target = before * 0 + 0.5
    try own.setPrior(.rows(users: nil, items: target))
    let drawn = try own.representations(ofAll: .item, from: .row)
    func distance(_ rows: Tensor) -> Double { (rows - target).squared().mean().item }
    #expect(distance(drawn) < distance(before))
    try own.setPrior(nil)
    #expect(try own.representations(ofAll: .item, from: .row).floats == before.floats)
  }

  @Test func foreignPriorsAreRefusedAndChangeNothing() throws {
    let small = try SmallComposition(seed: 2)
    let items = small.dataset.itemCount
    let (ease, als) = (try side(.ease(.init()), small), try side(.als(SmallComposition.smallALS), small))
    let before = try ease.scores(users: [1]).floats
    for prior in [
      RecommenderPrior.rows(users: nil, items: .zeros([items, 8])), .itemWeights(.zeros([items, items - 1])),
      .itemWeights(.zeros([items, items], dtype: .float64)),
      .itemWeights(.ones([items, items]) * Double.nan),
    ] { #expect(throws: BridgeError.self) { try ease.setPrior(prior) } }
    for prior in [
      RecommenderPrior.itemWeights(.zeros([items, items])), .rows(users: nil, items: .zeros([items, 9])),
      .rows(users: .zeros([3, 8]), items: nil),
      .rows(users: nil, items: .ones([items, 8]) * Double.infinity),
    ] { #expect(throws: BridgeError.self) { try als.setPrior(prior) } }
    #expect(try ease.scores(users: [1]).floats == before)
  }

  @Test(arguments: [true, false]) func textPriorsKeepTheContract(isEASE: Bool) throws {
    let failures = try checkSharingBridge(
      composing: {
        try SmallComposition(seed: $0).closedForm(isEASE ? .ease(.init()) : .als(SmallComposition.smallALS))
      },
      { TextPrior() })
    #expect(failures.isEmpty, "\(failures)")
  }

  /// What texts say reaches the scores, and is chosen so that validation items are ranked no worse.
  @Test(arguments: [true, false]) func textsReachTheScores(isEASE: Bool) throws {
    let small = try SmallComposition(seed: 4)
    let model = isEASE ? ClosedFormSide.Model.ease(.init()) : .als(SmallComposition.smallALS)
    func scores(_ scales: [Double]) throws -> (scores: [Float], validation: Double) {
      var configuration = TextPrior.Configuration()
      configuration.textSource = .encodedText
      configuration.scales = scales
      let context = try small.closedForm(model)
      let strategy = TextPrior(configuration)
      try BridgeTrainer(strategy, context).run()
      #expect(strategy.choice.map { scales.contains($0.scale) } == true)
      let side = try #require(context.domain as? ClosedFormSide)
      return (try side.scores(users: [0, 1]).floats, try side.validate())
    }
    let (none, forced, chosen) = (try scores([0]), try scores([2]), try scores([0, 0.5, 2]))
    #expect(none.scores != forced.scores)
    #expect(chosen.validation >= none.validation && chosen.validation >= forced.validation)
  }
}
