import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

private typealias Build = GGUFWriter

struct GGUFTests {
  /// A small file with a value of every type and three tensors.
  private static func sample() -> GGUFWriter {
    var writer = GGUFWriter()
    writer.add("general.architecture", Build.value("llama"))
    writer.add("u8", Build.value(.uint8, UInt8(200)))
    writer.add("i8", Build.value(.int8, Int8(-100)))
    writer.add("u16", Build.value(.uint16, UInt16(60_000)))
    writer.add("i16", Build.value(.int16, Int16(-30_000)))
    writer.add("u32", Build.value(.uint32, UInt32.max))
    writer.add("i32", Build.value(.int32, Int32.min))
    writer.add("u64", Build.value(.uint64, UInt64(1) << 62))
    writer.add("i64", Build.value(.int64, Int64.min))
    writer.add("huge", Build.value(.uint64, UInt64.max))
    writer.add("f32", Build.value(.float32, Float(1.5).bitPattern))
    writer.add("f64", Build.value(.float64, 0.1.bitPattern))
    writer.add("yes", Build.value(.bool, UInt8(1)))
    writer.add("words", Build.array(.string, ["a", "", "é😀"].map { Array(Build.value($0).dropFirst(4)) }))
    writer.add("raw", Build.array(.string, [Build.encode(UInt64(2)) + [0xFF, 0x41]]))
    writer.add("bad text", Build.encode(UInt32(8)) + Build.encode(UInt64(1)) + [0xFF])
    writer.add("ints", Build.array(.int32, [Int32(-1), 7].map { Build.encode($0) }))
    writer.add("bytes", Build.array(.int8, [Int8(-1), 7].map { Build.encode($0) }))
    writer.add("floats", Build.array(.float32, [Float(0.5), -2].map { Build.encode($0.bitPattern) }))
    writer.add("doubles", Build.array(.float64, [0.5, -2].map { Build.encode($0.bitPattern) }))
    writer.add("flags", Build.array(.bool, [[0], [1]]))
    writer.add("none", Build.array(.uint32, []))
    let inner = Build.array(.uint8, [[1], [2], [3]]).dropFirst(4)
    writer.add("nested", Build.array(.array, [Array(inner), Array(inner)]))
    writer.tensors = [
      .init("w", dimensions: [3, 2], type: 0, bytes: Array(0..<24)),
      .init("q", dimensions: [64, 2], type: 2, bytes: [UInt8](repeating: 9, count: 72)),
      .init("k", dimensions: [256], type: 16, bytes: [UInt8](repeating: 1, count: 66)),
      .init("s", dimensions: [], type: 28, bytes: Array(1...8)),
    ]
    return writer
  }

  private func load(_ writer: GGUFWriter, _ folder: TemporaryFolder) throws -> GGUFFile {
    try GGUFFile(folder.write(writer.serialized(), to: "x.gguf"))
  }

  @Test(arguments: [2, 3] as [UInt32]) func everyTypeOfMetadataIsRead(version: UInt32) throws {
    var writer = Self.sample()
    writer.version = version
    let folder = try TemporaryFolder()
    let file = try load(writer, folder)
    let metadata = file.metadata
    #expect(file.version == Int(version))
    #expect(file.alignment == 32)
    #expect(metadata.keys == writer.metadata.map { String(decoding: $0.key, as: UTF8.self) })
    #expect(try metadata.string("general.architecture") == "llama")
    #expect(try metadata.int("u8") == 200)
    #expect(try metadata.int("i8") == -100)
    #expect(try metadata.int("u16") == 60_000)
    #expect(try metadata.int("i16") == -30_000)
    #expect(try metadata.int("u32") == Int(UInt32.max))
    #expect(try metadata.int("i32") == Int(Int32.min))
    #expect(try metadata.int("u64") == 1 << 62)
    #expect(try metadata.int("i64") == .min)
    #expect(try metadata.double("f32") == 1.5)
    #expect(try metadata.double("f64") == 0.1)
    #expect(try metadata.bool("yes"))
    let words = try metadata.strings("words")
    #expect(Array(words) == ["a", "", "é😀"])
    #expect(words.bytes(at: 2).count == 6)
    #expect(try Array(metadata.strings("raw")) == ["\u{FFFD}A"])
    #expect(try metadata.strings("raw").withBytes(at: 0) { Array($0) } == [0xFF, 0x41])
    #expect(try metadata.ints("ints") == [-1, 7])
    #expect(try metadata.ints("bytes") == [-1, 7])
    #expect(try metadata.floats("floats") == [0.5, -2])
    #expect(try metadata.doubles("doubles") == [0.5, -2])
    #expect(try metadata.bools("flags") == [false, true])
    #expect(try metadata.ints("none").isEmpty)
    guard case .arrays(let arrays) = try metadata.value("nested"), case .numbers(let last)? = arrays.last
    else {
      Issue.record("no nested array")
      return
    }
    #expect(arrays.count == 2)
    #expect(last.count == 3)
  }

