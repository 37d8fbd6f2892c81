import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// SmolLM2-135M from its GGUF file against Transformers on the same dequantised weights.
@Suite(.enabled(if: TestAssets.smolLM2 != nil)) struct SmolLM2Tests {
  private let reference = Result { try Fixture("references", reference: "smollm2.safetensors") }

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

  /// 8-bit activations apply to few rows, so tokens are read one by one; bfloat16 applies to many, so all at once.
  @Test(arguments: [Arithmetic.int8, .bfloat16])
  func narrowArithmeticStaysClose(arithmetic: Arithmetic) throws {
    let reference = try reference.get()
    let model = try load()
    func logits(_ ids: [Int32]) -> [[Float]] {
      let cache = KeyValueCache(layerCount: model.layerCount)
      let parts = arithmetic == .int8 ? ids.map { [$0] } : [ids]
      return parts.flatMap { part in
        let states = model.hiddenStates(
          model.embed(part), sequences: PackedSequences(lengths: [part.count]), cache: cache)
        let rows = model.logits(states)
        return (0..<part.count).map { rows.rows([$0]).floats }
      }
    }
    var (positions, agreeing, largest) = (0, 0, 0.0)
    for prompt in 0..<6 {
      let ids = try reference.tokens("\(prompt).ids")[0]
      let (exact, narrow) = withSteadyInstructionSet {
        model.arithmetic = .float32
        let exact = logits(ids)
        model.arithmetic = arithmetic
        return (exact, logits(ids))
      }
      for (a, b) in zip(exact, narrow) {
        positions += 1
        let difference = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let mean = a.reduce(0.0) { $0 + Double($1) } / Double(a.count)
        let spread = a.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        largest = max(largest, (difference / spread).squareRoot())
        if a.indices.max(by: { a[$0] < a[$1] }) == b.indices.max(by: { b[$0] < b[$1] }) { agreeing += 1 }
      }
    }
    #expect(positions > 40)
    #expect(Double(agreeing) >= 0.95 * Double(positions), "\(agreeing) of \(positions)")
    // Of the spread of the logits at a position, at the worst one; the first tokens are the most sensitive.
    #expect(largest < (arithmetic == .int8 ? 0.4 : 0.2))
  }
}
