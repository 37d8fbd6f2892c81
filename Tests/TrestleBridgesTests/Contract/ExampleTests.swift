import Foundation
import Testing
import TrestleBridges
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Losses of single examples, and lists with confidences.
@Suite struct ExampleTests {
  /// A side's first step, and the loss of each of its examples.
  private func examples(of side: any TrainableSide) throws -> (loss: Double, examples: BatchExamples) {
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let step = try side.step(on: batch)
    return (step.loss.item, try step.examples(for: "test", of: side))
  }

  /// Sides whose loss is the mean over examples and nothing else.
  private func sides() throws -> [any TrainableSide] {
    let small = try SmallComposition(seed: 2)
    var plain = MatrixFactorization.Configuration()
    plain.regularization = 0
    var generator = RandomGenerator(seed: 1)
    let factorization = PairwiseSide(
      MatrixFactorization(
        userCount: small.dataset.userCount, itemCount: small.dataset.itemCount, configuration: plain,
        using: &generator),
      split: small.context.split, vocabulary: small.language.vocabulary)
    let prompts = small.prompts()
    var undecayed = FactorizationSide.Configuration()
    undecayed.decay = 0
    let ranking = try #require(try small.ranking(byTitle: false).language as? any TrainableSide)
    return [
      factorization, small.language, prompts, ranking,
      FactorizationSide(
        prompts.examples, vocabulary: small.language.vocabulary, configuration: undecayed),
    ]
  }

  @Test func theMeanOfTheExamplesLossesIsTheSidesLoss() throws {
    try withSteadyInstructionSet {
      for side in try sides() {
        let (loss, examples) = try examples(of: side)
        #expect(examples.losses.elementCount > 1)
        #expect(abs(examples.losses.mean().item - loss) < 1e-5, "\(side.name)")
        let known = (side.vocabulary.userCount, side.vocabulary.itemCount)
        #expect(examples.users.scalars(as: Int32.self).allSatisfy { $0 >= 0 && Int($0) < known.0 })
        #expect(examples.items.scalars(as: Int32.self).allSatisfy { $0 >= 0 && Int($0) < known.1 })
      }
    }
  }

  @Test func aWeightedMeanIsThatOfTheWeightedExamples() throws {
    try withSteadyInstructionSet {
      for side in try sides() {
        let (_, examples) = try examples(of: side)
        let losses = examples.losses.floats
        let count = losses.count
        let one = Tensor((0..<count).map { $0 == count - 1 ? Float(3) : 0 })
        #expect(abs(Float(examples.weightedMean(one).item) - losses[count - 1]) < 1e-5)
        #expect(abs(examples.weightedMean(.ones([count]) * 0.1).item - examples.losses.mean().item) < 1e-5)
        #expect(examples.weightedMean(.zeros([count])).item == 0)
      }
    }
  }

  /// A bridge that weighs examples trains on those alone that it gives a weight: no other user's row moves.
  @Test func examplesWithoutAWeightTeachNothing() throws {
    let side = try #require(try sides().first as? PairwiseSide)
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let user = try #require(try side.step(on: batch).pairs).users.scalars(as: Int32.self)[0]
    let table = side.model.tables.users
    func movedUsers(_ weigh: (Int32) -> Float) throws -> [Int] {
      let gradients = try valueAndGradients(of: [table]) {
        let examples = try side.step(on: batch).examples(for: "test", of: side)
        return examples.weightedMean(Tensor(examples.users.scalars(as: Int32.self).map(weigh)))
      }.gradients
      let rows = try #require(gradients[table]).dense().squared().sum(along: [1]).floats
      return rows.indices.filter { rows[$0] > 0 }
    }
    #expect(try movedUsers { $0 == user ? 1 : 0 } == [Int(user)])
    #expect(try movedUsers { _ in 1 }.count > 1)
  }

  @Test func aSideWithoutExamplesSaysSo() throws {
    let small = try SmallComposition(seed: 2)
    let side = try #require(try small.reading(validationItems: [1, 2]).language as? any TrainableSide)
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let step = try side.step(on: batch)
    #expect(throws: BridgeError.self) { try step.examples(for: "test", of: side) }
  }

  @Test func listsAreTheBestThatAUserHasNotHad() throws {
    let small = try SmallComposition(seed: 2)
    let lists = try small.context.rankedLists(of: .domain, length: 5)
    let scores = try small.domain.scores(users: [3]).floats
    let seen = Set(UserItemMatrix(small.context.split.training).items(of: 3))
    let expected = scores.indices.filter { !seen.contains(Int32($0)) }
      .sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(5).map(Int32.init)
    #expect(lists.items(of: 3) == expected && lists.length == 5)
    let sums: [Float] = lists.confidences.sum(along: [1]).floats
    #expect(sums.allSatisfy { abs($0 - 1) < 1e-5 })
    var state = BridgeState()
    lists.save(into: &state, as: "lists")
    let vocabulary = small.language.vocabulary
    let back = try #require(try RankedLists.saved(in: state, as: "lists", vocabulary, length: 5))
    #expect(back.items.scalars(as: Int32.self) == lists.items.scalars(as: Int32.self))
    #expect(try RankedLists.saved(in: BridgeState(), as: "lists", vocabulary, length: 5) == nil)
    #expect(throws: BridgeError.self) {
      try RankedLists.saved(in: state, as: "lists", vocabulary, length: 4)
    }
    state.tensors["lists.confidences"] = lists.confidences + 1
    #expect(throws: BridgeError.self) {
      try RankedLists.saved(in: state, as: "lists", vocabulary, length: 5)
    }
    state.tensors["lists.confidences"] = nil
    #expect(throws: BridgeError.self) {
      try RankedLists.saved(in: state, as: "lists", vocabulary, length: 5)
    }
  }
}
