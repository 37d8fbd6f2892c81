import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Loads pretrained language models.
///
/// ```swift
/// let model = try LanguageModels.load(URL(filePath: "SmolLM2-135M-Instruct.Q4_1.gguf"))
/// ```
public enum LanguageModels {
  /// Loads a decoder from a GGUF file or a Hugging Face folder (`config.json` beside safetensors).
  ///
  /// Files are mapped and checked in full; every tensor in them must be one that the model needs, and the other way
  /// round.
  /// - Parameters:
  ///   - url: a `.gguf` file, or a folder.
  ///   - storage: how weights are held in memory.
  /// - Throws: ``LanguageModelError``, naming the file, the place, what was expected and what was found.
  public static func load(
    _ url: URL, storage: WeightStorage = .asStored
  ) throws(LanguageModelError) -> any LanguageModel {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw .noModel(.init(url.path, expected: "a .gguf file or a model's folder", found: "nothing"))
    }
    return isFolder.boolValue ? try loadFolder(url, storage: storage) : try loadGGUF(url, storage: storage)
  }

  private static func loadGGUF(
    _ url: URL, storage: WeightStorage
  ) throws(LanguageModelError) -> any LanguageModel {
    let file = try reading { () throws(FormatError) in try GGUFFile(url) }
    let architecture = try reading { () throws(FormatError) in
      try file.metadata.string("general.architecture")
    }
    guard LlamaConfiguration.ggufArchitectures.contains(architecture) else {
      throw .unsupported(
        .init(
          url.path, at: "metadata \"general.architecture\"",
          expected: "one of \(LlamaConfiguration.ggufArchitectures.sorted().joined(separator: ", "))",
          found: "\"\(architecture)\""))
    }
    let configuration = try LlamaConfiguration(gguf: file, architecture: architecture)
    let weights = GGUFWeights(
      file, storage: storage, architecture: architecture, headSize: configuration.headSize)
    let divisors = try weights.frequencyDivisors()
    let model = try Llama(configuration, weights: weights, frequencyDivisors: divisors)
    try weights.finish()
    return model
  }

  private static func loadFolder(
    _ url: URL, storage: WeightStorage
  ) throws(LanguageModelError) -> any LanguageModel {
    let configURL = url.appending(path: "config.json")
    guard FileManager.default.fileExists(atPath: configURL.path) else {
      throw .noModel(.init(url.path, expected: "a folder with config.json", found: "none in it"))
    }
    let json = try reading { () throws(FormatError) in try JSONValue(contentsOf: configURL) }
    let configuration = try LlamaConfiguration(json: json, path: configURL.path)
    let file = try reading { () throws(FormatError) in try ShardedSafetensors(folder: url, allowsLinks: true)
    }
    let weights = FileWeights(file, storage: storage)
    let model = try Llama(configuration, weights: weights)
    try weights.finish { name in
      name.hasSuffix(".rotary_emb.inv_freq") || configuration.tiesEmbeddings && name == "lm_head.weight"
    }
    return model
  }
}
