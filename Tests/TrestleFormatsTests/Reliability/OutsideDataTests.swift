import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

import TrestleFormats

/// What comes from outside costs in proportion to its size, stays inside its folder and is printed safely.
struct OutsideDataTests {
  /// Marks of two classes in turn: the order in which sorting them one by one is slowest.
  private func marks(_ count: Int) -> String {
    String(repeating: "\u{301}\u{316}", count: count / 2)
  }

  // MARK: Cost

  @Test func stringsWithLongRunsOfMarksCostInProportion() throws {
    let ratio = try growth(from: 20_000) {
      Array("{\"a\": \"x\(marks($0))\", \"b\": \"y\(marks($0))\"}".utf8)
    } run: {
      let value = try $0.withUnsafeBytes { try JSONValue(parsing: $0) }
      let (a, b) = (try value.member("a").string(), try value.member("b").string())
      #expect(a != b && Set([a, b]).count == 2 && a.split(separator: " ").count == 1)
    }
    #expect(ratio < 9, "\(ratio)")
  }

  @Test func longKeysOfMetadataCostInProportion() throws {
    func file(_ count: Int) throws -> MappedFile {
      var writer = GGUFWriter()
      writer.add("x" + marks(count), GGUFWriter.value("y"))
      writer.add("y" + marks(count), GGUFWriter.value("y"))
      return try MappedFile(copying: writer.serialized(), name: "keys")
    }
    let ratio = try growth(from: 7_000, prepare: file) { file in
      let metadata = try GGUFFile(file).metadata
      #expect(metadata.count == 2)
    }
    #expect(ratio < 9, "\(ratio)")
  }

  @Test func namesOfTensorsAreBounded() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "x.safetensors")
    let source = { (name: String) in SafetensorsSource(name: name, type: .uint8, shape: [1], bytes: [1]) }
    try SafetensorsWriter.write([source(String(repeating: "a", count: 512))], to: url)
    #expect(try SafetensorsFile(url).names.count == 1)
    #expect(
      formatError {
        try SafetensorsWriter.write([source(String(repeating: "a", count: 513))], to: url)
      }?.description.contains("at most 512 bytes") == true)
  }

  @Test func hashesDependOnTheProcess() {
    // A hash that anybody can compute lets anybody make keys that collide.
    var fnv: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in "abc".utf8 { fnv = (fnv ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    #expect(SeededHash.hash(Array("abc".utf8), from: 0, to: 3) != fnv)
    let hashes = Set(
      (0..<100_000).map { SeededHash.hash(Array("key \($0)".utf8), from: 0, to: 4 + "\($0)".count) })
    #expect(hashes.count == 100_000)
    #expect(SeededHash.hash([1, 0], from: 0, to: 2) != SeededHash.hash([1], from: 0, to: 1))
  }

  @Test func streamSafeTextKeepsWhatHasNoLongRuns() {
    for text in ["", "plain", "e\u{301}\u{316}", "नमस्ते", "x" + marks(30)] {
      #expect(text.streamSafe.hasSameBytes(as: text))
    }
    let safe = ("x" + marks(70)).streamSafe
    #expect(safe.unicodeScalars.filter { $0 == "\u{34F}" }.count == 2)
    #expect(safe.unicodeScalars.filter { $0 != "\u{34F}" }.count == 71)
    // Marks by decomposition, and unpaired bytes.
    #expect(String(repeating: "\u{F73}", count: 40).streamSafe.unicodeScalars.count == 41)
    #expect(
      [0xFF, 0x61].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
        String(streamSafe: UnsafeRawBufferPointer(rebasing: bytes[0..<1]))
      } == "\u{FFFD}")
  }

  // MARK: Paths

  @Test func pathsAreReadByBytes() throws {
    let outside = [
      "../\u{338}x", "..\u{2F}\u{338}/x", "a/../b", "/x", "a//b", ".", "..", "a\u{0}", "a\\b", "", "a/",
      "a/.",
    ]
    for path in outside { #expect(!isPlainPath(path), "\(PrintableText(path))") }
    for path in ["x", "a/b", "a..b", ".x", "\u{E9}\u{338}"] { #expect(isPlainPath(path)) }
    // The whole way: a shard beside the folder.
    let folder = try TemporaryFolder()
    let inner = folder.url.appending(path: "model")
    try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
    let name = "\u{338}x.safetensors"
    try SafetensorsWriter.write(
      [.init(name: "w", type: .uint8, shape: [1], bytes: [1])], to: folder.url.appending(path: name))
    let index = inner.appending(path: "model.safetensors.index.json")
    try AtomicFile.write(Array(#"{"weight_map": {"w": "../\#(name)"}}"#.utf8), to: index)
    for allowsLinks in [false, true] {
      let error = formatError { _ = try ShardedSafetensors(index: index, allowsLinks: allowsLinks) }
      guard case .unsafePath = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
  }

  // MARK: Files that change

  @Test func aCopiedFileOutlivesBeingCutOff() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "x.safetensors")
    try SafetensorsWriter.write([SafetensorsSource(name: "w", tensor: Tensor.ones([9000]))], to: url)
    let tensor = try SafetensorsFile(url, access: .copied).tensor("w")
    #expect(truncate(url.path, 0) == 0)
    #expect(tensor.sum().item == 9000)
    let empty = try MappedFile(url, access: .copied)
    #expect(empty.count == 0)
    #expect(formatError { _ = try MappedFile(folder.url, access: .copied) }?.details.found == "a folder")
  }

  @Test func bytesOfAFileAreBounded() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write([1, 2, 3], to: "x")
    #expect(try [UInt8](contentsOf: url, limit: 3) == [1, 2, 3])
    guard case .limitExceeded = formatError({ _ = try [UInt8](contentsOf: url, limit: 2) }) else {
      Issue.record("no limit")
      return
    }
    let pipe = folder.url.appending(path: "pipe")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    #expect(formatError { _ = try [UInt8](contentsOf: pipe, limit: 3) }?.details.found == "a special file")
    #expect(formatError { _ = try MappedFile(URL(filePath: "/tmp/a\u{0}b")) } != nil)
  }

  // MARK: Messages

  @Test func messagesAreOneLineWithoutTerminalCodes() {
    let hostile = "a\u{1B}[2J\u{7}\nb\u{202E}c\u{2028}d\u{9B}e"
    let text = PrintableText(hostile).description
    #expect(text == #"a\u{1B}[2J\u{07}\nb\u{202E}c\u{2028}d\u{009B}e"#, "\(text)")
    #expect(PrintableText(String(repeating: "x", count: 5000)).description.count == 1001)
    #expect(PrintableText("Å – 日本 😀").description == "Å – 日本 😀")
  }
}
