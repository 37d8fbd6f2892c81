import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Tiny random models of each family against Transformers.
@Suite struct DecoderParityTests {
  static let families = [
    "llama", "llama_tied", "llama3", "mistral", "mistral_window", "qwen2", "qwen2_window", "qwen3",
    "qwen3_yarn", "qwen3_moe", "gemma3", "smollm3", "phi3", "phi4", "gpt2",
  ]

  /// Sequences beyond the original context of `phi3_long` have other angles than their beginnings have alone.
  @Test(arguments: families + ["phi3_long"]) func logitsLossAndGradientsAreThoseOfTransformers(family: String)
    throws
  {
    let fixture = try Fixture(family)
    let model = try LanguageModels.load(fixture.folder, storage: .float32)
    let tokens = try fixture.tokens()
    let logits = model.logits(model.hiddenStates(tokens: tokens))
    let expectedLogits = try fixture.floats("logits")
    #expect(largestDifference(logits.floats, expectedLogits) < 2e-5)

    let parameters = model.namedParameters
    let (loss, gradients) = valueAndGradients(of: parameters.map(\.parameter)) {
      model.nextTokenLoss(tokens)
    }
    let expectedLoss = try fixture.tensor("loss").item
    #expect(abs(loss.item - expectedLoss) < 1e-5)
    let expected = fixture.reference.names.filter { $0.hasPrefix("gradient.") }
    #expect(Set(parameters.map { "gradient." + $0.name }) == Set(expected))
    for entry in parameters {
      let found = try #require(gradients[entry.parameter], "no gradient for \(entry.name)").dense().floats
      let difference = largestDifference(found, try fixture.floats("gradient." + entry.name))
      #expect(difference < 2e-5, "\(entry.name): \(difference)")
    }
  }

  /// Blocks that are computed again give the same bits: all weights' gradients, and those of adapters in some of the blocks.
  @Test(arguments: families) func blocksThatAreComputedAgainGiveTheSameGradients(family: String) throws {
    let fixture = try Fixture(family)
    let tokens = try fixture.tokens()
    try withSteadyInstructionSet {
      func bits(recomputes: Bool, target: String?) throws -> [[UInt32]] {
        let model = try LanguageModels.load(fixture.folder, storage: .float32)
        if let target {
          try LoRA(rank: 2, targets: [target]).load(into: model, using: RandomGenerator(seed: 1))
        }
        model.recomputesBlocks = recomputes
        let parameters = model.trainableParameters
        let (loss, gradients) = valueAndGradients(of: parameters) { model.nextTokenLoss(tokens) }
        return [loss.floats.map(\.bitPattern)]
          + parameters.map { gradients[$0]?.dense().floats.map(\.bitPattern) ?? [] }
      }
      let last = try LanguageModels.load(fixture.folder).namedLinears
        .last { $0.name.contains("o_proj") }
      #expect((last == nil) == (family == "gpt2"))
      for target in last.map({ [nil, $0.name] }) ?? [nil] {
        let kept = try bits(recomputes: false, target: target)
        #expect(try bits(recomputes: true, target: target) == kept)
        #expect(kept.count > 2 && kept.dropFirst().allSatisfy { !$0.isEmpty })
      }
    }
  }

  @Test func weightsInSeveralFilesAreThoseInOne() throws {
    let fixture = try Fixture("llama")
    let model = try LanguageModels.load(
      TestAssets.fixtures.appending(path: "language/llama_sharded"), storage: .float32)
    let logits = model.logits(model.hiddenStates(tokens: try fixture.tokens()))
    let expectedLogits = try fixture.floats("logits")
    #expect(largestDifference(logits.floats, expectedLogits) < 2e-5)
  }

