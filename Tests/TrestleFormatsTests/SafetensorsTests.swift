import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

/// The bytes of a file with this header and so many bytes of data.
private func rawFile(_ header: String, data: Int, declared: UInt64? = nil) -> [UInt8] {
  GGUFWriter.encode(declared ?? UInt64(header.utf8.count)) + Array(header.utf8)
    + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

struct SafetensorsTests {
  private static let valid =
    #"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#

  @Test func aValidFileIsRead() throws {
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(folder.write(rawFile(Self.valid + "   ", data: 32), to: "x.safetensors"))
    #expect(file.names == ["a", "b"])
    #expect(file.metadata == ["format": "pt"])
    #expect(try file.entry("b").shape == [2, 3])
    #expect(try file.entry("b").type == .float32)
    #expect(try file.entry("a").shape == [])
    #expect(try file.bytes(of: "b").withUnsafeBytes { Array($0) } == Array(8..<32))
    guard case .missing? = formatError({ _ = try file.bytes(of: "c") }) else {
      Issue.record("an absent tensor was found")
      return
    }
  }

  @Test(arguments: [
    (#"{}"#, 0), (#"{"__metadata__":{}}"#, 0),
    (#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#, 0),
    (
      #"{"a":{"dtype":"F32","shape":[3,0,2],"data_offsets":[4,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
      4
    ),
    (
      #"{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"F8_E4M3","shape":[1,1],"data_offsets":[2,3]}}"#,
      3
    ),
  ])
  func emptyAndScalarTensorsAreValid(header: String, data: Int) throws {
    let folder = try TemporaryFolder()
    _ = try SafetensorsFile(folder.write(rawFile(header, data: data), to: "x.safetensors"))
  }

  @Test func aBytesViewOutlivesItsFileObject() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(rawFile(Self.valid, data: 32), to: "x.safetensors")
    let bytes = try SafetensorsFile(url).bytes(of: "b")
    try FileManager.default.removeItem(at: url)
    #expect(bytes.withUnsafeBytes { Array($0) } == Array(8..<32))
  }

  /// One entry per rule: header, bytes of data, and words of the error.
  static let hostile: [(String, Int, String)] = [
    (#"[]"#, 0, "'{'"),
    (#" {}"#, 0, "'{'"),
    (#"{"#, 0, "malformed"),
    (#"{}x"#, 0, "malformed"),
    (#"{"a":1}"#, 0, "an object"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
      8, "duplicate"
    ),
    (
      "{\"\u{E9}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"e\u{301}\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
      2, "duplicate"
    ),
    (#"{"__metadata__":{"a":1}}"#, 0, "a string"),
    (#"{"__metadata__":{"a":null}}"#, 0, "a string"),
    (#"{"__metadata__":[]}"#, 0, "an object"),
    (#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, "duplicate"),
    (#"{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}"#, 4, "F33"),
    (#"{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}"#, 4, "f32"),
    (#"{"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}}"#, 4, "a.dtype"),
    (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "dtype"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, 4, "alone"),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "a.shape[0]"),
    (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "a.shape[0]"),
    (#"{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}"#, 4, "a.shape[0]"),
    (#"{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}"#, 4, "a.shape[0]"),
    (#"{"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}}"#, 4, "a.shape[0]"),
    (#"{"a":{"dtype":"F32","shape":[[[1]]],"data_offsets":[0,4]}}"#, 4, "nesting"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "two offsets"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4, "two offsets"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "a.data_offsets[0]"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "inside"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, 4, "inside"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4, "inside"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "8 bytes"),
    (
      #"{"a":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,16]}}"#, 16,
      "fits 64 bits"
    ),
    (#"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#, 0, "representable"),
    (#"{"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "fits 64 bits"),
    // A gap, a hole at the start, an overlap, an alias, bytes left over.
    (
      #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
      3, "that start"
    ),
    (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, "that start"),
    (
      #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
      3, "that start"
    ),
    (
      #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
      2, "that start"
    ),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 3, "cover"),
    (#"{}"#, 1, "cover"),
  ]

  @Test(arguments: 0..<hostile.count)
  func brokenFilesAreRefusedByName(position: Int) throws {
    let (header, data, words) = Self.hostile[position]
    let folder = try TemporaryFolder()
    let url = try folder.write(rawFile(header, data: data), to: "x.safetensors")
    let error = formatError { _ = try SafetensorsFile(url) }
    let text = error?.description ?? ""
    #expect(text.contains(words), "\(text)")
    #expect(text.contains(url.path))
  }

  @Test func brokenLengthsAreRefused() throws {
    let folder = try TemporaryFolder()
    for bytes in [
      [], [1, 2, 3], rawFile("{}", data: 0, declared: 3), rawFile("{}", data: 0, declared: 0),
      rawFile("{}", data: 0, declared: .max), rawFile("{}", data: 0, declared: 1 << 63),
      rawFile("{}", data: 0, declared: 100_000_001), rawFile("{}", data: 0, declared: 100_000_000),
      GGUFWriter.encode(UInt64(4)) + [0x7B, 0xFF, 0xFE, 0x7D],
    ] {
      let url = try folder.write(bytes, to: "x.safetensors")
      #expect(throws: FormatError.self) { try SafetensorsFile(url) }
    }
  }

  // MARK: Writing

  @Test func writtenFilesReadBackAlignedAndInOrder() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "out.safetensors")
    let sources = [
      SafetensorsSource(name: "half", type: .float16, shape: [3], bytes: Array(0..<6)),
      SafetensorsSource(name: "byte", type: .uint8, shape: [5], bytes: Array(0..<5)),
      SafetensorsSource(name: "wide", type: .float64, shape: [], bytes: Array(10..<18)),
      SafetensorsSource(name: "z", type: .float32, shape: [2, 2]) { writer in
        for part in 0..<4 { try writer.write([UInt8](repeating: UInt8(part), count: 4)) }
      },
      SafetensorsSource(name: "empty", type: .float32, shape: [0, 7], bytes: []),
    ]
    try SafetensorsWriter.write(sources, metadata: ["b": "ü", "a": "1"], to: url)
    let file = try SafetensorsFile(url)
    #expect(file.names == ["wide", "empty", "z", "half", "byte"])
    #expect(file.metadata == ["a": "1", "b": "ü"])
    #expect(try file.entry("wide").range.lowerBound % 64 == 0)
    for name in file.names {
      let entry = try file.entry(name)
      #expect(entry.range.lowerBound % entry.type.byteCount == 0)
    }
    #expect(try file.entry("empty").shape == [0, 7])
    #expect(try file.bytes(of: "half").withUnsafeBytes { Array($0) } == Array(0..<6))
    #expect(try file.bytes(of: "wide").withUnsafeBytes { Array($0) } == Array(10..<18))
    #expect(
      try file.bytes(of: "z").withUnsafeBytes { Array($0) } == (0..<16).map { UInt8($0 / 4) })
    let first = try Data(contentsOf: url)
    try SafetensorsWriter.write(sources.reversed(), metadata: ["a": "1", "b": "ü"], to: url)
    #expect(try Data(contentsOf: url) == first)
    #expect(try folder.names == ["out.safetensors"])
  }

  @Test func wrongSourcesLeaveTheOldFile() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(Array("old".utf8), to: "out.safetensors")
    func source(_ name: String, _ shape: [Int], _ count: Int) -> SafetensorsSource {
      SafetensorsSource(name: name, type: .float32, shape: shape, bytes: [UInt8](repeating: 0, count: count))
    }
    for sources in [
      [source("a", [2], 7)], [source("a", [2], 9)], [source("a", [1], 4), source("a", [1], 4)],
      [source("a", [Int.max, 8], 0)], [source("a", [-1], 0)], [source("__metadata__", [], 4)],
    ] {
      #expect(throws: FormatError.self) { try SafetensorsWriter.write(sources, to: url) }
      #expect(try Data(contentsOf: url) == Data("old".utf8))
      #expect(try folder.names == ["out.safetensors"])
    }
  }

  // MARK: Mutations and bombs

  @Test func mutatedFilesAreReadOrRefused() throws {
    let seed = rawFile(Self.valid, data: 32)
    let digits = Array("0123456789-.\"[]{},:".utf8)
    var generator = SplitMix64(state: 11)
    var accepted = 0
    for _ in 0..<3000 {
      var bytes = seed
      for _ in 0...Int.random(in: 0..<3, using: &generator) {
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes[position] = digits.randomElement(using: &generator) ?? 0
        case 2: bytes[Int.random(in: 0..<8, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
        case 3: bytes.removeLast(Int.random(in: 0..<min(20, bytes.count), using: &generator))
        default: bytes.insert(digits.randomElement(using: &generator) ?? 0, at: position)
        }
      }
      let image = try MappedFile(copying: bytes, name: "x.safetensors")
      guard let file = try? SafetensorsFile(image) else { continue }
      accepted += 1
      for name in file.names {
        let entry = try file.entry(name)
        let sum = try file.bytes(of: name).withUnsafeBytes { $0.reduce(0) { $0 + Int($1) } }
        #expect(sum >= 0 && entry.range.count == entry.shape.reduce(entry.type.byteCount, *))
      }
    }
    #expect(accepted > 10 && accepted < 2900)
  }

  // MARK: Shards

  private func shard(_ folder: TemporaryFolder, _ file: String, _ tensors: [String]) throws {
    try SafetensorsWriter.write(
      tensors.map { SafetensorsSource(name: $0, type: .uint8, shape: [1], bytes: [UInt8($0.utf8.count)]) },
      to: folder.url.appending(path: file))
  }

  private func index(_ folder: TemporaryFolder, _ map: [(String, String)]) throws {
    let index: JSONLiteral = [
      "metadata": ["total_size": 3], "weight_map": .object(map.map { ($0.0, .string($0.1)) }),
    ]
    try folder.write(index.serialized(), to: "model.safetensors.index.json")
  }

  @Test func shardsAreFoundThroughTheIndex() throws {
    let folder = try TemporaryFolder()
    try shard(folder, "one.safetensors", ["a", "bb"])
    try shard(folder, "two.safetensors", ["ccc"])
    try index(folder, [("ccc", "two.safetensors"), ("a", "one.safetensors"), ("bb", "one.safetensors")])
    let model = try ShardedSafetensors(folder: folder.url)
    #expect(model.names == ["a", "bb", "ccc"])
    #expect(try model.bytes(of: "ccc").withUnsafeBytes { Array($0) } == [3])
    #expect(try model.entry("a").type == .uint8)
    #expect(throws: FormatError.self) { try model.bytes(of: "d") }
  }

  @Test func aModelInOneFileNeedsNoIndex() throws {
    let folder = try TemporaryFolder()
    #expect(throws: FormatError.self) { try ShardedSafetensors(folder: folder.url) }
    try shard(folder, "model.safetensors", ["a"])
    #expect(try ShardedSafetensors(folder: folder.url).names == ["a"])
  }

  @Test func indexAndShardsMustAgree() throws {
    let folder = try TemporaryFolder()
    try shard(folder, "one.safetensors", ["a", "b"])
    try shard(folder, "two.safetensors", ["b"])
    for map in [
      [("a", "one.safetensors")],
      [("a", "one.safetensors"), ("b", "one.safetensors"), ("c", "one.safetensors")],
      [("a", "one.safetensors"), ("b", "two.safetensors")],
      [("a", "one.safetensors"), ("b", "none.safetensors")],
    ] {
      try index(folder, map)
      #expect(throws: FormatError.self) { try ShardedSafetensors(folder: folder.url) }
    }
    for text in ["{}", "[]", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#] {
      try folder.write(Array(text.utf8), to: "model.safetensors.index.json")
      #expect(throws: FormatError.self) { try ShardedSafetensors(folder: folder.url) }
    }
  }

  @Test func shardsOutsideTheFolderAreRefused() throws {
    let outside = try TemporaryFolder()
    try shard(outside, "x.safetensors", ["a"])
    let folder = try TemporaryFolder()
    let manager = FileManager.default
    try manager.createSymbolicLink(
      at: folder.url.appending(path: "link.safetensors"),
      withDestinationURL: outside.url.appending(path: "x.safetensors"))
    try manager.createSymbolicLink(at: folder.url.appending(path: "down"), withDestinationURL: outside.url)
    let target = outside.url.lastPathComponent
    for name in [
      "../\(target)/x.safetensors", "down/../../\(target)/x.safetensors", outside.url.path + "/x.safetensors",
      "link.safetensors", "down/x.safetensors", "", ".", "..", "./x.safetensors", "a//b", "a\\b", "x\u{0}y",
    ] {
      try index(folder, [("a", name)])
      guard case .unsafePath? = formatError({ _ = try ShardedSafetensors(folder: folder.url) }) else {
        Issue.record("followed \(name.debugDescription)")
        continue
      }
    }
    // Links are followed when the caller says so, dots never.
    try index(folder, [("a", "link.safetensors")])
    #expect(try ShardedSafetensors(folder: folder.url, allowsLinks: true).names == ["a"])
    try index(folder, [("a", "../\(target)/x.safetensors")])
    #expect(throws: FormatError.self) { try ShardedSafetensors(folder: folder.url, allowsLinks: true) }
    // So is a link that stays inside.
    try shard(folder, "real.safetensors", ["a"])
    try manager.createSymbolicLink(
      at: folder.url.appending(path: "inner.safetensors"),
      withDestinationURL: folder.url.appending(path: "real.safetensors"))
    try index(folder, [("a", "inner.safetensors")])
    #expect(try ShardedSafetensors(folder: folder.url).names == ["a"])
  }
}