  @Test func valuesOfAnotherTypeThrowAndNameTheKey() throws {
    let folder = try TemporaryFolder()
    let metadata = try load(Self.sample(), folder).metadata
    func refused(_ body: () throws -> Void) {
      guard case .wrongType(let details)? = formatError(body) else {
        Issue.record("accepted")
        return
      }
      #expect(details.place.contains("metadata"))
    }
    refused { _ = try metadata.int("f32") }
    refused { _ = try metadata.int("huge") }
    refused { _ = try metadata.int("u8", in: 0...199) }
    refused { _ = try metadata.int("yes") }
    refused { _ = try metadata.double("u8") }
    refused { _ = try metadata.bool("u8") }
    refused { _ = try metadata.string("u8") }
    refused { _ = try metadata.string("bad text") }
    refused { _ = try metadata.string("words") }
    refused { _ = try metadata.strings("ints") }
    refused { _ = try metadata.strings("general.architecture") }
    refused { _ = try metadata.ints("words") }
    refused { _ = try metadata.ints("floats") }
    // Scores stored as bytes must not be read as floats.
    refused { _ = try metadata.floats("bytes") }
    refused { _ = try metadata.floats("doubles") }
    refused { _ = try metadata.doubles("floats") }
    refused { _ = try metadata.bools("bytes") }
    refused { _ = try metadata.ints("nested") }
    guard case .missing? = formatError({ _ = try metadata.int("absent") }) else {
      Issue.record("an absent key was found")
      return
    }
  }

  @Test func tensorsAreListedOutermostDimensionFirst() throws {
    let folder = try TemporaryFolder()
    let file = try load(Self.sample(), folder)
    #expect(file.names == ["w", "q", "k", "s"])
    #expect(try file.entry("w").shape == [2, 3])
    #expect(try file.entry("q").shape == [2, 64])
    #expect(try file.entry("q").type == .q4_0)
    #expect(try file.entry("s").shape == [])
    #expect(try file.bytes(of: "w").withUnsafeBytes { Array($0) } == Array(0..<24))
    #expect(try file.bytes(of: "q").withUnsafeBytes { Array($0) } == [UInt8](repeating: 9, count: 72))
    #expect(try file.bytes(of: "s").withUnsafeBytes { Array($0) } == Array(1...8))
    guard case .unsupported(let details)? = formatError({ _ = try file.bytes(of: "k") }) else {
      Issue.record("an unsupported type was handed out")
      return
    }
    #expect(details.found == "IQ2_XXS")
    #expect(throws: FormatError.self) { try file.bytes(of: "absent") }
  }

  @Test(arguments: [8, 16, 64, 4096]) func otherAlignmentsAreFollowed(alignment: Int) throws {
    var writer = Self.sample()
    writer.alignment = alignment
    writer.add("general.alignment", Build.value(.uint32, UInt32(alignment)))
    let folder = try TemporaryFolder()
    let file = try load(writer, folder)
    #expect(file.alignment == alignment)
    #expect(file.tensors.values.allSatisfy { $0.range.lowerBound % alignment == 0 })
    #expect(try file.bytes(of: "s").withUnsafeBytes { Array($0) } == Array(1...8))
  }

