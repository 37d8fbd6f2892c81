import Foundation
import Trestle
import TrestleCommand

/// The data and the models of a run: found, fetched or made.
enum World {
  /// What the options ask for.
  ///
  /// - Parameter isEncoded: whether a sentence encoder is to read the items, too.
  static func prepare(_ options: Options, isEncoded: Bool = true) throws -> HybridJobData {
    if options.isSynthetic { return try synthetic() }
    var assets = Assets()
    if let folder = options.assets { assets.folder = folder }
    if options.data == nil || options.model == nil {
      if let problem = assets.fetchIfMissing() {
        say("The data and the model cannot be fetched (\(problem)): going on with the built-in world.")
        return try synthetic()
      }
    }
    let folder = try options.data ?? assets.movieLens100K
    let model = try options.model ?? assets.smolLM2
    guard FileManager.default.fileExists(atPath: model.path) else {
      throw UsageError("\(model.path): no such model; expected a .gguf file or a Hugging Face folder")
    }
    return HybridJobData(
      dataset: try Dataset.recBole(at: folder),
      name: options.data == nil ? "ml-100k" : folder.lastPathComponent,
      noun: options.noun ?? (options.data == nil ? "Movie" : ""), modelURL: model,
      modelName: options.model == nil ? "SmolLM2-135M" : model.deletingPathExtension().lastPathComponent,
      encoderURL: isEncoded ? try? assets.miniLM : nil)
  }

  private static func synthetic() throws -> HybridJobData {
    let line = ProgressLine("a small language model learns the world's texts")
    defer { line.clear() }
    return HybridJobData(
      dataset: try SyntheticWorld(seed: 7).dataset(), name: "synthetic",
      progress: { line.update($0, of: $1) })
  }
}

extension Assets {
  /// Runs `Scripts/fetch-assets` if something is missing; what stands in the way, or `nil` if all is there.
  func fetchIfMissing() -> String? {
    func isThere() -> Bool {
      (try? movieLens100K) != nil && (try? smolLM2) != nil && (try? miniLM) != nil
    }
    if isThere() { return nil }
    let script = URL(filePath: "Scripts/fetch-assets")
    guard FileManager.default.isExecutableFile(atPath: script.path) else {
      return "Scripts/fetch-assets is not in the current folder"
    }
    say("Fetching MovieLens-100K, SmolLM2-135M and MiniLM (about 200 MB, once) …")
    let process = Process()
    process.executableURL = script
    process.arguments = ["--assets", folder.path]
    process.standardOutput = FileHandle.standardError
    let errors = Pipe()
    process.standardError = errors
    do { try process.run() } catch { return "Scripts/fetch-assets does not start" }
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if process.terminationStatus == 0 && isThere() { return nil }
    return said.split(separator: "\n").last.map(String.init) ?? "Scripts/fetch-assets failed"
  }
}
