import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Interactions that a bridge adds as edges of the recommender's graph.
@Suite struct GraphHookTests {
  /// Every recommender with a graph, over some interactions, with rows of one seed.
  private static func models(_ training: Interactions) -> [any PairwiseRecommender] {
    func generator() -> RandomGenerator { RandomGenerator(seed: 7) }
    var g = (generator(), generator(), generator(), generator(), generator())
    return [
      LightGCN(training: training, using: &g.0), XSimGCL(training: training, using: &g.1),
      SimGCL(training: training, using: &g.2), SGL(training: training, using: &g.3),
      DirectAU(training: training, using: &g.4),
    ]
  }

  @Test(arguments: 0..<5) func edgesAreAddedAndTakenBack(which: Int) throws {
    let small = try SmallComposition(seed: 2)
    let (split, vocabulary) = (small.context.split, small.language.vocabulary)
    let training = split.training
    let added: [(user: Int32, item: Int32)] = [(1, 2), (1, 3), (4, 2)]
    let extended = Interactions(
      users: training.users + added.map(\.user), items: training.items + added.map(\.item),
      userCount: training.userCount, itemCount: training.itemCount)
    let side = PairwiseSide(Self.models(training)[which], split: split, vocabulary: vocabulary)
    let users = Array(0..<Int32(vocabulary.userCount))
    let plain = try side.scores(users: users).floats
    side.addedInteractions = added
    #expect(try side.scores(users: users).floats == plain)
    side.extendsGraph = true
    let other = PairwiseSide(Self.models(extended)[which], split: split, vocabulary: vocabulary)
    let expected = try other.scores(users: users).floats
    #expect(try side.scores(users: users).floats == expected)
    #expect(expected != plain)
    side.addedInteractions = []
    #expect(try side.scores(users: users).floats == plain)
    side.addedInteractions = added
    #expect(try side.scores(users: users).floats == expected)
    side.extendsGraph = false
    #expect(try side.scores(users: users).floats == plain)
  }

  @Test func aRecommenderWithoutAGraphTrainsOnThePairsAlone() throws {
    let small = try SmallComposition(seed: 2)
    var generator = RandomGenerator(seed: 7)
    let side = PairwiseSide(
      MatrixFactorization(training: small.context.split.training, using: &generator),
      split: small.context.split, vocabulary: small.language.vocabulary)
    let plain = try side.scores(users: [1]).floats
    side.addedInteractions = [(user: 1, item: 2)]
    side.extendsGraph = true
    #expect(try side.scores(users: [1]).floats == plain)
  }
}
