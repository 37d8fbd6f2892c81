import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

import TrestleFormats

/// Every reader of files takes time in proportion to what it reads, however that is made up.
@Suite(.serialized) struct ReaderGrowthTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func expectLinear<Input>(
    _ name: String, from size: Int, _ prepare: (Int) throws -> Input, _ run: (Input) throws -> Void
  ) throws {
    let ratio = try growth(from: size, rounds: 3, prepare: prepare, run: run)
    #expect(ratio < 9, "\(name): \(ratio)")
  }

  @Test func jsonIsLinear() throws {
    let texts: [(name: String, make: (Int) -> String)] = [
      ("members", { "{" + (0..<$0).map { "\"k\($0)\": \($0)" }.joined(separator: ",") + "}" }),
      ("elements", { "[" + [String](repeating: "1.5e3", count: $0).joined(separator: ",") + "]" }),
      ("lists of lists", { "[" + [String](repeating: "[[[]]]", count: $0).joined(separator: ",") + "]" }),
      ("escapes", { "\"" + String(repeating: "\\ud83d\\ude00\\n", count: $0) + "\"" }),
      ("flags", { "\"" + String(repeating: "\u{1F1E6}", count: $0) + "\"" }),
      ("joined emoji", { "\"" + String(repeating: "\u{1F468}\u{200D}", count: $0) + "\"" }),
      ("digits", { String(repeating: "7", count: $0) }),
      ("a fraction", { "0." + String(repeating: "7", count: $0) + "e1" }),
      ("spaces", { String(repeating: " ", count: $0) + "1" }),
    ]
    for (name, make) in texts {
      try expectLinear(name, from: 8_000, { Array(make($0).utf8) }) { bytes in
        let value = try? bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
        guard let object = try? value?.object() else { return }
        for index in 0..<object.count { #expect(object["k\(index)"] != nil) }
      }
    }
  }

  @Test func safetensorsAndShardsAreLinear() throws {
    try expectLinear("tensors") {
      let url = folder.url.appending(path: "t\($0).safetensors")
      try SafetensorsWriter.write(
        (0..<$0).map { SafetensorsSource(name: "n\($0)", type: .uint8, shape: [1], bytes: [1]) }, to: url)
      return url
    } run: { url in
      let file = try SafetensorsFile(url)
      for name in file.names { _ = try file.bytes(of: name) }
    }
    try expectLinear("shards") { count in
      let url = folder.url.appending(path: "x\(count).safetensors")
      try SafetensorsWriter.write(
        (0..<count).map { SafetensorsSource(name: "n\($0)", type: .uint8, shape: [1], bytes: [1]) }, to: url)
      let map = (0..<count).map { "\"n\($0)\": \"x\(count).safetensors\"" }.joined(separator: ",")
      return try folder.write(Array("{\"weight_map\": {\(map)}}".utf8), to: "i\(count).index.json")
    } run: { index in
      let shards = try ShardedSafetensors(index: index)
      for name in shards.names { _ = try shards.bytes(of: name) }
    }
  }

  private func expectLinear<Input>(
    _ name: String, prepare: (Int) throws -> Input, run: (Input) throws -> Void
  ) throws {
    try expectLinear(name, from: 1_000, prepare, run)
  }

  @Test func columnarFilesAreLinear() throws {
    func names(_ count: Int) -> [String] { (0..<count).map { "c\($0)" } }
    let files: [(name: String, size: Int, make: (Int) -> [UInt8])] = [
      ("rows of Arrow", 4_000, { ColumnarFiles.arrow(columns: ["a"], rows: $0) }),
      ("texts of Arrow", 4_000, { ColumnarFiles.arrow(columns: ["a"], rows: $0, texts: true) }),
      ("batches of Arrow", 500, { ColumnarFiles.arrow(columns: ["a", "b"], rows: 1, batches: $0) }),
      ("batches of texts", 500, { ColumnarFiles.arrow(columns: ["a"], rows: 1, batches: $0, texts: true) }),
      ("columns of Arrow", 500, { ColumnarFiles.arrow(columns: names($0), rows: 1) }),
      (
        "a long name",
        20_000, { ColumnarFiles.arrow(columns: [String(repeating: "\u{1F1E6}", count: $0)], rows: 1) }
      ),
      (
        "rows of NumPy", 8_000,
        { ColumnarFiles.npy("'<i8'", $0, [UInt8](repeating: 1, count: 8 * $0)) }
      ),
      (
        "texts of NumPy", 4_000,
        { ColumnarFiles.npy("'<U2'", $0, (0..<2 * $0).flatMap { _ in [UInt8(97), 0, 0, 0] }) }
      ),
      (
        "fields of NumPy", 100,
        { count in
          let fields = names(count).map { "('\($0)', '|b1')" }.joined(separator: ",")
          return ColumnarFiles.npy("[\(fields)]", 64, [UInt8](repeating: 1, count: 64 * count))
        }
      ),
      (
        "entries of an archive", 500,
        { ColumnarFiles.npz(names($0).map { ($0 + ".npy", ColumnarFiles.npy("'|b1'", 1, [1])) }) }
      ),
    ]
    for (name, size, make) in files {
      let bytes = make(16)
      #expect(try !ColumnarFile(MappedFile(copying: bytes, name: name)).columns.isEmpty, "\(name)")
      try expectLinear(name, from: size) {
        try MappedFile(copying: make($0), name: name)
      } _: { file in
        let columns = try ColumnarFile(file).columns
        #expect(!columns.isEmpty)
      }
    }
  }

  @Test func ggufIsLinear() throws {
    try expectLinear("keys") { count in
      var writer = GGUFWriter()
      for index in 0..<count { writer.add("key.\(index)", GGUFWriter.value("v")) }
      return try MappedFile(copying: writer.serialized(), name: "keys")
    } run: { file in
      let metadata = try GGUFFile(file).metadata
      for key in metadata.keys { _ = try metadata.string(key) }
    }
    let arrays: [(name: String, make: (Int) -> [UInt8])] = [
      (
        "texts",
        { GGUFWriter.array(.string, (0..<$0).map { Array(GGUFWriter.value("t\($0)").dropFirst(4)) }) }
      ),
      ("empty texts", { GGUFWriter.array(.string, (0..<$0).map { _ in GGUFWriter.encode(UInt64(0)) }) }),
      ("numbers", { GGUFWriter.array(.int32, (0..<$0).map { GGUFWriter.encode(Int32($0)) }) }),
      ("flags", { GGUFWriter.array(.bool, (0..<$0).map { [UInt8($0 % 2)] }) }),
    ]
    for (name, make) in arrays {
      try expectLinear("array of \(name)", from: 8_000) { count in
        var writer = GGUFWriter()
        writer.add("a", make(count))
        return try MappedFile(copying: writer.serialized(), name: name)
      } _: { file in
        let metadata = try GGUFFile(file).metadata
        #expect(metadata["a"] != nil)
      }
    }
    try expectLinear("tensors", from: 2_000) { count in
      var writer = GGUFWriter()
      writer.tensors = (0..<count).map {
        GGUFWriter.Tensor("t\($0)", dimensions: [1], type: 0, bytes: [0, 0, 0, 0])
      }
      return try MappedFile(copying: writer.serialized(), name: "tensors")
    } _: { file in
      let gguf = try GGUFFile(file)
      for name in gguf.names { _ = try gguf.bytes(of: name) }
    }
  }
}
