import Foundation
import Testing
import TrestleFormats
import TrestleTensor
import TrestleTestSupport

/// Files made by the formats' reference libraries; see Tests/Fixtures/formats/make_fixtures.py.
struct ReferenceFileTests {
  private let folder = TestAssets.fixtures.appending(path: "formats")

  @Test func safetensorsOfTheReferenceLibraryAreRead() throws {
    let file = try SafetensorsFile(folder.appending(path: "reference.safetensors"))
    #expect(file.names.count == 14)
    #expect(file.metadata == ["format": "pt", "größe": "1\n2"])
    let expected: [(String, SafetensorsType, [Int])] = [
      ("f64", .float64, [2]), ("f32", .float32, [2, 3]), ("f16", .float16, [3]), ("bf16", .bfloat16, [2, 1]),
      ("i64", .int64, [2]), ("i32", .int32, [2]), ("i16", .int16, [1]), ("i8", .int8, [3]),
      ("u8", .uint8, [2]),
      ("bool", .bool, [3]), ("f8", .float8e4m3, [2]), ("scalar", .float32, []), ("empty", .float32, [0, 3]),
      ("weiß.\n\"0\"", .int32, [1]),
    ]
    for (name, type, shape) in expected {
      let entry = try file.entry(name)
      #expect(entry.type == type && entry.shape == shape, "\(name)")
    }
    #expect(try file.tensor("f32").scalars() == [0.1, -0.2, 0.3, 1e-30, 3e38, -0.0] as [Float])
    #expect(try file.tensor("f64").scalars() == [1.5, -2.25])
    #expect(try file.tensor("i32").scalars() == [Int32.max, Int32.min])
    #expect(try file.tensor("scalar").scalars() == [42] as [Float])
    #expect(try file.tensor("empty").shape == [0, 3])
    #expect(try file.tensor("bf16").floats == [1, 3.140625])
    #expect(try file.tensor("f16").floats.prefix(2) == [1, 65504])
    #expect(try file.tensor("weiß.\n\"0\"", shape: [1]).scalars() == [Int32(7)])
    #expect(try file.bytes(of: "bool").withUnsafeBytes { Array($0) } == [1, 0, 1])
    for name in ["i64", "i8", "bool", "f8"] {
      guard case .unsupported? = formatError({ _ = try file.tensor(name) }) else {
        Issue.record("\(name) became a tensor")
        continue
      }
    }
    guard case .wrongType? = formatError({ _ = try file.tensor("f32", shape: [3, 2]) }) else {
      Issue.record("a wrong shape was accepted")
      return
    }
  }

  @Test func ggufOfTheReferenceLibraryIsRead() throws {
    let file = try GGUFFile(folder.appending(path: "reference.gguf"))
    let metadata = file.metadata
    #expect(try metadata.int("u8") == 200)
    #expect(try metadata.int("i8") == -100)
    #expect(try metadata.int("u16") == 60_000)
    #expect(try metadata.int("i16") == -30_000)
    #expect(try metadata.int("u32") == 4_294_967_295)
    #expect(try metadata.int("i32") == -2_147_483_648)
    #expect(try metadata.int("u64") == 1 << 62)
    #expect(try metadata.int("i64") == .min)
    #expect(try metadata.double("f32") == 1.5)
    #expect(try metadata.double("f64") == 0.1)
    #expect(try metadata.bool("yes"))
    #expect(try metadata.string("text") == "é😀")
    #expect(try Array(metadata.strings("words")) == ["a", "b c", "é😀"])
    #expect(try metadata.ints("ints") == [1, -2, 3])
    #expect(try metadata.floats("floats") == [0.5, -2])
    #expect(try metadata.bools("flags") == [true, false])
    #expect(try file.tensor("w", shape: [2, 3]).scalars() == [0, 1, 2, 3, 4, 5] as [Float])
    #expect(try file.tensor("h").floats == [0, 1, 2, 3, 4])
    #expect(try file.tensor("d").scalars() == [0, 1, 2] as [Double])
    #expect(try file.tensor("d").shape == [1, 3, 1])
    #expect(try file.tensor("i").scalars() == [1, -1] as [Int32])
  }

  @Test func everyUsableQuantisedTypeHasTheReferenceSize() throws {
    let file = try GGUFFile(folder.appending(path: "quantised.gguf"))
    #expect(Set(file.names) == Set(QuantizationFormat.allCases.map { $0.rawValue.uppercased() }))
    #expect(file.names.count == 14)
    for name in file.names {
      let tensor = try file.entry(name)
      #expect(tensor.type.name == name)
      #expect(tensor.shape == [4, 512])
      #expect(try file.bytes(of: name).count == 2048 / tensor.type.blockSize * tensor.type.bytesPerBlock)
      #expect(throws: FormatError.self) { try file.tensor(name) }
    }
  }

