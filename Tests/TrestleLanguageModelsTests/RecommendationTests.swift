import Foundation
import Testing
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Entity tokens, the item head, and their training.
@Suite struct RecommendationTests {
  private func model() throws -> any LanguageModel {
    try LanguageModels.load(try Fixture("llama_tied").folder, storage: .float32)
  }

  private func recommender(
    similarity: ItemHead.Similarity = .cosine, items: Int = 6
  ) throws -> ItemSequenceModel {
    let model = try model()
    model.freeze()
    var generator = RandomGenerator(seed: 4)
    let entities = EntityTokens(userCount: 3, itemCount: items, for: model, using: &generator)
    return ItemSequenceModel(
      model: model, entities: entities,
      head: ItemHead(itemCount: items, similarity: similarity, bias: .normal([items], using: &generator)))
  }

  @Test func idsGoOnWhereTheVocabularyEnds() throws {
    let entities = try recommender().entities
    #expect(entities.token(user: 0) == 72)
    #expect(entities.token(item: 0) == 75)
    #expect(entities.kind(of: 71) == .text(71))
    #expect(entities.kind(of: 74) == .user(2))
    #expect(entities.kind(of: 80) == .item(5))
    #expect(entities.kind(of: 81) == nil)
    #expect(entities.kind(of: -1) == nil)
    #expect(entities.tokenCount == 81)
  }

  @Test func mixedTokensKeepTheirOrder() throws {
    let recommender = try recommender()
    let entities = recommender.entities
    let tokens: [Int32] = [75, 3, 72, 80, 3, 74, 75]
    let rows = entities.embed(tokens, with: recommender.model)
    for (position, token) in tokens.enumerated() {
      let alone = entities.embed([token], with: recommender.model).floats
      #expect(rows.sliced(position..<position + 1, along: 0).floats == alone)
    }
  }

  @Test func gradientsOfMixedTokensReachTheirRowsAlone() throws {
    let recommender = try recommender()
    let entities = recommender.entities
    let tokens: [Int32] = [75, 3, 72, 75, 74]
    let upstream = Tensor((0..<5 * 24).map { Float($0 % 7) - 3 }, shape: [5, 24])
    let (_, gradients) = valueAndGradients(of: entities.parameters) {
      (entities.embed(tokens, with: recommender.model) * upstream).sum()
    }
    let users = try #require(gradients[entities.users]).dense()
    let items = try #require(gradients[entities.items]).dense()
    #expect(users[0].floats == upstream[2].floats)
    #expect(users[1].floats.allSatisfy { $0 == 0 })
    #expect(users[2].floats == upstream[4].floats)
    #expect(items[0].floats == (upstream[0] + upstream[3]).floats)
    #expect(items.sliced(1..<6, along: 0).floats.allSatisfy { $0 == 0 })
  }

  @Test func lookupsAloneHaveRowSparseGradients() throws {
    let recommender = try recommender(items: 1000)
    let entities = recommender.entities
    let (_, gradients) = valueAndGradients(of: entities.parameters) {
      entities.embed([entities.token(item: 7), entities.token(item: 900)], with: recommender.model).sum()
    }
    guard case .rows(let rows)? = gradients[entities.items] else {
      Issue.record("the gradient is dense")
      return
    }
    #expect(rows.indices.scalars(as: Int32.self) == [7, 900])
  }

  @Test func newRowsMatchThePretrainedOnes() throws {
    let model = try model()
    var generator = RandomGenerator(seed: 9)
    let vectors = Tensor.normal([500, 16], mean: 3, deviation: 7, using: &generator)
    let rows = EntityTokens.rows(matching: vectors, for: model, using: &generator)
    let statistics = model.embeddingStatistics()
    #expect(largestDifference(rows.mean(along: [0]).floats, statistics.mean.floats) < 1e-4)
    let deviation = (rows - rows.mean(along: [0])).squared().mean().item.squareRoot()
    #expect(abs(deviation / statistics.deviation - 1) < 1e-3)
    // Angles stay: cosines of centred vectors are those of centred rows.
    let before = (vectors - vectors.mean(along: [0])).unitNormalized()
    let after = (rows - rows.mean(along: [0])).unitNormalized()
    let cosines = before.matmul(before, transposingOther: true).floats
    #expect(largestDifference(after.matmul(after, transposingOther: true).floats, cosines) < 1e-4)
  }

