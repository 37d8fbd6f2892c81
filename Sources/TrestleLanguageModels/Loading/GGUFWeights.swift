import TrestleFormats
import TrestleNN
import TrestleTensor

/// Weights from a GGUF file, under the Hugging Face names that its own stand for.
///
/// For the architecture `llama`, converters reorder the rows of the query and key projections so that rotary pairs are
/// neighbours; the rows are put back here, so that every model has the Hugging Face layout.
final class GGUFWeights: WeightSource {
  private let file: GGUFFile
  private let storage: WeightStorage
  private let architecture: String
  private let headSize: Int
  private var used: Set<String> = []

  init(_ file: GGUFFile, storage: WeightStorage, architecture: String, headSize: Int) {
    self.file = file
    self.storage = storage
    self.architecture = architecture
    self.headSize = headSize
  }

  var path: String { file.file.path }

  func contains(_ name: String) -> Bool { Self.ggufName(name).map { file.tensors[$0] != nil } ?? false }

  func tensor(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor {
    let record = try record(name, shape)
    guard record.type.dtype?.isFloatingPoint == true else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"\(record.name)\"", expected: "floating-point numbers", found: record.type.name))
    }
    let tensor = try reading { () throws(FormatError) in try file.tensor(record.name) }
      .converted(to: .float32)
    guard shape.rank == 1, let order = rowOrder(name, rows: shape[0]) else { return tensor }
    return tensor.reshaped(to: [shape[0], 1]).rows(order).reshaped(to: shape)
  }

  func matrix(_ name: String, rows: Int, columns: Int) throws(LanguageModelError) -> LinearWeight {
    let record = try record(name, [rows, columns])
    let order = rowOrder(name, rows: rows)
    guard let format = record.type.quantizedFormat else {
      guard record.type.dtype?.isFloatingPoint == true else {
        throw .unsupported(
          .init(
            path, at: "tensor \"\(record.name)\"",
            expected:
              "F32, F16, BF16 or one of \(QuantizationFormat.allCases.map { $0.rawValue.uppercased() }.joined(separator: ", "))",
            found: record.type.name))
      }
      let tensor = try reading { () throws(FormatError) in try file.tensor(record.name) }
      // Rows are gathered in float32; the values of the narrower types survive that unchanged.
      let ordered = order.map { tensor.converted(to: .float32).rows($0).converted(to: tensor.dtype) }
      return (ordered ?? tensor).weight(held: storage)
    }
    let bytes = try reading { () throws(FormatError) in try file.bytes(of: record.name) }
    var matrix = QuantizedMatrix(
      format: format, rows: rows, columns: columns, borrowing: bytes.buffer, owner: bytes.file)
    if let order { matrix = matrix.reorderedRows(order) }
    return storage == .asStored ? .quantized(matrix) : matrix.dequantized().weight(held: storage)
  }

  /// The file's record of a tensor, checked against the shape that the model needs.
  private func record(_ name: String, _ shape: Shape) throws(LanguageModelError) -> GGUFTensor {
    guard let ggufName = Self.ggufName(name), let record = file.tensors[ggufName] else {
      throw .missingTensor(
        .init(path, expected: "a tensor \"\(Self.ggufName(name) ?? name)\"", found: "none of that name"))
    }
    used.insert(ggufName)
    guard record.shape == Array(shape) else {
      throw .wrongShape(
        .init(path, at: "tensor \"\(ggufName)\"", expected: "the shape \(shape)", found: "\(record.shape)"))
    }
    return record
  }

  /// Where each row of a query or key projection lies in the file: within a head, row (t, j) of two halves is row (j, t).
  private func rowOrder(_ name: String, rows: Int) -> [Int]? {
    guard architecture == "llama", name.contains(".q_proj.") || name.contains(".k_proj.") else { return nil }
    let half = headSize / 2
    return (0..<rows).map { row in
      let (head, inner) = (row / headSize, row % headSize)
      return head * headSize + (inner % half) * 2 + inner / half
    }
  }

  /// Stops a file with tensors that the model has not taken.
  func finish() throws(LanguageModelError) {
    let left = file.names.filter { !used.contains($0) && $0 != "rope_freqs.weight" }
    guard let first = left.first else { return }
    throw .unknownTensor(
      .init(
        path, expected: "tensors that the model's metadata calls for",
        found: "\"\(first)\"\(left.count > 1 ? " and \(left.count - 1) more" : "")"))
  }

  /// The divisors of rotary frequencies, if the file has them.
  func frequencyDivisors() throws(LanguageModelError) -> [Double]? {
    guard let record = file.tensors["rope_freqs.weight"], record.type == .f32 else { return nil }
    guard record.elementCount == headSize / 2 else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"rope_freqs.weight\"", expected: "the shape [\(headSize / 2)]",
          found: "\(record.shape)"))
    }
    let values = try reading { () throws(FormatError) in try file.tensor(record.name) }.floats
    return values.map(Double.init)
  }

  /// The name in GGUF files of the tensor that Hugging Face calls `name`.
  static func ggufName(_ name: String) -> String? {
    if let whole = wholeNames[name] { return whole }
    let parts = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "model", parts[1] == "layers" else { return nil }
    let rest = String(parts[3])
    guard let dot = rest.lastIndex(of: "."), let part = blockNames[String(rest[..<dot])] else { return nil }
    return "blk.\(parts[2]).\(part)\(rest[dot...])"
  }

  private static let wholeNames = [
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
  ]
  private static let blockNames = [
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
  ]
}

