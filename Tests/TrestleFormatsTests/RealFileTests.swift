import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

/// Files made by other programs; they run where the assets are.
struct RealFileTests {
  @Test(.enabled(if: TestAssets.smolLM2 != nil))
  func smolLM2LoadsWithItsMetadataAndTensors() throws {
    let file = try GGUFFile(try #require(TestAssets.smolLM2))
    #expect(file.tensors.count == 272)
    #expect(file.names.count == 272)
    let metadata = file.metadata
    #expect(try metadata.string("general.architecture") == "llama")
    #expect(try metadata.int("llama.block_count") == 30)
    #expect(try metadata.int("llama.embedding_length") == 576)
    #expect(try metadata.int("llama.feed_forward_length") == 1536)
    #expect(try metadata.int("llama.attention.head_count_kv") == 3)
    #expect(try metadata.double("llama.rope.freq_base") == 100_000)
    let tokens = try metadata.strings("tokenizer.ggml.tokens")
    #expect(tokens.count == 49_152)
    #expect(tokens[1] == "<|im_start|>")
    #expect(try metadata.ints("tokenizer.ggml.token_type").count == 49_152)
    #expect(try metadata.string("tokenizer.ggml.pre") == "smollm")
    let embedding = try file.entry("token_embd.weight")
    #expect(embedding.shape == [49_152, 576])
    #expect(try file.entry("blk.0.ffn_down.weight").shape == [576, 1536])
    let bytes = try file.bytes(of: "token_embd.weight")
    #expect(bytes.count == 49_152 * 576 / embedding.type.blockSize * embedding.type.bytesPerBlock)
    #expect(bytes.range.lowerBound % file.alignment == 0)
  }

  @Test(.enabled(if: TestAssets.smolLM2 != nil))
  func aTruncatedModelIsRefused() throws {
    let original = try MappedFile(try #require(TestAssets.smolLM2))
    let folder = try TemporaryFolder()
    // The whole head and some of the data: every count is right, only the last tensors are missing.
    let short = try folder.write(Array(original.bytes.prefix(8 << 20)), to: "short.gguf")
    #expect(throws: FormatError.self) { try GGUFFile(short) }
  }

  @Test(.enabled(if: TestAssets.miniLM != nil))
  func miniLMLoadsWithItsVocabulary() throws {
    let folder = try #require(TestAssets.miniLM)
    let weights = try SafetensorsFile(folder.appending(path: "model.safetensors"))
    let words = try weights.entry("embeddings.word_embeddings.weight")
    #expect(words.shape == [30_522, 384])
    #expect(words.type == .float32)
    #expect(try weights.bytes(of: "embeddings.word_embeddings.weight").count == 30_522 * 384 * 4)
    let tokenizer = try JSONValue(contentsOf: folder.appending(path: "tokenizer.json"))
    let vocabulary = try tokenizer.member("model").member("vocab").object()
    #expect(vocabulary.count == 30_522)
    #expect(try vocabulary["[CLS]"]?.int() == 101)
    #expect(try vocabulary["hello"]?.int() == 7592)
    #expect(vocabulary["no such token"] == nil)
  }
}
