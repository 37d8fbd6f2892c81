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

  @Test func ggufIsLinear() throws {
    try expectLinear("keys") { count in
      var writer = GGUFWriter()
      for index in 0..<count { writer.add("key.\(index)", GGUFWriter.value("v")) }
      return try MappedFile(copying: writer.serialized(), name: "keys")
    } run: { file in
      let metadata = try GGUFFile(file).metadata
      for key in metadata.keys { _ = try metadata.string(key) }
    }
  }
}
