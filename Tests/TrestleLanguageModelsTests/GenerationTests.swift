import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport
import TrestleText

@Suite struct GenerationTests {
  private func model() throws -> any LanguageModel { try LanguageModels.load(try Fixture("llama").folder) }

  private func generate(_ options: GenerationOptions, prompt: [Int32] = [5, 9, 33]) throws -> [Int32] {
    var generator = try TokenGenerator(try model(), prompt: prompt, options: options)
    var tokens: [Int32] = []
    while let token = generator.next() { tokens.append(token) }
    return tokens
  }

  @Test func greedyTokensAreTheLikeliestOfFullRecomputation() throws {
    let model = try model()
    var tokens: [Int32] = [5, 9, 33]
    for _ in 0..<20 {
      let states = model.hiddenStates(tokens: [tokens])
      tokens.append(Int32(model.logits(states.rows([tokens.count - 1])).flattened().argmax().item))
    }
    let generated = try generate(GenerationOptions(maximumTokens: 20))
    #expect(generated == Array(tokens.dropFirst(3)))
  }

  /// A sequence that goes on from another one has the states of both in one, whoever else goes on from it.
  @Test(arguments: ["llama", "gpt2", "gemma3"])
  func sequencesGoOnFromOneAnother(name: String) throws {
    let model = try LanguageModels.load(try Fixture(name).folder)
    let (opening, endings): ([Int32], [[Int32]]) = ([5, 9, 33, 2], [[7, 1], [4], [8, 8, 3]])
    let alone: [Int32] = [6, 2]
    let parts = [opening] + endings + [alone]
    let states = model.hiddenStates(
      model.embed(parts.flatMap { $0 }), sequences: PackedSequences(lengths: parts.map(\.count)),
      continuing: [nil, 0, 0, 0, nil])
    let whole = endings.map { ending in
      model.hiddenStates(tokens: [opening + ending]).rows(Array(4..<4 + ending.count))
    }
    let expected = Tensor.concatenated(
      [model.hiddenStates(tokens: [opening])] + whole + [model.hiddenStates(tokens: [alone])], along: 0)
    #expect(zip(states.floats, expected.floats).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  @Test func aSeedRepeatsItsDrawsAndAnotherDoesNot() throws {
    try withSteadyInstructionSet {
      let sampling = Sampling(temperature: 1.5, topK: 40, topP: 0.95)
      let first = try generate(GenerationOptions(sampling: sampling, maximumTokens: 30, seed: 1))
      let again = try generate(GenerationOptions(sampling: sampling, maximumTokens: 30, seed: 1))
      let other = try generate(GenerationOptions(sampling: sampling, maximumTokens: 30, seed: 2))
      #expect(first == again)
      #expect(first != other)
      #expect(first.count == 30)
    }
  }

  @Test func oneCandidateMeansGreedyChoiceAtAnyTemperature() throws {
    let greedy = try generate(GenerationOptions(maximumTokens: 15))
    let topK = try generate(
      GenerationOptions(sampling: Sampling(temperature: 2, topK: 1), maximumTokens: 15, seed: 3))
    let topP = try generate(
      GenerationOptions(sampling: Sampling(temperature: 0.7, topP: 1e-9), maximumTokens: 15, seed: 3))
    #expect(topK == greedy)
    #expect(topP == greedy)
  }

  @Test func drawsFollowTheProbabilities() throws {
    let model = try model()
    let logits = model.logits(model.hiddenStates(tokens: [[5, 9, 33]]).rows([2])).floats
    let best = logits.max() ?? 0
    let weights = logits.map { exp(Double($0 - best) / 2) }
    let total = weights.reduce(0, +)
    var counts = [Int](repeating: 0, count: logits.count)
    let draws = 2000
    for seed in 0..<draws {
      var generator = try TokenGenerator(
        model, prompt: [5, 9, 33],
        options: GenerationOptions(
          sampling: Sampling(temperature: 2), maximumTokens: 1, seed: UInt64(seed)))
      if let token = generator.next() { counts[Int(token)] += 1 }
    }
    for token in logits.indices {
      let expected = weights[token] / total
      let deviation = (expected * (1 - expected) / Double(draws)).squareRoot()
      #expect(abs(Double(counts[token]) / Double(draws) - expected) < 5 * deviation + 1e-3)
    }
  }

