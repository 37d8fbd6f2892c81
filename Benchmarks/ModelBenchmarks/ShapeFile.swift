import Foundation
import Trestle
import TrestleFormats

/// A GGUF file of a larger model's shape with weights drawn from a seed: for speed and memory, where no such weights are at hand.
///
/// Matrices have the block types of a Q4_K_M file: Q4_K, and Q6_K for the output, and for the values and the last projections
/// of the first and the last eighth of the blocks and every third one between. The numbers are about those of a trained
/// model in size; what the model says means nothing.
struct ShapeFile {
  let name: String
  let blocks: Int
  let hidden: Int
  let intermediate: Int
  let heads: Int
  let keyValueHeads: Int
  let vocabulary: Int

  /// Qwen2.5's 7-billion model, after its report's table of sizes: 7.6 billion weights.
  static let qwen7B = ShapeFile(
    name: "qwen2.5-7b-shape", blocks: 28, hidden: 3584, intermediate: 18944, heads: 28, keyValueHeads: 4,
    vocabulary: 152_064)

  /// A tensor of the file.
  private struct Entry {
    let name: String
    /// Rows, then columns; one number for a vector.
    let shape: [Int]
    let kind: Kind

    var byteCount: Int { shape.reduce(1, *) / kind.size * kind.byteCount }
  }

  private enum Kind: UInt32 {
    case float32 = 0
    case q4K = 12
    case q6K = 14

    /// The numbers of a block.
    var size: Int { self == .float32 ? 1 : 256 }
    /// The bytes of a block.
    var byteCount: Int {
      switch self {
      case .float32: 4
      case .q4K: 144
      case .q6K: 210
      }
    }
  }

  private var entries: [Entry] {
    let width = hidden / heads * keyValueHeads
    var entries = [
      Entry(name: "token_embd.weight", shape: [vocabulary, hidden], kind: .q4K),
      Entry(name: "output.weight", shape: [vocabulary, hidden], kind: .q6K),
      Entry(name: "output_norm.weight", shape: [hidden], kind: .float32),
    ]
    for block in 0..<blocks {
      let eighth = blocks / 8
      let isFiner = block < eighth || block >= blocks - eighth || (block - eighth) % 3 == 2
      let finer = isFiner ? Kind.q6K : .q4K
      func add(_ part: String, _ shape: [Int], _ kind: Kind) {
        entries.append(Entry(name: "blk.\(block).\(part)", shape: shape, kind: kind))
      }
      add("attn_norm.weight", [hidden], .float32)
      add("attn_q.weight", [hidden, hidden], .q4K)
      add("attn_q.bias", [hidden], .float32)
      add("attn_k.weight", [width, hidden], .q4K)
      add("attn_k.bias", [width], .float32)
      add("attn_v.weight", [width, hidden], finer)
      add("attn_v.bias", [width], .float32)
      add("attn_output.weight", [hidden, hidden], .q4K)
      add("ffn_norm.weight", [hidden], .float32)
      add("ffn_gate.weight", [intermediate, hidden], .q4K)
      add("ffn_up.weight", [intermediate, hidden], .q4K)
      add("ffn_down.weight", [hidden, intermediate], finer)
    }
    return entries
  }

  /// The bytes of the weights that a token's pass reads: all but the embedding, of which it reads a row.
  var bytesPerToken: Int { entries.dropFirst().reduce(0) { $0 + $1.byteCount } }

  /// Writes the file.
  ///
  /// - Throws: what keeps it from being written.
  func write(to url: URL) throws {
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data().write(to: url)
    let file = try FileHandle(forWritingTo: url)
    defer { try? file.close() }
    let entries = entries
    try file.write(contentsOf: Data(header(entries)))
    var generator = RandomGenerator(seed: 7)
    for entry in entries {
      var left = entry.byteCount / entry.kind.byteCount
      while left > 0 {
        let count = min(left, 1 << 16)
        left -= count
        try file.write(contentsOf: Data(Self.blocks(count, entry, &generator)))
      }
      let rest = -entry.byteCount & 31
      try file.write(contentsOf: Data(count: rest))
    }
  }

  private func header(_ entries: [Entry]) -> [UInt8] {
    var writer = GGUFWriter()
    writer.add("general.architecture", GGUFWriter.value("qwen2"))
    writer.add("general.name", GGUFWriter.value(name))
    let numbers = [
      ("block_count", blocks), ("context_length", 32768), ("embedding_length", hidden),
      ("feed_forward_length", intermediate), ("attention.head_count", heads),
      ("attention.head_count_kv", keyValueHeads), ("vocab_size", vocabulary),
    ]
    for (key, value) in numbers { writer.add("qwen2." + key, GGUFWriter.value(.uint32, UInt32(value))) }
    for (key, value) in [("rope.freq_base", 1e6), ("attention.layer_norm_rms_epsilon", 1e-6)] {
      writer.add("qwen2." + key, GGUFWriter.value(.float32, Float(value).bitPattern))
    }
    writer.add("tokenizer.ggml.model", GGUFWriter.value("no_vocab"))
    var offset: UInt64 = 0
    for entry in entries {
      writer.tensors.append(
        .init(
          entry.name, dimensions: entry.shape.reversed().map { UInt64($0) }, type: entry.kind.rawValue,
          offset: offset))
      offset += UInt64(entry.byteCount + -entry.byteCount & 31)
    }
    return writer.serialized()
  }

  /// Some blocks of random numbers of mean 0 and a deviation of about .02; norms are ones, biases zeros.
  private static func blocks(_ count: Int, _ entry: Entry, _ generator: inout RandomGenerator) -> [UInt8] {
    let size = entry.kind.byteCount
    guard entry.kind != .float32 else {
      let value: Float = entry.name.hasSuffix("norm.weight") ? 1 : 0
      return (0..<count).flatMap { _ in GGUFWriter.encode(value.bitPattern) }
    }
    var bytes = [UInt8](repeating: 0, count: count * size)
    bytes.withUnsafeMutableBytes { buffer in
      for place in stride(from: 0, to: buffer.count - 7, by: 8) {
        buffer.storeBytes(of: generator.next(), toByteOffset: place, as: UInt64.self)
      }
      for block in 0..<count {
        func set(_ value: Float, at place: Int) {
          buffer.storeBytes(
            of: Float16(value).bitPattern, toByteOffset: block * size + place, as: UInt16.self)
        }
        switch entry.kind {
        case .q4K:
          // d · scale · q − e · offset, with scales and offsets in 0...63 and q in 0...15.
          set(8e-5, at: 0)
          set(6e-4, at: 2)
        case .q6K: set(1.5e-5, at: 208)
        case .float32: break
        }
      }
    }
    return bytes
  }
}
