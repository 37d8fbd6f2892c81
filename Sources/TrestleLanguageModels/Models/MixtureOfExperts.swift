import TrestleNN
import TrestleTensor

extension LlamaConfiguration {
  /// A mixture of experts, with Hugging Face's keys.
  public struct Experts: Codable, Sendable, Hashable {
    /// The number of experts.
    public var count: Int
    /// How many of them each token has.
    public var perToken: Int
    /// The width inside an expert.
    public var intermediateSize: Int
    /// Whether the chosen experts' weights are divided by their sum.
    public var normalizesWeights: Bool
    /// Of so many blocks the last has experts.
    public var step: Int
    /// Blocks that have none nevertheless.
    public var denseLayers: [Int]

    enum CodingKeys: String, CodingKey {
      case count = "num_experts"
      case perToken = "num_experts_per_tok"
      case intermediateSize = "moe_intermediate_size"
      case normalizesWeights = "norm_topk_prob"
      case step = "decoder_sparse_step"
      case denseLayers = "mlp_only_layers"
    }

    /// A mixture in every block.
    public init(count: Int, perToken: Int, intermediateSize: Int, normalizesWeights: Bool = true) {
      self.count = count
      self.perToken = perToken
      self.intermediateSize = intermediateSize
      self.normalizesWeights = normalizesWeights
      step = 1
      denseLayers = []
    }

    /// Reads Hugging Face's `config.json` (Transformers 5 calls the number of experts `num_local_experts`).
    init(_ reader: ConfigurationReader, layerCount: Int) throws(LanguageModelError) {
      let newCount = try reader.int("num_local_experts")
      self.init(
        count: try reader.int("num_experts") ?? newCount ?? 128,
        perToken: try reader.int("num_experts_per_tok") ?? 8,
        intermediateSize: try reader.int("moe_intermediate_size") ?? 768,
        normalizesWeights: try reader.bool("norm_topk_prob") ?? false)
      step = try reader.int("decoder_sparse_step") ?? 1
      let dense = try reader.doubles("mlp_only_layers") ?? []
      denseLayers = (0..<min(max(layerCount, 0), 1024)).filter { dense.contains(Double($0)) }
    }

    func validate(_ check: RangeCheck) throws(LanguageModelError) {
      try check("num_experts", count, in: 1...4096)
      try check("num_experts_per_tok", perToken, in: 1...count)
      try check("moe_intermediate_size", intermediateSize, in: 1...(1 << 20))
      try check("decoder_sparse_step", step, in: 1...1024)
    }

    /// Whether the block of that index has experts.
    func stand(inLayer layer: Int) -> Bool { (layer + 1) % step == 0 && !denseLayers.contains(layer) }
  }
}

/// Feed-forward parts of which each token has a few: Σ w_e(x) · expert_e(x) over the experts with the largest softmax of
/// a linear layer's outputs.
///
/// The tokens of an expert are computed together. Gradients flow through the weights and the chosen experts; the choice
/// itself has none.
///
/// Source: Shazeer et al., *Outrageously Large Neural Networks* (2017); the Qwen3 report (2025).
public final class MixtureOfExperts: Module {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["router": "gate"]
  let router: Linear
  let experts: [LlamaFeedForward]
  private let perToken: Int
  private let normalizesWeights: Bool

  init(
    _ configuration: LlamaConfiguration.Experts, hiddenSize: Int, layer: Int, weights: some WeightSource
  ) throws(LanguageModelError) {
    let name = "model.layers.\(layer).mlp"
    router = try weights.linear(name + ".gate", inputs: hiddenSize, outputs: configuration.count)
    var experts: [LlamaFeedForward] = []
    for index in 0..<configuration.count {
      experts.append(
        try LlamaFeedForward(
          "\(name).experts.\(index)", hiddenSize: hiddenSize,
          intermediateSize: configuration.intermediateSize, weights: weights))
    }
    self.experts = experts
    perToken = configuration.perToken
    normalizesWeights = configuration.normalizesWeights
  }

  /// The weighted sum of each token's experts, `[tokens, hidden]`.
  ///
  /// - Parameter x: `[tokens, hidden]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let tokenCount = x.shape[0]
    let shares = router(x).softmax()
    let chosen = shares.detached.topK(perToken).indices.scalars(as: Int32.self)
    var tokens = [[Int32]](repeating: [], count: experts.count)
    var mask = [Float](repeating: 0, count: tokenCount * experts.count)
    for (place, expert) in chosen.enumerated() {
      let token = place / perToken
      tokens[Int(expert)].append(Int32(token))
      mask[token * experts.count + Int(expert)] = 1
    }
    var weights = shares * Tensor(mask, shape: [tokenCount, experts.count]).converted(to: x.dtype)
    if normalizesWeights { weights = weights / weights.sum(along: [1], keepingDimensions: true) }
    var output = Tensor.zeros([tokenCount, x.shape[1]], dtype: x.dtype)
    for (index, expert) in experts.enumerated() where !tokens[index].isEmpty {
      let rows = Tensor(tokens[index])
      let weight = weights.sliced(index..<index + 1, along: 1).gatheredRows(rows)
      let result = expert(x.gatheredRows(rows)) * weight
      output = output + result.scatterAddedRows(at: rows, rowCount: tokenCount)
    }
    return output
  }
}