  @Test func filesWithoutTensorsOrMetadataAreValid() throws {
    let folder = try TemporaryFolder()
    #expect(try load(GGUFWriter(), folder).tensors.isEmpty)
    var writer = GGUFWriter()
    writer.tensors = [
      .init("empty", dimensions: [0, 4], type: 0),
      .init("one", dimensions: [1, 1, 1, 1], type: 24, bytes: [5]),
    ]
    #expect(try load(writer, folder).entry("one").shape == [1, 1, 1, 1])
  }

  // MARK: Hostile files

  /// One entry per rule: what is wrong, how to make it so, and words of the error.
  private static let hostile: [(rule: String, words: String, change: @Sendable (inout GGUFWriter) -> Void)] =
    [
      ("magic", "letters GGUF", { $0.magic = Array("GGJT".utf8) }),
      ("version 0", "version 0", { $0.version = 0 }),
      ("version 1", "version 1", { $0.version = 1 }),
      ("version 4", "version 4", { $0.version = 4 }),
      ("big endian", "big-endian", { $0.version = 3 << 24 }),
      ("tensor count 2^64 - 1", "number of tensors", { $0.tensorCount = .max }),
      ("tensor count 2^61", "number of tensors", { $0.tensorCount = 1 << 61 }),
      ("key count 2^64 - 1", "number of metadata keys", { $0.keyCount = .max }),
      ("key count 2^32", "number of metadata keys", { $0.keyCount = 1 << 32 }),
      ("one key too many", "expected", { $0.keyCount = UInt64($0.metadata.count + 1) }),
      ("one tensor too many", "limit", { $0.tensorCount = UInt64($0.tensors.count + 1) }),
      ("empty key", "1 to 65535", { $0.add("", Build.value("x")) }),
      (
        "key longer than the limit", "1 to 65535",
        { $0.add(String(repeating: "k", count: 65_536), Build.value("x")) }
      ),
      ("key not UTF-8", "UTF-8", { $0.metadata.append(([0xFF], Build.value("x"))) }),
      ("key twice", "\"u8\" twice", { $0.add("u8", Build.value("x")) }),
      ("value type 13", "value type 0 to 12", { $0.add("x", Build.encode(UInt32(13)) + [0]) }),
      ("Boolean 2", "Boolean 0 or 1", { $0.add("x", Build.value(.bool, UInt8(2))) }),
      ("Boolean 2 in an array", "Booleans 0 or 1", { $0.add("x", Build.array(.bool, [[0], [2]])) }),
      ("string of 2^63 bytes", "string \"x\"", { $0.add("x", Build.value(.string, UInt64(1) << 63)) }),
      ("string of 2^64 - 1 bytes", "string \"x\"", { $0.add("x", Build.value(.string, UInt64.max)) }),
      ("string of 1 GiB", "string \"x\"", { $0.add("x", Build.value(.string, UInt64(1) << 30)) }),
      ("array of 2^63 bytes", "array \"x\"", { $0.add("x", Build.array(.uint8, [], count: 1 << 63)) }),
      ("array of 2^61 integers", "array \"x\"", { $0.add("x", Build.array(.uint64, [], count: 1 << 61)) }),
      ("array of 2^61 strings", "array \"x\"", { $0.add("x", Build.array(.string, [], count: 1 << 61)) }),
      ("array of 2^61 arrays", "array \"x\"", { $0.add("x", Build.array(.array, [], count: 1 << 61)) }),
      (
        "array element of unknown type", "value type",
        { $0.add("x", Build.encode(UInt32(9)) + Build.encode(UInt32(99)) + Build.encode(UInt64(0))) }
      ),
      (
        "string in an array longer than the file", "string of the array",
        { $0.add("x", Build.array(.string, [Build.encode(UInt64.max)])) }
      ),
      (
        "arrays five deep", "nested arrays",
        { writer in
          var value = Build.array(.uint8, [])
          for _ in 0..<4 { value = Build.array(.array, [Array(value.dropFirst(4))]) }
          writer.add("x", value)
        }
      ),
      (
        "too many nested arrays", "nested arrays",
        {
          $0.add(
            "x",
            Build.array(
              .array, [[UInt8]](repeating: Array(Build.array(.uint8, []).dropFirst(4)), count: 65_537)))
        }
      ),
      ("alignment 0", "power of two", { $0.add("general.alignment", Build.value(.uint32, UInt32(0))) }),
      ("alignment 4", "power of two", { $0.add("general.alignment", Build.value(.uint32, UInt32(4))) }),
      ("alignment 24", "power of two", { $0.add("general.alignment", Build.value(.uint32, UInt32(24))) }),
      ("alignment 8192", "power of two", { $0.add("general.alignment", Build.value(.uint32, UInt32(8192))) }),
      (
        "alignment 2^31", "power of two",
        { $0.add("general.alignment", Build.value(.uint32, UInt32(1) << 31)) }
      ),
      (
        "alignment of another type", "power of two",
        { $0.add("general.alignment", Build.value(.uint64, UInt64(32))) }
      ),
      ("alignment as a string", "power of two", { $0.add("general.alignment", Build.value("32")) }),
      ("tensor without name", "1 to 63", { $0.tensors[0].name = [] }),
      ("tensor name of 64 bytes", "1 to 63", { $0.tensors[0].name = [UInt8](repeating: 0x61, count: 64) }),
      ("tensor name not UTF-8", "UTF-8", { $0.tensors[0].name = [0x80] }),
      ("tensor name twice", "\"w\" twice", { $0.tensors[1].name = $0.tensors[0].name }),
      ("five dimensions", "at most 4", { $0.tensors[0].dimensions = [1, 1, 1, 2, 3] }),
      ("dimension 2^63", "below 2^63", { $0.tensors[0].dimensions = [1 << 63, 1] }),
      ("dimension -1", "below 2^63", { $0.tensors[0].dimensions = [.max] }),
      ("elements wrap to 6", "fits 64 bits", { $0.tensors[0].dimensions = [(1 << 62) + 3, 4] }),
      (
        "elements wrap to 4", "fits 64 bits",
        { $0.tensors[0].dimensions = [4_194_305, 4_194_305, 211_106_198_978_564] }
      ),
      ("zero times 2^124", "fits 64 bits", { $0.tensors[0].dimensions = [0, 1 << 62, 1 << 62] }),
      ("bytes wrap to 0", "fits 64 bits", { $0.tensors[0].dimensions = [1 << 62] }),
      ("exabytes", "inside the file", { $0.tensors[0].dimensions = [1 << 60] }),
      ("rows not in whole blocks", "whole blocks of 32", { $0.tensors[1].dimensions = [48, 2] }),
      ("type 4, removed", "type number 4", { $0.tensors[0].type = 4 }),
      ("type 99", "type number 99", { $0.tensors[0].type = 99 }),
      ("type 2^32 - 1", "type number 4294967295", { $0.tensors[0].type = .max }),
      ("offset not 0", "the offset 0", { $0.tensors[0].offset = 32 }),
      ("offset overlaps", "the offset 32", { $0.tensors[1].offset = 0 }),
      ("offset leaves a gap", "the offset 32", { $0.tensors[1].offset = 64 }),
      ("offset not aligned", "the offset 32", { $0.tensors[1].offset = 24 }),
      ("offset 2^64 - 32", "the offset 32", { $0.tensors[1].offset = .max - 31 }),
      ("data cut off", "inside the file", { $0.tensors[3].bytes.removeLast() }),
      ("last tensor outside", "inside the file", { $0.tensors[3].dimensions = [1000] }),
    ]