  @Test func penalisedTokensComeBackLess() throws {
    let plain = try generate(GenerationOptions(maximumTokens: 40))
    let penalised = try generate(
      GenerationOptions(sampling: Sampling(repetitionPenalty: 50), maximumTokens: 40))
    #expect(Set(penalised).count > Set(plain).count)
  }

  @Test func stopTokensAndTheContextEndTheText() throws {
    let plain = try generate(GenerationOptions(maximumTokens: 10))
    let stopped = try generate(GenerationOptions(maximumTokens: 10, stopTokens: [plain[4]]))
    #expect(stopped == Array(plain.prefix(while: { $0 != plain[4] })))
    let long = try generate(GenerationOptions(maximumTokens: 1000))
    #expect(long.count == 64 - 3)
  }

  @Test func aTrieAllowsItsSequencesAlone() throws {
    let titles: [[Int32]] = [[10, 11, 12], [10, 11], [20, 21, 22, 23], [7]]
    let trie = TokenTrie(titles)
    for seed in 0..<20 {
      var generator = try TokenGenerator(
        try model(), prompt: [5],
        options: GenerationOptions(sampling: Sampling(temperature: 3), seed: UInt64(seed), constraint: trie))
      var tokens: [Int32] = []
      while let token = generator.next() { tokens.append(token) }
      #expect(generator.end == .stop)
      #expect(titles.contains(tokens))
      #expect(generator.completed.map { titles[$0] } == [tokens])
    }
  }

  @Test func copiesOfAGeneratorDoNotMeet() throws {
    var first = try TokenGenerator(try model(), prompt: [5, 9], options: GenerationOptions(maximumTokens: 8))
    for _ in 0..<3 { _ = first.next() }
    var second = first
    var a: [Int32] = []
    var b: [Int32] = []
    while let token = first.next() { a.append(token) }
    while let token = second.next() { b.append(token) }
    #expect(a == b)
    #expect(a.count == 5)
  }

  @Test func guessesFromTheTextSaveReadingsAndChangeNothing() throws {
    let prompt: [Int32] = [5, 9, 33, 5, 9, 33, 5, 9]
    for sampling in [Sampling.greedy, Sampling(temperature: 0.8, repetitionPenalty: 1.2)] {
      var options = GenerationOptions(sampling: sampling, maximumTokens: 40, seed: 4)
      let plain = try generate(options, prompt: prompt)
      options.promptLookup = 4
      var generator = try TokenGenerator(try model(), prompt: prompt, options: options)
      var tokens: [Int32] = []
      while let token = generator.next() { tokens.append(token) }
      #expect(tokens == plain && generator.end == .length)
      #expect(generator.passCount <= tokens.count)
      // The tiny model goes round in circles when it takes the likeliest token.
      if sampling == .greedy { #expect(generator.passCount < tokens.count * 2 / 3) }
    }
    #expect(throws: LanguageModelError.self) {
      var options = GenerationOptions()
      options.promptLookup = -1
      _ = try TokenGenerator(try model(), prompt: prompt, options: options)
    }
  }

  @Test func copiesOfAGeneratorThatGuessesDoNotMeet() throws {
    var options = GenerationOptions(sampling: Sampling(temperature: 1), maximumTokens: 24, seed: 2)
    options.promptLookup = 5
    let prompt: [Int32] = [5, 9, 5, 9, 5, 9]
    let whole = try generate(options, prompt: prompt)
    for taken in 0..<12 {
      var first = try TokenGenerator(try model(), prompt: prompt, options: options)
      var tokens: [Int32] = []
      for _ in 0..<taken { if let token = first.next() { tokens.append(token) } }
      var (second, others) = (first, tokens)
      // Turn by turn, so that either meets what the other would have left behind.
      for _ in 0..<24 {
        if let token = first.next() { tokens.append(token) }
        if let token = second.next() { others.append(token) }
      }
      #expect(tokens == whole && others == whole)
    }
  }

