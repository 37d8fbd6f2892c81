import Foundation
import Trestle
import TrestleTestSupport

extension FuzzTarget {
  /// JSON, safetensors, the shards' index and GGUF.
  static var formats: [FuzzTarget] {
    [
      FuzzTarget("json", seeds: { jsonSeeds.map { Array($0.utf8) } }) { bytes in
        let value = try bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
        let again = try JSONLiteral(value).serialized(pretty: true)
        _ = try again.withUnsafeBytes { try JSONValue(parsing: $0) }
        _ = value["a"]?.path
      },
      FuzzTarget("safetensors", seeds: { [try safetensors()] }) { bytes in
        let file = try SafetensorsFile(MappedFile(copying: bytes, name: "input"))
        for name in file.names { _ = try? file.tensor(name).converted(to: .float32).floats }
      },
      FuzzTarget(
        "shards",
        seeds: {
          [
            Array(
              #"{"metadata": {}, "weight_map": {"a": "x.safetensors", "b": "x.safetensors", "c": "x.safetensors"}}"#
                .utf8)
          ]
        }
      ) { bytes in
        let index = try Scratch.file("model.safetensors.index.json", bytes)
        _ = try Scratch.file("x.safetensors", try safetensors())
        let shards = try ShardedSafetensors(index: index)
        for name in shards.names { _ = try shards.bytes(of: name) }
      },
      FuzzTarget("gguf", seeds: { [tinyGGUF(tokenizer: "llama"), tinyGGUF(tokenizer: "gpt2")] }) { bytes in
        let file = try GGUFFile(MappedFile(copying: bytes, name: "input"))
        for name in file.names { _ = try? file.tensor(name).converted(to: .float32).floats }
        for key in file.metadata.keys { _ = try? file.metadata.string(key) }
      },
      columnar("arrow", "clicks.arrow", "types.arrow"), columnar("npy", "records.npy"),
      columnar("npz", "clicks.npz"),
    ]
  }

  private static func columnar(_ name: String, _ fixtures: String...) -> FuzzTarget {
    FuzzTarget(
      "columns-\(name)",
      seeds: {
        try fixtures.map {
          try Array(Data(contentsOf: TestAssets.fixtures.appending(path: "formats/columns/\($0)")))
        }
      }
    ) { bytes in
      let file = try ColumnarFile(MappedFile(copying: bytes, name: "input"))
      precondition(file.columns.allSatisfy { $0.count == file.rowCount }, "columns of other lengths")
      for column in file.columns {
        guard case .lists(let starts, let entries) = column.values else { continue }
        precondition(
          starts.last == entries.count && zip(starts, starts.dropFirst()).allSatisfy(<=), "lists outside")
      }
    }
  }

  private static let jsonSeeds = [
    #"{"a": [1, -2.5e3, true, null, "x\u00e9\ud83d\ude00"], "b": {"c": {"d": []}}, "e": 12345678901}"#,
    #"[[[[1]]], {"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9}, "\n\t\\"]"#,
  ]

  private static func safetensors() throws -> [UInt8] {
    let url = Scratch.folder.appending(path: "seed.safetensors")
    try SafetensorsWriter.write(
      [
        SafetensorsSource(name: "a", tensor: Tensor([1, 2, 3, 4] as [Float], shape: [2, 2])),
        SafetensorsSource(name: "b", tensor: Tensor([7, 8] as [Int32])),
        SafetensorsSource(name: "c", tensor: Tensor.ones([3]).converted(to: .bfloat16)),
      ], metadata: ["format": "pt"], to: url)
    return try Array(Data(contentsOf: url))
  }