  @Test(arguments: 0..<hostile.count) func brokenFilesAreRefusedByName(position: Int) throws {
    let (rule, words, change) = Self.hostile[position]
    var writer = Self.sample()
    change(&writer)
    let folder = try TemporaryFolder()
    let text = formatError { _ = try load(writer, folder) }?.description ?? ""
    #expect(text.contains(words) && text.contains("x.gguf"), "\(rule): \(text)")
  }

  @Test func smallFilesThatDeclareVastSizesAreRefused() throws {
    var bombs: [GGUFWriter] = []
    for claim in [UInt64.max, 1 << 63, 1 << 62, 1 << 32, 1 << 30] {
      var counts = GGUFWriter()
      counts.tensorCount = claim
      var keys = GGUFWriter()
      keys.keyCount = claim
      bombs += [counts, keys]
      for type in GGUFValueType.allCases {
        var array = GGUFWriter()
        array.add("x", Build.array(type, [], count: claim))
        bombs.append(array)
      }
      var string = GGUFWriter()
      string.add("x", Build.value(.string, claim))
      var tensor = GGUFWriter()
      tensor.tensors = [.init("x", dimensions: [claim & ~31, 1], type: 0)]
      var blocks = GGUFWriter()
      blocks.tensors = [.init("x", dimensions: [claim & ~255, 256, 1 << 20], type: 14)]
      bombs += [string, tensor, blocks]
    }
    for bomb in bombs {
      let bytes = bomb.serialized()
      #expect(bytes.count < 200)
      let image = try MappedFile(copying: bytes, name: "bomb.gguf")
      #expect(throws: FormatError.self) { try GGUFFile(image) }
    }
  }

