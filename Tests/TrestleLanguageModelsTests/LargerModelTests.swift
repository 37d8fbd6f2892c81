import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport
import TrestleText

/// Gemma 3 and Qwen2.5 from their GGUF files against Transformers on the same dequantised weights.
///
/// These files are not among the default assets: `Scripts/fetch-assets --models gemma3-270m,qwen2.5-0.5b,qwen2.5-1.5b`.
@Suite struct LargerModelTests {
  enum Family: String, Sendable, CaseIterable {
    case gemma3
    case qwen25 = "qwen2.5"
    case qwen25Large = "qwen2.5_1.5b"

    var url: URL? {
      switch self {
      case .gemma3: TestAssets.gemma3
      case .qwen25: TestAssets.qwen25
      case .qwen25Large: TestAssets.qwen25Large
      }
    }

    static var available: [Family] { allCases.filter { $0.url != nil } }
  }

  @Test(arguments: Family.available) func logitsAreThoseOfTransformers(family: Family) throws {
    let model = try LanguageModels.load(try #require(family.url))
    let reference = try Fixture("references", reference: "\(family.rawValue).safetensors")
    let columns = try reference.tokens("vocabulary_ids")[0]
    let prompts = reference.reference.names.filter { $0.hasSuffix(".ids") }.count
    #expect(prompts >= 4)
    for prompt in 0..<prompts {
      let ids = try reference.tokens("\(prompt).ids")[0]
      let states = model.hiddenStates(tokens: [ids])
      let logits = model.logits(states, columns: columns).floats
      #expect(largestDifference(logits, try reference.floats("\(prompt).logits")) < 1e-3, "prompt \(prompt)")
      let best = model.logits(states.rows([ids.count - 1])).topK(20)
      let topLogits = try reference.floats("\(prompt).top_logits")
      #expect(largestDifference(best.values.floats, topLogits) < 1e-3)
      if topLogits[0] - topLogits[1] > 1e-2 {
        let top = try reference.tokens("\(prompt).top_ids")[0][0]
        #expect(best.indices.scalars(as: Int32.self)[0] == top)
      }
      let loss = try reference.tensor("\(prompt).loss").item
      #expect(abs(model.nextTokenLoss([ids]).item - loss) < 1e-3)
    }
  }

  @Test(arguments: Family.available) func greedyTokensAreThoseOfTransformers(family: Family) throws {
    let file = try #require(family.url)
    let model = try LanguageModels.load(file)
    let tokenizer = try PretrainedTokenizer(contentsOf: file).tokenizer
    let url = TestAssets.fixtures.appending(path: "language/references/\(family.rawValue).json")
    var count = 0
    for entry in try JSONValue(contentsOf: url).member("greedy").array() {
      let ids = try entry.member("ids").array().map { Int32(try $0.int()) }
      let expected = try entry.member("continuation").array().map { Int32(try $0.int()) }
      let text = try entry.member("prompt").string()
      // Control tokens in a prompt are the template's own.
      if !text.contains("<|im_start|>") { #expect(tokenizer.encodeSequence(text) == ids) }
      var generator = try TokenGenerator(
        model, prompt: ids, options: GenerationOptions(maximumTokens: 64))
      var found: [Int32] = []
      while let token = generator.next() { found.append(token) }
      #expect(expected.count == 64)
      #expect(found == expected, "\(text)")
      count += 1
    }
    #expect(count >= 3)
  }
}
