import Foundation
import Trestle

/// Loading, reading and generating with the larger models that `Scripts/fetch-assets --models` fetches, straight from their
/// files' blocks; shapes and names are those of SmolLM2's cases, with the model's name after them.
enum LargerModelCases {
  private struct File {
    let name: String
    let path: String
  }

  private static let files = [
    File(name: "gemma3_270m", path: "gemma3-270m/gemma-3-270m-q4_k_m.gguf"),
    File(name: "qwen2.5_0.5b", path: "qwen2.5-0.5b/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
    File(name: "qwen2.5_1.5b", path: "qwen2.5-1.5b/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
    File(name: "qwen2.5_7b_shape", path: "shapes/qwen2.5-7b.gguf"),
  ]

  static var all: [ModelBenchmark] { files.flatMap(cases) }

  private static func cases(_ file: File) -> [ModelBenchmark] {
    func url(_ setting: ModelBenchmark.Setting) -> URL? {
      let url = setting.assets.appending(path: file.path)
      return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }
    func model(_ setting: ModelBenchmark.Setting, _ arithmetic: Arithmetic) throws -> (any LanguageModel)? {
      guard let url = url(setting) else { return nil }
      let model = try LanguageModels.load(url)
      model.arithmetic = arithmetic
      return model
    }
    func decoding(_ count: Int, _ arithmetic: Arithmetic?) -> ModelBenchmark {
      LanguageModelCases.decoding(
        "_" + file.name, sequences: count, arithmetic, warmups: 1, repeats: 3, model)
    }
    func training(_ arithmetic: Arithmetic?) -> ModelBenchmark {
      LanguageModelCases.trainingOverBlocks("_" + file.name, arithmetic, model)
    }
    func prefill(_ arithmetic: Arithmetic?) -> ModelBenchmark {
      LanguageModelCases.prefill("_" + file.name, arithmetic, warmups: 1, repeats: 3, model)
    }
    return [
      ModelBenchmark(
        name: "lm_load_gguf_" + file.name, shape: "Q4_K_M", measure: .duration, warmups: 1, repeats: 3
      ) { setting in
        guard let url = url(setting) else { return nil }
        return {
          _ = try LanguageModels.load(url)
          _ = try PretrainedTokenizer(contentsOf: url)
        }
      },
      prefill(nil), prefill(.bfloat16),
      decoding(1, nil), decoding(4, nil), decoding(1, .int8), decoding(4, .int8),
      training(nil), training(.bfloat16),
    ]
  }
}