extension GGUFTensorType {
  /// The block layout that products read, `nil` for types that are not quantised.
  var quantizedFormat: QuantizationFormat? {
    switch self {
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    case .q4_1: .q4_1
    case .q5_0: .q5_0
    case .q5_1: .q5_1
    case .q4_K: .q4_K
    case .q5_K: .q5_K
    case .q6_K: .q6_K
    default: nil
    }
  }
}

extension LlamaConfiguration {
  /// The GGUF architectures that this configuration understands.
  static let ggufArchitectures: Set<String> = ["llama", "qwen2", "qwen3"]

  /// Reads the metadata of a GGUF file.
  ///
  /// - Throws: ``LanguageModelError``.
  init(gguf file: GGUFFile, architecture: String) throws(LanguageModelError) {
    let metadata = file.metadata
    let path = file.file.path
    func int(_ key: String) throws(LanguageModelError) -> Int? {
      let full = architecture + "." + key
      guard metadata.contains(full) else { return nil }
      return try reading { () throws(FormatError) in try metadata.int(full, in: 0...(1 << 40)) }
    }
    func required(_ key: String) throws(LanguageModelError) -> Int {
      guard let value = try int(key) else {
        throw .configuration(
          .init(path, at: "\(architecture).\(key)", expected: "a whole number", found: "none"))
      }
      return value
    }
    func double(_ key: String) throws(LanguageModelError) -> Double? {
      let full = architecture + "." + key
      guard metadata.contains(full) else { return nil }
      return try reading { () throws(FormatError) in try metadata.double(full) }
    }
    if let experts = try int("expert_count"), experts > 0 {
      throw .unsupported(
        .init(path, at: "\(architecture).expert_count", expected: "0", found: "\(experts)"))
    }
    let embedding = try reading { () throws(FormatError) in try file.entry("token_embd.weight") }
    guard embedding.shape.count == 2 else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"token_embd.weight\"", expected: "two dimensions", found: "\(embedding.shape)"))
    }
    let heads = try required("attention.head_count")
    guard heads >= 1 else {
      throw .configuration(
        .init(path, at: "\(architecture).attention.head_count", expected: "at least 1", found: "\(heads)"))
    }
    self.init(
      vocabularySize: embedding.shape[0], hiddenSize: try required("embedding_length"),
      intermediateSize: try required("feed_forward_length"), layerCount: try required("block_count"),
      headCount: heads, keyValueHeadCount: try int("attention.head_count_kv"),
      headSize: try int("attention.key_length"))
    modelType = architecture
    contextLength = try required("context_length")
    normEpsilon = try double("attention.layer_norm_rms_epsilon") ?? 1e-6
    ropeBase = try double("rope.freq_base") ?? 10000
    if let rotated = try int("rope.dimension_count"), rotated != headSize {
      throw .unsupported(
        .init(
          path, at: "\(architecture).rope.dimension_count", expected: "the head's size \(headSize)",
          found: "\(rotated)"))
    }
    if let factor = try double("rope.scaling.factor"), factor != 1 {
      ropeScaling = RopeScaling(type: "linear", factor: factor)
    }
    slidingWindow = try int("attention.sliding_window").flatMap { $0 > 0 ? $0 : nil }
    tiesEmbeddings = file.tensors["output.weight"] == nil
    hasInputBiases = file.tensors["blk.0.attn_q.bias"] != nil
    hasOutputBias = file.tensors["blk.0.attn_output.bias"] != nil
    hasFeedForwardBiases = file.tensors["blk.0.ffn_gate.bias"] != nil
    hasQueryKeyNorms = architecture == "qwen3"
    try validate(path: path)
  }
}