  @Test func cosineLogitsFollowTheirFormula() throws {
    let recommender = try recommender()
    let states = recommender.states([[75, 76, 1]])
    let items = recommender.entities.items.detached
    let logits = recommender.head.logits(states, items: items)
    let rows = items.floats
    let mean = (0..<24).map { column in (0..<6).reduce(Float(0)) { $0 + rows[$1 * 24 + column] } / 6 }
    let bias = recommender.head.bias.detached.floats
    for position in 0..<3 {
      let state = states[position].floats
      for item in 0..<6 {
        let row = (0..<24).map { rows[item * 24 + $0] - mean[$0] }
        let dot = zip(state, row).reduce(Float(0)) { $0 + $1.0 * $1.1 }
        func length(_ x: [Float]) -> Float { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let expected = 20 * dot / (length(state) * length(row)) + bias[item]
        #expect(abs(Float(logits[position][item].item) - expected) < 1e-3)
      }
    }
    let some = recommender.head.logits(states, items: items, candidates: [4, 0])
    #expect(some.shape == [3, 2])
    for position in 0..<3 {
      #expect(abs(some[position][0].item - logits[position][4].item) < 1e-4)
      #expect(abs(some[position][1].item - logits[position][0].item) < 1e-4)
    }
  }

  @Test func dotLogitsAreThoseOfATiedHead() throws {
    let recommender = try recommender(similarity: .dot)
    let states = recommender.states([[75, 76]])
    let items = recommender.entities.items.detached
    let expected = states.matmul(items, transposingOther: true) + recommender.head.bias.detached
    #expect(largestDifference(recommender.head.logits(states, items: items).floats, expected.floats) < 1e-6)
    #expect(!recommender.head.scale.isTrainable)
  }

  @Test func everyItemIsPredictedFromThoseBeforeIt() throws {
    let recommender = try recommender()
    let plain = recommender.sequence(items: [2, 0, 5])
    #expect(plain.tokens == [77, 75])
    #expect(plain.targets == [0, 5])
    let prefixed = recommender.sequence(items: [2, 0], prefix: [9, 73])
    #expect(prefixed.tokens == [9, 73, 77])
    #expect(prefixed.targets == [-1, 2, 0])
    #expect(recommender.sequence(items: [], prefix: [9]).targets == [-1])
    #expect(recommender.sequence(items: [3]).tokens.isEmpty)
  }

  @Test func theLossOfABatchIsTheMeanOverItsPredictions() throws {
    let recommender = try recommender()
    let sequences = [
      recommender.sequence(items: [2, 0, 5]), recommender.sequence(items: [1, 4], prefix: [9, 72]),
    ]
    let loss = recommender.sequenceLoss(sequences).item
    var sum = 0.0
    for (prompt, item) in [([77], 0), ([77, 75], 5), ([9, 72], 1), ([9, 72, 76], 4)] as [([Int32], Int)] {
      sum -= recommender.scores([prompt]).logSoftmax()[0][item].item
    }
    #expect(abs(loss - sum / 4) < 1e-5)
  }

  @Test func adaptersAndRowsLearnASequence() throws {
    let recommender = try recommender()
    let adapters = try LoRA(rank: 4, alpha: 8).load(into: recommender.model, using: RandomGenerator(seed: 1))
    let parameters = adapters.parameters + recommender.entities.parameters + recommender.head.parameters
    let before = recommender.model.namedParameters.filter { !$0.parameter.isTrainable }
      .map { $0.parameter.detached.floats }
    let optimizer = AdamW(parameters, learningRate: 0.02, weightDecay: 0)
    let sequences = [
      recommender.sequence(items: [0, 1, 2, 3, 4, 5]), recommender.sequence(items: [5, 3, 1]),
    ]
    var losses: [Double] = []
    for _ in 0..<60 {
      let (loss, gradients) = valueAndGradients(of: parameters) { recommender.sequenceLoss(sequences) }
      losses.append(loss.item)
      optimizer.update(with: gradients)
    }
    #expect(losses[59] < 0.2 * losses[0])
    let after = recommender.model.namedParameters.filter { !$0.parameter.isTrainable }
      .map { $0.parameter.detached.floats }
    #expect(before == after)
  }

  @Test func statesOfPromptsAreTheirLastOrMeanOnes() throws {
    try withSteadyInstructionSet {
      let recommender = try recommender()
      let prompts: [[Int32]] = [[1, 75], [2, 3, 80]]
      let states = recommender.states(prompts)
      #expect(recommender.lastStates(prompts).floats == states.rows([1, 4]).floats)
      let mean = (states[2] + states[3] + states[4]) * (1.0 / 3)
      #expect(largestDifference(recommender.meanStates(prompts)[1].floats, mean.floats) < 1e-6)
    }
  }
  @Test func whatAllTextsBeginWithIsTold() {
    let texts: [[Int32]] = [[5, 6, 7, 8], [5, 6, 9, 8, 4], [], [5, 6]]
    #expect(ReadingStyle.commonPrefix(of: texts) == 1)
    #expect(ReadingStyle.commonPrefix(of: [texts[0], texts[1]]) == 2)
    #expect(ReadingStyle.commonPrefix(of: [texts[0], texts[0]]) == 3)
    #expect(ReadingStyle.commonPrefix(of: [[5, 6], [7, 6]]) == 0)
    #expect(ReadingStyle.commonPrefix(of: [texts[0], []]) == 0)
  }

  @Test(arguments: [ReadingStyle(skipping: 2), ReadingStyle(skipping: 1, separator: [3])])
  func aStyleSaysWhichTokensCount(_ style: ReadingStyle) throws {
    try withSteadyInstructionSet {
      let model = try recommender().model
      let texts: [[Int32]] = [[5, 6, 7, 8], [5, 6, 9, 8, 4], [], [5]]
      let last = model.layerCount
      let read = TextReader(model: model, texts: texts, layer: last, base: 1, style: style)
        .allRepresentations()
      let whole = TextReader.meanStates(of: texts, by: model, layers: [last], style: style)[0]
      #expect(largestDifference(read.floats, whole.floats) < 1e-5)
      #expect(read[2].floats.allSatisfy { $0 == 0 })
      for (place, text) in texts.enumerated() where !text.isEmpty {
        // Of a text of one token, that token counts.
        let skipped = min(style.skipping, text.count - 1)
        let prompt = style.separator.map { text + $0 + text } ?? text
        let states = model.states(
          model.embed(prompt), sequences: PackedSequences(lengths: [prompt.count]), from: 0, layers: [last])[
            0]
        let counted = states.sliced(prompt.count - text.count + skipped..<prompt.count, along: 0)
        #expect(largestDifference(read[place].floats, counted.mean(along: [0]).floats) < 1e-5)
      }
    }
  }
}
