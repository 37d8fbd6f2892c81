import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// BERT encoders against Transformers.
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
}
