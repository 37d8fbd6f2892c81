import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// The configuration of a `Dense` module, and the folder that has its weights.
struct DenseModule {
  private static let widths = 1...(1 << 16)
  private static let activations: [String: Activation?] = [
    "Identity": nil, "Tanh": .tanh, "ReLU": .relu, "GELU": .gelu, "SiLU": .silu, "Sigmoid": .sigmoid,
  ]

  let folder: URL
  let configuration: ConfigurationReader
  let inputs: Int
  let outputs: Int
  let hasBias: Bool
  let activation: Activation?

  /// Reads `config.json` in the module's folder. What it does not say is as in sentence-transformers: a bias, and tanh.
  init(folder: URL, configuration: ConfigurationReader) throws(LanguageModelError) {
    (self.folder, self.configuration) = (folder, configuration)
    inputs = try configuration.requiredInt("in_features")
    outputs = try configuration.requiredInt("out_features")
    let check = RangeCheck(path: configuration.path)
    try check("in_features", inputs, in: Self.widths)
    try check("out_features", outputs, in: Self.widths)
    hasBias = try configuration.bool("bias") ?? true
    let name = try configuration.string("activation_function") ?? "torch.nn.modules.activation.Tanh"
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard name.hasPrefix("torch.nn."), let last = parts.last, let known = Self.activations[String(last)]
    else {
      let names = Self.activations.keys.sorted().joined(separator: ", ")
      throw .unsupported(
        .init(
          configuration.path, at: "activation_function", expected: "one of \(names) of torch.nn",
          found: "\"\(name)\""))
    }
    activation = known
    try configuration.expect("use_residual", false)
    for key in ["module_input_name", "module_output_name"] {
      try configuration.expect(key, "sentence_embedding")
    }
  }

  /// The layer, from `model.safetensors` in the module's folder.
  ///
  /// - Parameter width: that of the vectors before it.
  func layer(after width: Int, storage: WeightStorage) throws(LanguageModelError) -> SentenceEncoder.Layer {
    guard inputs == width else {
      throw configuration.failure("in_features", "\(width), the width of the vectors before", "\(inputs)")
    }
    let weights = FileWeights(try LanguageModels.tensors(of: folder, .mapped), storage: storage)
    let linear = try weights.linear("linear", inputs: inputs, outputs: outputs, hasBias: hasBias)
    try weights.finish()
    return .dense(linear, activation: activation)
  }
}