  @Test func aBatchSaysOfEachPromptWhatIsSaidOfItAlone() throws {
    let model = try model()
    let prompts: [[Int32]] = [[5, 9, 33, 7], [5, 9], [5, 9, 33], [5, 9, 2, 2, 60, 1]]
    let alone = try prompts.map { try generate(GenerationOptions(maximumTokens: 20), prompt: $0) }
    // One ends early, at a token of its own text; others go on without it.
    let options = GenerationOptions(maximumTokens: 20, stopTokens: [alone[0][6]])
    let expected = alone.map { Array($0.prefix { $0 != alone[0][6] }) }
    let batch = try BatchTokenGenerator(model, prompts: prompts, options: options)
    #expect(batch.rest() == expected)
    #expect(batch.counts == expected.map(\.count))
    #expect(batch.ends == expected.map { $0.count == 20 ? .length : .stop })
    #expect(batch.next() == nil)
    // Prompts with nothing in common, one alone, and none.
    let others: [[Int32]] = [[5, 9, 33], [7, 1]]
    let plain = try others.map { try generate(GenerationOptions(maximumTokens: 9), prompt: $0) }
    for count in 0...2 {
      let batch = try BatchTokenGenerator(
        model, prompts: Array(others.prefix(count)), options: GenerationOptions(maximumTokens: 9))
      #expect(batch.rest() == Array(plain.prefix(count)))
    }
    let drawn = try BatchTokenGenerator(
      model, prompts: [[5, 9], [5, 9]],
      options: GenerationOptions(sampling: Sampling(temperature: 2), maximumTokens: 20)
    ).rest()
    #expect(drawn[0] != drawn[1])
    #expect(throws: LanguageModelError.self) { _ = try BatchTokenGenerator(model, prompts: [[5], []]) }
  }

  @Test func impossibleRequestsAreErrors() throws {
    let model = try model()
    #expect(throws: LanguageModelError.self) { try TokenGenerator(model, prompt: []) }
    #expect(throws: LanguageModelError.self) { try TokenGenerator(model, prompt: [72]) }
    #expect(throws: LanguageModelError.self) { try TokenGenerator(model, prompt: [-1]) }
    #expect(throws: LanguageModelError.self) {
      try TokenGenerator(model, prompt: Array(repeating: 1, count: 64))
    }
    #expect(throws: LanguageModelError.self) {
      try TokenGenerator(model, prompt: [1], options: GenerationOptions(sampling: Sampling(topP: 0)))
    }
    #expect(throws: LanguageModelError.self) {
      try TokenGenerator(
        model, prompt: [1], options: GenerationOptions(sampling: Sampling(temperature: .nan)))
    }
  }
}

/// Generation of text with the real model.
@Suite(.enabled(if: TestAssets.smolLM2 != nil)) struct SmolLM2GenerationTests {
  @Test func greedyContinuationsAreThoseOfTransformers() throws {
    let model = try LanguageModels.load(try #require(TestAssets.smolLM2))
    let url = TestAssets.fixtures.appending(path: "language/references/smollm2.json")
    for entry in try JSONValue(contentsOf: url).member("greedy").array() {
      func ids(_ key: String) throws -> [Int32] {
        var ids: [Int32] = []
        for id in try entry.member(key).array() { ids.append(Int32(try id.int(in: 0...100_000))) }
        return ids
      }
      let expected = try ids("continuation")
      var generator = try TokenGenerator(
        model, prompt: try ids("ids"), options: GenerationOptions(maximumTokens: expected.count))
      var tokens: [Int32] = []
      while let token = generator.next() { tokens.append(token) }
      #expect(tokens == expected)
    }
  }

  @Test func textStopsBeforeAStopSequenceAndStreamsTheSameText() async throws {
    let url = try #require(TestAssets.smolLM2)
    let model = try LanguageModels.load(url)
    let tokenizer = try PretrainedTokenizer(contentsOf: url).tokenizer
    let prompt = tokenizer.encode("1, 2, 3, 4, 5, 6,")
    var options = GenerationOptions(maximumTokens: 24)
    var whole = try TextGenerator(model, tokenizer: tokenizer, prompt: prompt, options: options)
    var text = ""
    while let piece = whole.next() { text += piece }
    #expect(text.hasPrefix(" 7, 8, 9, 10"))

    options.stopSequences = [", 9", "never"]
    var stopped = try TextGenerator(model, tokenizer: tokenizer, prompt: prompt, options: options)
    var short = ""
    while let piece = stopped.next() { short += piece }
    #expect(short == " 7, 8")
    #expect(stopped.end == .stop)

    var streamed = ""
    let stream = try TextStream(model, tokenizer: tokenizer, prompt: prompt, options: options)
    for await piece in stream { streamed += piece }
    #expect(streamed == short)
    var again = ""
    for await piece in stream { again += piece }
    #expect(again == short)
  }
}
