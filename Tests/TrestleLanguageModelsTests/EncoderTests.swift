import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Encoders against Transformers, and what is made of their states against sentence-transformers.
@Suite struct EncoderTests {
  @Test func statesAndGradientsAreThoseOfTransformers() throws {
    let fixture = try Fixture("bert")
    let model = try LanguageModels.loadEncoder(fixture.folder, storage: .float32)
    let mask = try fixture.tokens("attention_mask")
    let lengths = mask.map { $0.reduce(0) { $0 + Int($1) } }
    func cut(_ rows: [[Int32]]) -> [[Int32]] { zip(rows, lengths).map { Array($0.prefix($1)) } }
    let tokens = cut(try fixture.tokens())
    let types = cut(try fixture.tokens("token_type_ids"))
    // Rows of the padded reference that stand for tokens.
    let kept = lengths.enumerated().flatMap { row, length in (0..<length).map { row * mask[0].count + $0 } }
    func packed(_ name: String) throws -> Tensor {
      let tensor = try fixture.tensor(name)
      return tensor.reshaped(to: [-1, tensor.shape[2]]).rows(kept)
    }
    let expected = try packed("last_hidden_state").floats
    let upstream = try packed("upstream")
    let states = model.hiddenStates(tokens: tokens, types: types)
    #expect(largestDifference(states.floats, expected) < 2e-5)

    let parameters = model.namedParameters
    let (_, gradients) = valueAndGradients(of: parameters.map(\.parameter)) {
      (model.hiddenStates(tokens: tokens, types: types) * upstream).sum()
    }
    #expect(
      Set(parameters.map { "gradient." + $0.name })
        == Set(fixture.reference.names.filter { $0.hasPrefix("gradient.") }))
    for entry in parameters {
      let found = try #require(gradients[entry.parameter], "no gradient for \(entry.name)").dense().floats
      let difference = largestDifference(found, try fixture.floats("gradient." + entry.name))
      #expect(difference < 5e-5, "\(entry.name): \(difference)")
    }
  }

  @Test(.enabled(if: TestAssets.miniLM != nil)) func sentenceEmbeddingsAreThoseOfMiniLM() throws {
    let reference = try Fixture("references", reference: "minilm.safetensors")
    let encoder = try SentenceEncoder(folder: try #require(TestAssets.miniLM))
    let description = try JSONValue(contentsOf: reference.folder.appending(path: "minilm.json"))
    var texts: [String] = []
    for text in try description.member("texts").array() { texts.append(try text.string()) }
    for (index, text) in texts.enumerated() {
      let ids = try reference.tokens("\(index).ids")[0]
      #expect(encoder.tokens(of: text) == ids, "\(text)")
    }
    let expected = try reference.tensor("embeddings")
    let cosines = encoder.encode(texts, batchTokens: 40).rowDot(expected).floats
    #expect(cosines.count == texts.count)
    #expect(cosines.allSatisfy { $0 > 0.99999 })
    let first = try reference.tokens("0.ids")[0]
    let states = encoder.model.hiddenStates(tokens: [first]).floats
    let expectedStates = try reference.floats("0.states")
    #expect(largestDifference(states, expectedStates) < 1e-4)
  }

  /// Folders as publishers lay them out, and one (`sentence_layers`) as sentence-transformers 6 saves it.
  @Test(arguments: ["bge", "e5", "qwen3_embedding", "embeddinggemma", "sentence_layers"])
  func vectorsAreThoseOfSentenceTransformers(family: String) throws {
    let fixture = try Fixture(family)
    let encoder = try SentenceEncoder(folder: fixture.folder)
    let description = try JSONValue(contentsOf: fixture.folder.appending(path: "reference.json"))
    var texts: [String] = []
    for text in try description.member("texts").array() { texts.append(try text.string()) }
    for one in try description.member("cases").array() {
      let name = try one.member("name").string()
      let prompt = try one.member("prompt").string()
      if let own = encoder.prompts[name] { #expect(own == prompt) }
      for (text, row) in zip(texts, try one.member("ids").array()) {
        var ids: [Int32] = []
        for id in try row.array() { ids.append(Int32(try id.int(in: 0...1000))) }
        #expect(encoder.tokens(of: prompt + text) == ids, "\(name): \(text)")
      }
      let vectors = encoder.encode(texts, prompt: prompt, batchTokens: 150)
      #expect(vectors.shape == [texts.count, encoder.width])
      let difference = largestDifference(vectors.floats, try fixture.floats("vectors.\(name)"))
      #expect(difference < 1e-5, "\(name): \(difference)")
    }
  }

  @Test func theFilesSayHowStatesArePooled() throws {
    func encoder(_ family: String) throws -> SentenceEncoder {
      try SentenceEncoder(folder: try Fixture(family).folder)
    }
    let bge = try encoder("bge")
    #expect(bge.pooling == .first && bge.isNormalized && bge.maximumLength == 96 && bge.prompts == [:])
    let qwen = try encoder("qwen3_embedding")
    #expect(qwen.pooling == .last && qwen.isNormalized && qwen.maximumLength == 160)
    let gemma = try encoder("embeddinggemma")
    #expect(gemma.pooling == .mean && gemma.isNormalized && gemma.layers.count == 3)
    #expect(gemma.width == 20 && gemma.model.hiddenSize == 18 && gemma.model is Gemma3Encoder)
    #expect(gemma.prompts["Clustering"] == "task: clustering | query: ")
    let layers = try encoder("sentence_layers")
    #expect(layers.maximumLength == 40 && !layers.isNormalized && layers.width == 16)
  }

  @Test func gradientsOfAnEncoderInBothDirectionsAreThoseOfTransformers() throws {
    let fixture = try Fixture("embeddinggemma")
    let encoder = try SentenceEncoder(folder: fixture.folder, storage: .float32)
    let description = try JSONValue(contentsOf: fixture.folder.appending(path: "reference.json"))
    let prompt = try #require(encoder.prompts["query"])
    var tokens: [[Int32]] = []
    for text in try description.member("texts").array() {
      tokens.append(encoder.tokens(of: prompt + (try text.string())))
    }
    let upstream = try fixture.tensor("upstream")
    var parameters = encoder.model.namedParameters.map { (name: $0.name, parameter: $0.parameter) }
    for (index, layer) in encoder.layers.enumerated() {
      guard case .dense(let linear, activation: nil) = layer else { continue }
      parameters.append(("\(index + 2).linear.weight", linear.weight))
    }
    let (_, gradients) = valueAndGradients(of: parameters.map(\.parameter)) {
      (encoder.pooled(tokens) * upstream).sum()
    }
    #expect(
      Set(parameters.map { "gradient." + $0.name })
        == Set(fixture.reference.names.filter { $0.hasPrefix("gradient.") }))
    for (name, parameter) in parameters {
      let found = try #require(gradients[parameter], "no gradient for \(name)").dense().floats
      let difference = largestDifference(found, try fixture.floats("gradient." + name))
      #expect(difference < 5e-5, "\(name): \(difference)")
    }
  }
}