  @Test func everyUsableQuantisedTypeHasTheReferenceNumbers() throws {
    let file = try GGUFFile(folder.appending(path: "quantised.gguf"))
    let expected = try SafetensorsFile(folder.appending(path: "dequantised.safetensors"))
    for format in QuantizationFormat.allCases {
      let bytes = try file.bytes(of: format.rawValue.uppercased()).withUnsafeBytes { Array($0) }
      let matrix = QuantizedMatrix(format: format, rows: 4, columns: 512, bytes: bytes)
      let numbers = try expected.tensor(format.rawValue.uppercased(), shape: [4, 512]).floats
      // A code of mxfp4's largest exponent overflows to infinity, as in the reference.
      #expect(matrix.dequantized().floats == numbers, "\(format)")
    }
  }

  // MARK: Tensors over files

  @Test func aTensorOutlivesItsFile() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "x.safetensors")
    let values: [Float] = (0..<1000).map { Float($0) }
    try SafetensorsWriter.write(
      [
        SafetensorsSource(name: "a", type: .float32, shape: [10, 100]) { writer in
          try values.withUnsafeBytes { try writer.write($0) }
        }
      ], to: url)
    let tensor = try SafetensorsFile(url).tensor("a")
    try FileManager.default.removeItem(at: url)
    #expect(tensor.scalars() == values)
    #expect(tensor.shape == [10, 100])
  }

  @Test func writtenTensorsReadBackBitForBit() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "x.safetensors")
    let matrix = Tensor((0..<6).map { Float($0) - 0.1 }, shape: [2, 3])
    let written: [(String, Tensor)] = [
      ("matrix", matrix), ("transposed", matrix.transposed()), ("empty", Tensor([Double](), shape: [0, 5])),
      ("scalar", Tensor(-0.0)), ("ids", Tensor([Int32.min, 7])), ("nan", Tensor([Float.nan, .infinity])),
    ]
    try SafetensorsWriter.write(written.map { SafetensorsSource(name: $0, tensor: $1) }, to: url)
    let file = try SafetensorsFile(url)
    for (name, tensor) in written {
      #expect(try file.tensor(name).shape == tensor.shape && file.tensor(name).dtype == tensor.dtype)
    }
    #expect(try file.tensor("matrix").floats == matrix.floats)
    #expect(try file.tensor("transposed").floats == [-0.1, 2.9, 0.9, 3.9, 1.9, 4.9])
    #expect(try file.tensor("scalar").floats[0].sign == .minus)
    #expect(try file.tensor("ids").scalars() == [Int32.min, 7])
    #expect(try file.tensor("nan").floats.map(\.bitPattern) == [Float.nan, .infinity].map(\.bitPattern))
  }

  @Test func unalignedTensorsAreCopied() throws {
    // The header's length is odd, so all data lie at odd addresses.
    let header =
      #"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"b":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}}"#
    let text = Array(header.utf8) + [UInt8](repeating: 0x20, count: 1 - header.utf8.count % 2)
    let data = [1.5, -0.1].flatMap { GGUFWriter.encode($0.bitPattern) } + GGUFWriter.encode(Int64(-5))
    let image = try MappedFile(
      copying: GGUFWriter.encode(UInt64(text.count)) + text + data, name: "odd.safetensors")
    let file = try SafetensorsFile(image)
    #expect(try file.entry("a").range.lowerBound % 2 == 1)
    #expect(try file.tensor("a").scalars() == [1.5, -0.1])
    #expect(try file.tensor("b").scalars() == [Int32(-5)])
  }

  @Test(arguments: [
    [1, 1, 1, 1, 1, 1, 1, 1], [2_147_483_648, 0], [0, 2_147_483_647, 2_147_483_647], [0, 4, 65_536, 65_536],
  ])
  func shapesThatTensorsCannotHaveAreRefused(shape: [Int]) throws {
    let elements = shape.reduce(1) { $0 * $1 }
    let header =
      "{\"a\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[0,\(elements * 4)]}}"
    let image = try MappedFile(
      copying: GGUFWriter.encode(UInt64(header.utf8.count)) + Array(header.utf8)
        + [UInt8](repeating: 0, count: elements * 4), name: "x.safetensors")
    let file = try SafetensorsFile(image)
    guard case .unsupported? = formatError({ _ = try file.tensor("a") }) else {
      Issue.record("accepted \(shape)")
      return
    }
  }
}