  /// A file with a model of one block and a tokenizer.
  static func tinyGGUF(tokenizer: String) -> [UInt8] {
    var writer = GGUFBuilder()
    writer.text("general.architecture", "llama")
    let sizes: [(String, UInt32)] = [
      ("embedding_length", 32), ("feed_forward_length", 48), ("block_count", 1), ("context_length", 64),
      ("attention.head_count", 2), ("attention.head_count_kv", 1), ("rope.dimension_count", 16),
    ]
    for (key, size) in sizes { writer.number("llama." + key, size) }
    writer.float("llama.attention.layer_norm_rms_epsilon", 1e-5)
    var tokens = ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "\u{2581}a", "\u{120}", "c"]
    if tokenizer == "llama" {
      tokens += (0..<256).map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(byte < 16 ? "0" : "")\(digits)>"
      }
    }
    let types: [Int32] = [2, 3, 3] + [Int32](repeating: 1, count: 7)
    writer.text("tokenizer.ggml.model", tokenizer)
    writer.texts("tokenizer.ggml.tokens", tokens)
    writer.integers(
      "tokenizer.ggml.token_type", types + [Int32](repeating: 6, count: tokens.count - types.count))
    writer.floats("tokenizer.ggml.scores", tokens.indices.map { -Float($0) })
    writer.texts("tokenizer.ggml.merges", ["a b"])
    for (key, id) in [("bos", UInt32(1)), ("eos", 2), ("unknown", 0)] {
      writer.number("tokenizer.ggml.\(key)_token_id", id)
    }
    writer.tensor("token_embd.weight", [32, tokens.count])
    writer.tensor("output_norm.weight", [32])
    for (name, rows, columns) in [
      ("attn_q", 32, 32), ("attn_k", 16, 32), ("attn_v", 16, 32), ("attn_output", 32, 32),
      ("ffn_gate", 48, 32), ("ffn_up", 48, 32), ("ffn_down", 32, 48),
    ] {
      writer.tensor("blk.0.\(name).weight", [columns, rows])
    }
    for name in ["attn_norm", "ffn_norm"] { writer.tensor("blk.0.\(name).weight", [32]) }
    return writer.serialized()
  }
}

/// Writes small GGUF files.
private struct GGUFBuilder {
  private var metadata: [UInt8] = []
  private var records: [UInt8] = []
  private var data: [UInt8] = []
  private var keyCount: UInt64 = 0
  private var tensorCount: UInt64 = 0

  private func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  private func string(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

  private mutating func add(_ key: String, _ type: UInt32, _ value: [UInt8]) {
    metadata += string(key) + bytes(type) + value
    keyCount += 1
  }

  mutating func text(_ key: String, _ value: String) { add(key, 8, string(value)) }
  mutating func number(_ key: String, _ value: UInt32) { add(key, 4, bytes(value)) }
  mutating func float(_ key: String, _ value: Float) { add(key, 6, bytes(value.bitPattern)) }

  private mutating func array(_ key: String, _ type: UInt32, _ values: [[UInt8]]) {
    add(key, 9, bytes(type) + bytes(UInt64(values.count)) + values.flatMap { $0 })
  }

  mutating func texts(_ key: String, _ values: [String]) { array(key, 8, values.map(string)) }
  mutating func integers(_ key: String, _ values: [Int32]) { array(key, 5, values.map { bytes($0) }) }
  mutating func floats(_ key: String, _ values: [Float]) {
    array(key, 6, values.map { bytes($0.bitPattern) })
  }

  mutating func tensor(_ name: String, _ dimensions: [Int]) {
    while data.count % 32 != 0 { data.append(0) }
    records += string(name) + bytes(UInt32(dimensions.count))
    for dimension in dimensions { records += bytes(UInt64(dimension)) }
    records += bytes(UInt32(0)) + bytes(UInt64(data.count))
    for index in 0..<dimensions.reduce(1, *) { data += bytes(Float(sin(Double(index))).bitPattern) }
    tensorCount += 1
  }

  func serialized() -> [UInt8] {
    var file =
      Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(tensorCount) + bytes(keyCount) + metadata + records
    while file.count % 32 != 0 { file.append(0) }
    return file + data
  }
}
