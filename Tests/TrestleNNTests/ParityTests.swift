import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Layers and optimizers against PyTorch's results in `Fixtures/nn`.
@Suite struct ParityTests {
  private static let folder = TestAssets.fixtures.appending(path: "nn")

  private typealias Precision = LayerParity.Precision
  private static let precisions = LayerParity.precisions

  // MARK: Optimizers

  @Test(arguments: precisions) private func optimizersFollowPyTorchForTenSteps(precision: Precision) throws {
    let file = try SafetensorsFile(Self.folder.appending(path: "optimizers.safetensors"))
    func tensor(_ name: String) throws -> Tensor { try file.tensor(precision.prefix + name) }
    let makers: [String: ([Parameter]) -> Optimizer] = [
      "sgd": { SGD($0, learningRate: 0.1) },
      "sgd_weight_decay": { SGD($0, learningRate: 0.1, weightDecay: 0.05) },
      "sgd_momentum": { SGD($0, learningRate: 0.1, momentum: 0.9) },
      "sgd_nesterov": { SGD($0, learningRate: 0.1, momentum: 0.9, isNesterov: true) },
      "adam": { Adam($0, learningRate: 0.01) },
      "adam_weight_decay": { Adam($0, learningRate: 0.01, weightDecay: 0.1) },
      "adam_betas": { Adam($0, learningRate: 0.05, beta1: 0.8, beta2: 0.95, epsilon: 1e-6) },
      "adamw": { AdamW($0, learningRate: 0.01, weightDecay: 0.1) },
      "adamw_no_decay": { AdamW($0, learningRate: 0.01, weightDecay: 0) },
    ]
    for (name, make) in makers {
      let parameters = try ["w", "b"].map { Parameter(try tensor("initial.\($0)")) }
      let optimizer = make(parameters)
      for step in 0..<10 {
        var gradients = valueAndGradients(of: parameters) {
          parameters[0].value.sum() + parameters[1].value.sum()
        }.gradients
        for (key, parameter) in zip(["w", "b"], parameters) {
          gradients[parameter] = .dense(try tensor("gradient.\(step).\(key)"))
        }
        optimizer.update(with: gradients)
        for (key, parameter) in zip(["w", "b"], parameters) {
          LayerParity.expect(
            parameter.detached, try tensor("\(name).\(step).\(key)"), precision.tolerance,
            "\(name), step \(step), \(key), \(precision)")
        }
      }
    }
  }

  @Test(arguments: precisions) private func clippingFollowsPyTorch(precision: Precision) throws {
    let file = try SafetensorsFile(Self.folder.appending(path: "optimizers.safetensors"))
    func tensor(_ name: String) throws -> Tensor { try file.tensor(precision.prefix + name) }
    for (name, limit) in [("clipping.active", 1.0), ("clipping.inactive", 1e3)] {
      let parameters = try ["w", "b"].map { Parameter(try tensor("initial.\($0)")) }
      var gradients = valueAndGradients(of: parameters) {
        parameters[0].value.sum() + parameters[1].value.sum()
      }.gradients
      for (key, parameter) in zip(["w", "b"], parameters) {
        gradients[parameter] = .dense(try tensor("gradient.3.\(key)"))
      }
      let norm = gradients.clip(toNorm: limit)
      #expect(precision.tolerance.accepts(norm, try tensor("\(name).norm").item))
      for (key, parameter) in zip(["w", "b"], parameters) {
        LayerParity.expect(
          gradients[parameter]?.dense(), try tensor("\(name).\(key)"), precision.tolerance, "\(name).\(key)")
      }
    }
  }

  // MARK: Layers

  /// Loads the case's parameters, runs `body` on its input, and compares the output and all gradients.
  private func check(
    _ name: String, _ module: some Module, _ precision: Precision, inputs: [String] = ["x"],
    _ body: ([Tensor]) -> Tensor
  ) throws {
    try LayerParity.check(name, of: "layers.safetensors", module, precision, inputs: inputs, body)
  }

  @Test(arguments: precisions) private func simpleLayersMatchPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    let type = precision.dtype
    let linear = Linear(inputs: 5, outputs: 7, dtype: type, using: &generator)
    try check("linear", linear, precision) { linear($0[0]) }
    let plain = Linear(inputs: 5, outputs: 7, hasBias: false, dtype: type, using: &generator)
    try check("linear_no_bias", plain, precision) { plain($0[0]) }
    let table = Embedding(count: 6, width: 4, dtype: type, using: &generator)
    try check("embedding", table, precision) { table($0[0]) }
    let norm = LayerNorm(width: 9, dtype: type)
    try check("layer_norm", norm, precision) { norm($0[0]) }
    let rms = RMSNorm(width: 9, dtype: type)
    try check("rms_norm", rms, precision) { rms($0[0]) }
  }

  /// PyTorch's `Sequential` counts the activations between the layers.
  private struct Sequential: Module {
    static let checkpointKeys = ["parts": ""]
    let parts: [String: any Module]
  }

  @Test(arguments: precisions) private func perceptronsMatchPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    let mlp = MLP(widths: [5, 8, 6, 1], dtype: precision.dtype, using: &generator)
    let parts: [String: any Module] = ["0": mlp.layers[0], "2": mlp.layers[1], "4": mlp.layers[2]]
    try check("mlp", Sequential(parts: parts), precision) { mlp($0[0]) }
  }

  @Test(arguments: precisions) private func attentionMatchesPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    let attention = MultiHeadAttention(width: 8, heads: 2, dtype: precision.dtype, using: &generator)
    let sequences = PackedSequences(lengths: [5, 5])
    for (name, isCausal) in [("attention", false), ("attention_causal", true)] {
      try check(name, attention, precision) {
        attention($0[0].reshaped(to: [10, 8] as Shape), sequences: sequences, isCausal: isCausal)
          .reshaped(to: [2, 5, 8] as Shape)
      }
    }
    let block = TransformerEncoderBlock(
      width: 8, heads: 2, hidden: 12, activation: .gelu, dtype: precision.dtype, using: &generator)
    try check("transformer_post_norm", block, precision) {
      block($0[0].reshaped(to: [8, 8] as Shape), sequences: PackedSequences(lengths: [4, 4]))
        .reshaped(to: [2, 4, 8] as Shape)
    }
  }

  @Test(arguments: precisions) private func recurrentLayersMatchPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    let gru = GRU(inputs: 5, hidden: 6, dtype: precision.dtype, using: &generator)
    try check("gru", gru, precision) { gru($0[0]) }
    try check("gru_initial", gru, precision, inputs: ["x", "h"]) {
      gru($0[0], initial: $0[1].expanded(at: 0))
    }
    let plain = GRU(inputs: 5, hidden: 6, hasBias: false, dtype: precision.dtype, using: &generator)
    try check("gru_no_bias", plain, precision) { plain($0[0]) }
  }
}