  @Test func everyPrefixOfAFileIsRefused() throws {
    let bytes = Self.sample().serialized()
    for count in 0..<bytes.count {
      let image = try MappedFile(copying: Array(bytes.prefix(count)), name: "x.gguf")
      #expect(throws: FormatError.self, "\(count) bytes") { try GGUFFile(image) }
    }
  }

  @Test func mutatedFilesAreReadOrRefused() throws {
    let seed = Self.sample().serialized()
    let interesting: [UInt8] = [0, 1, 2, 8, 9, 0x7F, 0x80, 0xFF]
    var generator = SplitMix64(state: 13)
    var accepted = 0
    for _ in 0..<3000 {
      var bytes = seed
      for _ in 0...Int.random(in: 0..<3, using: &generator) {
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes[position] = interesting.randomElement(using: &generator) ?? 0
        case 2: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 3:
          bytes[Int.random(in: 8..<24, using: &generator)] = interesting.randomElement(using: &generator) ?? 0
        case 4: bytes.removeLast(Int.random(in: 0..<min(90, bytes.count - 24), using: &generator))
        default:
          for offset in position..<min(position + 8, bytes.count) { bytes[offset] = 0xFF }
        }
      }
      let image = try MappedFile(copying: bytes, name: "x.gguf")
      guard let file = try? GGUFFile(image) else { continue }
      accepted += 1
      use(file)
    }
    #expect(accepted > 50 && accepted < 2900)
  }

  /// Reads everything that the file offers; whatever was accepted must be usable without a trap.
  private func use(_ file: GGUFFile) {
    for key in file.metadata.keys {
      _ = try? file.metadata.string(key)
      _ = try? file.metadata.ints(key)
      _ = try? file.metadata.floats(key)
      _ = try? file.metadata.doubles(key)
      _ = try? file.metadata.bools(key)
      _ = try? file.metadata.strings(key).reduce(0) { $0 + $1.count }
    }
    for name in file.names {
      #expect(file.tensors[name]?.range.upperBound ?? .max <= file.file.count)
      _ = try? file.bytes(of: name).withUnsafeBytes { $0.reduce(0) { $0 &+ $1 } }
    }
  }

  @Test func tensorTypesHaveWholeBlocksAndUniqueNames() {
    #expect(Set(GGUFTensorType.allCases.map(\.name)).count == GGUFTensorType.allCases.count)
    #expect(GGUFTensorType.q4_K.name == "Q4_K")
    for type in GGUFTensorType.allCases {
      if let dtype = type.dtype { #expect(type.blockSize == 1 && type.bytesPerBlock == dtype.byteCount) }
    }
    // The sizes of the types that are computed with, counted from their layouts: scales, high bits, low bits.
    #expect(GGUFTensorType.q4_1.bytesPerBlock == 2 + 2 + 32 / 2)
    #expect(GGUFTensorType.q5_1.bytesPerBlock == 2 + 2 + 32 / 8 + 32 / 2)
    #expect(GGUFTensorType.q8_0.bytesPerBlock == 2 + 32)
    #expect(GGUFTensorType.q4_K.bytesPerBlock == 2 + 2 + 12 + 256 / 2)
    #expect(GGUFTensorType.q5_K.bytesPerBlock == 2 + 2 + 12 + 256 / 8 + 256 / 2)
    #expect(GGUFTensorType.q6_K.bytesPerBlock == 256 / 2 + 256 / 4 + 256 / 16 + 2)
  }
}
