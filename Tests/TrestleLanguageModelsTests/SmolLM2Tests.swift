import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// SmolLM2-135M from its GGUF file against Transformers on the same dequantised weights.
@Suite(.enabled(if: TestAssets.smolLM2 != nil)) struct SmolLM2Tests {
  private let reference = Result { try Fixture("", reference: "smollm2.safetensors") }

  private func load(_ storage: WeightStorage = .asStored) throws -> any LanguageModel {
    try LanguageModels.load(try #require(TestAssets.smolLM2), storage: storage)
  }

  @Test(arguments: [WeightStorage.asStored, .float32])
  func logitsAgreeWithTransformers(storage: WeightStorage) throws {
    let reference = try reference.get()
    let model = try load(storage)
    let columns = try reference.tokens("vocabulary_ids")[0]
    for prompt in 0..<6 {
      let ids = try reference.tokens("\(prompt).ids")[0]
      let states = model.hiddenStates(tokens: [ids])
      let logits = model.logits(states, columns: columns).floats
      let expected = try reference.floats("\(prompt).logits")
      let largest = zip(logits, expected).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      #expect(largest < 2e-3, "prompt \(prompt)")
      let best = model.logits(states.rows([ids.count - 1])).topK(20)
      let topLogits = try reference.floats("\(prompt).top_logits")
      #expect(zip(best.values.floats, topLogits).allSatisfy { abs($0 - $1) < 2e-3 })
      if topLogits[0] - topLogits[1] > 1e-2 {
        let top = try reference.tokens("\(prompt).top_ids")[0][0]
        #expect(best.indices.scalars(as: Int32.self)[0] == top)
      }
      let loss = try reference.tensor("\(prompt).loss").item
      #expect(abs(model.nextTokenLoss([ids]).item - loss) < 1e-4)
    }
  }
}