  @Test(arguments: families) func statesOfALayerLeadToThoseOfTheNext(family: String) throws {
    try withSteadyInstructionSet {
      let fixture = try Fixture(family)
      let model = try LanguageModels.load(fixture.folder)
      let tokens = try fixture.tokens()
      let sequences = PackedSequences(lengths: tokens.map(\.count))
      let embedded = model.embed(tokens.flatMap { $0 })
      let top = model.layerCount
      let all = model.states(embedded, sequences: sequences, from: 0, layers: [top, 1, 0])
      #expect(all[0].floats == model.hiddenStates(tokens: tokens).floats)
      // GPT-2 adds its positions on the way into the first block.
      if !(model is GPT2) { #expect(all[2].floats == embedded.floats) }
      #expect(all[1].floats != embedded.floats)
      let rest = model.states(all[1], sequences: sequences, from: 1, layers: [top])
      #expect(rest[0].floats == all[0].floats)
    }
  }

  @Test(arguments: families) func readingInPiecesGivesTheSameStates(family: String) throws {
    try withSteadyInstructionSet {
      let fixture = try Fixture(family)
      let model = try LanguageModels.load(fixture.folder)
      let tokens = try fixture.tokens()
      let whole = model.hiddenStates(tokens: tokens).floats
      let cache = KeyValueCache(layerCount: model.layerCount, sequenceCount: 2)
      var pieces: [[Tensor]] = [[], []]
      for range in [0..<4, 4..<5, 5..<10] {
        let part = tokens.map { Array($0[range]) }
        let states = model.hiddenStates(
          model.embed(part.flatMap { $0 }), sequences: PackedSequences(lengths: part.map(\.count)),
          cache: cache
        )
        for index in 0..<2 {
          pieces[index].append(states.sliced(index * range.count..<(index + 1) * range.count, along: 0))
        }
      }
      #expect(cache.lengths == [10, 10])
      let joined = Tensor.concatenated(pieces.flatMap { $0 }, along: 0).floats
      #expect(largestDifference(joined, whole) < 1e-5)
    }
  }

  @Test(arguments: families) func readingTokenByTokenGivesTheSameStates(family: String) throws {
    let fixture = try Fixture(family)
    let model = try LanguageModels.load(fixture.folder)
    let tokens = try fixture.tokens()[0]
    let whole = model.hiddenStates(tokens: [tokens]).floats
    let cache = KeyValueCache(layerCount: model.layerCount)
    let states = tokens.map {
      model.hiddenStates(model.embed([$0]), sequences: PackedSequences(lengths: [1]), cache: cache)
    }
    #expect(largestDifference(Tensor.concatenated(states, along: 0).floats, whole) < 1e-5)
  }

  /// One token of each sequence at a time: of sequences of their own, and of ones forked from a prompt.
  @Test(arguments: families) func readingSideBySideGivesTheSameStates(family: String) throws {
    let model = try LanguageModels.load(try Fixture(family).folder)
    let prompt: [Int32] = [3, 14, 15, 9, 2]
    let rests: [[Int32]] = [[6, 5, 3, 5, 8, 9], [7, 9, 3, 2, 3, 8], [4, 6, 2, 6, 4, 3]]
    let prefixes: [[Int32]] = [[1], [1, 2, 3, 4, 5, 6], [7, 8]]
    for isForked in [false, true] {
      var cache = KeyValueCache(layerCount: model.layerCount, sequenceCount: isForked ? 1 : 3)
      let begun = isForked ? [prompt] : prefixes
      _ = model.hiddenStates(
        model.embed(begun.flatMap { $0 }), sequences: PackedSequences(lengths: begun.map(\.count)),
        cache: cache)
      if isForked { cache = cache.forked(into: 3) }
      var last = Tensor.zeros([0])
      for position in 0..<6 {
        last = model.hiddenStates(
          model.embed(rests.map { $0[position] }), sequences: PackedSequences(lengths: [1, 1, 1]),
          cache: cache)
      }
      for (index, rest) in rests.enumerated() {
        let whole = (isForked ? prompt : prefixes[index]) + rest
        let expected = model.hiddenStates(tokens: [whole]).rows([whole.count - 1]).floats
        #expect(largestDifference(last.rows([index]).floats, expected) < 1e-5, "forked \(isForked), \(index)")
      }
    }
  }

  @Test func continuationsOfASharedPromptScoreAsWholeSequencesDo() throws {
    let model = try LanguageModels.load(try Fixture("llama").folder)
    let prompt: [Int32] = [5, 9, 33, 2]
    let continuations: [[Int32]] = [[7], [8, 11, 3], [60, 1]]
    let scores = model.logLikelihoods(of: continuations, after: prompt)
    for (score, continuation) in zip(scores, continuations) {
      let whole = prompt + continuation
      let logProbabilities = model.logits(model.hiddenStates(tokens: [whole])).logSoftmax()
      var expected = 0.0
      for position in prompt.count..<whole.count {
        expected += logProbabilities[position - 1][Int(whole[position])].item
      }
      #expect(abs(score - expected) < 1e-5)
    }
  }

  @Test func logitsOfChosenColumnsAreThoseOfAll() throws {
    let model = try LanguageModels.load(try Fixture("qwen2").folder)
    let states = model.hiddenStates(tokens: [[1, 2, 3]])
    let all = model.logits(states)
    let some = model.logits(states, columns: [70, 3])
    #expect(
      largestDifference(some.floats, [0, 1, 2].flatMap { [all[$0][70], all[$0][3]].map { Float($0.item) } })
        < 1e-6)
    let answer = model.yesNoLogits(states, yes: 70, no: 3)
    #expect(abs(answer[1].item - (all[1][70].item - all[1][3].item)) < 1e-5)
  }

  @Test func aBatchComputesWhatItsSequencesComputeAlone() throws {
    try withSteadyInstructionSet {
      let model = try LanguageModels.load(try Fixture("mistral_window").folder)
      let sequences: [[Int32]] = [[1, 2, 3, 4, 5, 6, 7], [9], [10, 11, 12]]
      let together = model.hiddenStates(tokens: sequences)
      let alone = Tensor.concatenated(sequences.map { model.hiddenStates(tokens: [$0]) }, along: 0)
      // Products of one row and of several add up in different orders: equal to rounding, not in bits.
      #expect(largestDifference(together.floats, alone.floats) < 1e-5)
    }
  }
}
