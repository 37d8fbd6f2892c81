import TrestleFormats
import TrestleNN
import TrestleTensor

/// Weights from a GGUF file, under the Hugging Face names that its own stand for.
///
/// For the architectures `llama` and `smollm3`, converters reorder the rows of the query and key projections so that rotary
/// pairs are neighbours; the rows are put back here, so that every model has the Hugging Face layout.
final class GGUFWeights: WeightSource {
  private let file: GGUFFile
  private let storage: WeightStorage
  private let architecture: String
  private let headSize: Int
  private let blockNames: [String: String]
  private var used: Set<String> = []

  /// - Parameter blockNames: the file's names of parts of a block that differ between architectures.
  init(
    _ file: GGUFFile, storage: WeightStorage, architecture: String, headSize: Int,
    blockNames: [String: String] = GGUFWeights.twoNormNames
  ) {
    self.file = file
    self.storage = storage
    self.architecture = architecture
    self.headSize = headSize
    self.blockNames = blockNames
  }

  var path: String { file.file.path }

  func contains(_ name: String) -> Bool { ggufName(name).map { file.tensors[$0] != nil } ?? false }

  /// The converter has added the one already.
  func offsetGain(_ name: String, _ size: Int) throws(LanguageModelError) -> Parameter {
    Parameter(try tensor(name, [size]) - 1)
  }

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
    if let place = expertPlace(name) { return try expert(place, rows: rows, columns: columns) }
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
    guard let ggufName = ggufName(name), let record = file.tensors[ggufName] else {
      throw .missingTensor(
        .init(path, expected: "a tensor \"\(ggufName(name) ?? name)\"", found: "none of that name"))
    }
    used.insert(ggufName)
    guard record.shape == Array(shape) else {
      throw .wrongShape(
        .init(path, at: "tensor \"\(ggufName)\"", expected: "the shape \(shape)", found: "\(record.shape)"))
    }
    return record
  }

  /// Where an expert's matrix lies: the tensor of all experts of a block, and its place in it.
  private func expertPlace(_ name: String) -> (name: String, index: Int)? {
    let parts = name.split(separator: ".")
    guard parts.count == 8, parts[3] == "mlp", parts[4] == "experts", let index = Int(parts[5]),
      let part = ["gate_proj": "gate", "up_proj": "up", "down_proj": "down"][parts[6]]
    else { return nil }
    return ("blk.\(parts[2]).ffn_\(part)_exps.weight", index)
  }

  /// One expert's matrix, `[rows, columns]`, of a tensor `[experts, rows, columns]`.
  private func expert(
    _ place: (name: String, index: Int), rows: Int, columns: Int
  ) throws(LanguageModelError) -> LinearWeight {
    let record = try reading { () throws(FormatError) in try file.entry(place.name) }
    used.insert(place.name)
    guard record.shape.count == 3, record.shape[0] > place.index,
      Array(record.shape[1...]) == [rows, columns]
    else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"\(place.name)\"",
          expected: "more than \(place.index) matrices [\(rows), \(columns)]", found: "\(record.shape)"))
    }
    guard let format = record.type.quantizedFormat else {
      let tensor = try reading { () throws(FormatError) in try file.tensor(place.name) }
      return tensor.sliced(place.index..<place.index + 1, along: 0).reshaped(to: [rows, columns])
        .weight(held: storage)
    }
    let bytes = try reading { () throws(FormatError) in try file.bytes(of: place.name) }
    let size = rows * format.bytesPerRow(columns: columns)
    let slice = UnsafeRawBufferPointer(rebasing: bytes.buffer[place.index * size..<(place.index + 1) * size])
    let matrix = QuantizedMatrix(
      format: format, rows: rows, columns: columns, borrowing: slice, owner: bytes.file)
    return storage == .asStored ? .quantized(matrix) : matrix.dequantized().weight(held: storage)
  }

  /// Where each row of a query or key projection lies in the file: within a head, row (t, j) of two halves is row (j, t).
  private func rowOrder(_ name: String, rows: Int) -> [Int]? {
    guard architecture == "llama" || architecture == "smollm3",
      name.contains(".q_proj.") || name.contains(".k_proj.")
    else { return nil }
    let half = headSize / 2
    return (0..<rows).map { row in
      let (head, inner) = (row / headSize, row % headSize)
      return head * headSize + (inner % half) * 2 + inner / half
    }
  }

  /// Stops a file with tensors that the model has not taken.
  func finish() throws(LanguageModelError) {
    let ropes = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"]
    let left = file.names.filter { !used.contains($0) && !ropes.contains($0) }
    guard let first = left.first else { return }
    throw .unknownTensor(
      .init(
        path, expected: "tensors that the model's metadata calls for",
        found: "\"\(first)\"\(left.count > 1 ? " and \(left.count - 1) more" : "")"))
  }

  /// The divisors of rotary frequencies, if the file has them: positive numbers.
  func frequencyDivisors() throws(LanguageModelError) -> [Double]? {
    guard let record = file.tensors["rope_freqs.weight"], record.type == .f32 else { return nil }
    guard record.elementCount == headSize / 2 else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"rope_freqs.weight\"", expected: "the shape [\(headSize / 2)]",
          found: "\(record.shape)"))
    }
    let values = try reading { () throws(FormatError) in try file.tensor(record.name) }.floats
    if let index = values.firstIndex(where: { !($0.isFinite && $0 > 0) }) {
      throw .configuration(
        .init(
          path, at: "tensor \"rope_freqs.weight\"[\(index)]", expected: "a positive number",
          found: "\(values[index])"))
    }
    return values.map(Double.init)
  }

  /// The name in GGUF files of the tensor that Hugging Face calls `name`.
  private func ggufName(_ name: String) -> String? {
    if let whole = Self.wholeNames[name] { return whole }
    let parts = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "model", parts[1] == "layers" else { return nil }
    let rest = String(parts[3])
    guard let dot = rest.lastIndex(of: ".") else { return nil }
    let part = String(rest[..<dot])
    guard let ggufPart = blockNames[part] ?? Self.commonBlockNames[part] else { return nil }
    return "blk.\(parts[2]).\(ggufPart)\(rest[dot...])"
  }

  private static let wholeNames = [
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
  ]
  private static let commonBlockNames = [
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "mlp.gate": "ffn_gate_inp", "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_up_proj": "ffn_up",
  ]
  /// The norm before the feed-forward part, in models with two norms in a block.
  static let twoNormNames = ["post_attention_layernorm": "ffn_norm"]
  /// The other norms of models with four.
  static let fourNormNames = [
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
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
    case .q2_K: .q2_K
    case .q3_K: .q3_K
    case .q8_K: .q8_K
    case .iq4_nl: .iq4_nl
    case .iq4_xs: .iq4_xs
    case .mxfp4: .mxfp4
    default: nil
    }
  }
}
