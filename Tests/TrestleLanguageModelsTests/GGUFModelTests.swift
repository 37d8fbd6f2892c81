import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleTensor
import TrestleTestSupport

/// Tiny models as GGUF files: what the file means, and what is refused.
@Suite struct GGUFModelTests {
  @Test(arguments: ["gemma3", "qwen3_yarn", "qwen3_moe", "smollm3", "phi3"])
  func aFileComputesWhatTheFolderDoes(family: String) throws {
    let fixture = try Fixture(family)
    let model = try LanguageModels.load(fixture.folder.appending(path: "model.gguf"))
    let logits = model.logits(model.hiddenStates(tokens: try fixture.tokens())).floats
    let expected = try fixture.floats("logits")
    #expect(largestDifference(logits, expected) < 2e-5)
    let folder = try LanguageModels.load(fixture.folder)
    // The embedding's rows as the first block meets them, Gemma's times √hidden.
    #expect(
      largestDifference(model.embeddingStatistics().mean.floats, folder.embeddingStatistics().mean.floats)
        < 1e-6)
  }

  @Test func statisticsAreThoseOfTheEmbeddedRows() throws {
    let model = try LanguageModels.load(try Fixture("gemma3").folder)
    let rows = model.embed((0..<72).map { Int32($0) })
    let mean = rows.mean(along: [0])
    let statistics = model.embeddingStatistics()
    #expect(largestDifference(statistics.mean.floats, mean.floats) < 1e-6)
    let deviation = (rows - mean).squared().mean().item.squareRoot()
    #expect(abs(statistics.deviation - deviation) < 1e-6 * deviation)
  }

  /// What loading the tiny Llama with changes says; `nil` if it loads.
  private func failure(_ edit: (inout GGUFWriter) -> Void) throws -> LanguageModelError? {
    let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).gguf")
    try Data(MutationTests.tinyGGUF(tokenizer: "gpt2", edit: edit)).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    do {
      _ = try LanguageModels.load(file)
      return nil
    } catch { return error }
  }

  private static func float(_ value: Float) -> [UInt8] {
    GGUFWriter.encode(GGUFValueType.float32.rawValue) + GGUFWriter.encode(value.bitPattern)
  }

  @Test func scalingsThatNobodyImplementsAreRefused() throws {
    typealias W = GGUFWriter
    #expect(try failure { _ in } == nil)
    let longRope = try failure { $0.add("llama.rope.scaling.type", W.value("longrope")) }
    #expect("\(try #require(longRope))".contains("llama.rope.scaling.type"))
    let withoutFactor = try failure { $0.add("llama.rope.scaling.type", W.value("yarn")) }
    #expect("\(try #require(withoutFactor))".contains("llama.rope.scaling.factor"))
    for bad in [Float.nan, 0, -1, .infinity] {
      let error = try failure {
        $0.add("llama.rope.scaling.type", W.value("yarn"))
        $0.add("llama.rope.scaling.factor", Self.float(bad))
      }
      #expect(error != nil, "factor \(bad)")
    }
    let sound = try failure {
      $0.add("llama.rope.scaling.type", W.value("yarn"))
      $0.add("llama.rope.scaling.factor", Self.float(4))
      $0.add("llama.rope.scaling.original_context_length", W.value(.uint32, UInt32(16)))
    }
    #expect(sound == nil)
  }

  @Test(arguments: [Float(0), -1, .nan, .infinity])
  func divisorsOfFrequenciesAreFiniteAndPositive(bad: Float) throws {
    func add(_ values: [Float]) -> (inout GGUFWriter) -> Void {
      { writer in
        writer.tensors.append(
          .init(
            "rope_freqs.weight", dimensions: [8], type: 0,
            bytes: values.flatMap { GGUFWriter.encode($0.bitPattern) }))
      }
    }
    #expect(try failure(add([1, 1, 1, 2, 4, 8, 8, 8])) == nil)
    let error = try #require(try failure(add([1, 1, 1, 2, bad, 8, 8, 8])))
    #expect("\(error)".contains("rope_freqs.weight\"[4]"), "\(error)")
  }
}
