import Foundation

/// Where one tensor of a safetensors file lies.
public struct SafetensorsEntry: Sendable, Equatable {
  /// The element type.
  public let type: SafetensorsType
  /// The dimensions, outermost first; empty for a scalar.
  public let shape: [Int]
  /// The bytes' range within the file.
  public let range: Range<Int>
}

/// A safetensors file, mapped and checked in full before anything is used.
///
/// The format: eight bytes with the header's length (little endian), a JSON header
/// `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {…}}`, then the tensors'
/// bytes. The rules checked: the header is at most 100 MB and starts with `{`; no name occurs twice; every shape's
/// size agrees with its range, in checked arithmetic; the ranges begin at 0, follow each other without gap or overlap
/// and cover the file to its last byte; metadata maps strings to strings.
public final class SafetensorsFile: Sendable {
  /// The longest header, as in the reference implementation.
  public static let maximumHeaderSize = 100_000_000
  /// The longest name of a tensor in bytes; no model has names a quarter as long.
  public static let maximumNameSize = 512

  /// The mapped file.
  public let file: MappedFile
  /// Where the file is.
  public var path: String { file.path }
  /// The tensors' names in the order of their bytes.
  public let names: [String]
  /// The tensors by name.
  public let entries: [ByteKey: SafetensorsEntry]
  /// The header's `__metadata__`, empty if absent.
  public let metadata: [String: String]

  /// Opens and checks the file at `url`.
  ///
  /// - Parameters:
  ///   - url: The file.
  ///   - access: Whether it is mapped, or copied because others may shorten it meanwhile.
  /// - Throws: ``FormatError``, naming the tensor and the rule that is broken.
  public convenience init(_ url: URL, access: MappedFile.Access = .mapped) throws(FormatError) {
    try self.init(MappedFile(url, access: access))
  }

  /// Checks a mapped file.
  ///
  /// - Throws: ``FormatError``, naming the tensor and the rule that is broken.
  public init(_ file: MappedFile) throws(FormatError) {
    self.file = file
    var reader = ByteReader(file.bytes, path: file.path)
    let declared = try reader.read(UInt64.self, "the header's length")
    guard declared <= UInt64(Self.maximumHeaderSize) else {
      throw .limitExceeded(
        .init(
          file.path, at: "byte 0, the header's length", expected: "at most \(Self.maximumHeaderSize) bytes",
          found: "\(declared)"))
    }
    let headerRange = try reader.skip(declared, "the header")
    let headerBytes = UnsafeRawBufferPointer(rebasing: file.bytes[headerRange])
    guard headerBytes.first == UInt8(ascii: "{") else {
      throw reader.malformed(
        "the header's first byte", expected: "'{'", found: headerBytes.first.map { "byte \($0)" } ?? "nothing"
      )
    }
    let header = try JSONValue(
      parsing: headerBytes, source: file.path,
      limits: JSONLimits(depth: 4, byteCount: Self.maximumHeaderSize, nodeCount: 4_000_000))
    var parsed = SafetensorsHeader(path: file.path, start: headerRange.upperBound, end: file.count)
    try parsed.read(header)
    names = parsed.names
    entries = parsed.entries
    metadata = parsed.metadata
    // The ranges lie inside the mapping, which stays as long as this object.
    withExtendedLifetime(file) {}
  }

  /// The tensor's type, shape and range.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func entry(_ name: String) throws(FormatError) -> SafetensorsEntry {
    guard let entry = entries[name] else {
      throw .missing(.init(file.path, expected: "a tensor \"\(name)\"", found: "none of that name"))
    }
    return entry
  }

  /// The tensor's bytes: a view over the mapping that keeps it alive. They may be unaligned for their type.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func bytes(of name: String) throws(FormatError) -> MappedBytes {
    let entry = try entry(name)
    return MappedBytes(file: file, range: entry.range)
  }
}

/// The header's tensors and metadata, while they are checked.
private struct SafetensorsHeader {
  let path: String
  let start: Int
  let end: Int
  var names: [String] = []
  var entries: [ByteKey: SafetensorsEntry] = [:]
  var metadata: [String: String] = [:]

  init(path: String, start: Int, end: Int) {
    self.path = path
    self.start = start
    self.end = end
  }

  mutating func read(_ header: JSONValue) throws(FormatError) {
    var ordered: [(name: String, entry: SafetensorsEntry)] = []
    var looks = Set<String>()
    for (name, value) in try header.object() {
      guard name.utf8.count <= SafetensorsFile.maximumNameSize else {
        throw .limitExceeded(
          .init(
            path, at: "the header", expected: "names of at most \(SafetensorsFile.maximumNameSize) bytes",
            found: "one of \(name.utf8.count)"))
      }
      if name == "__metadata__" {
        try readMetadata(value)
        continue
      }
      let entry = try entry(name, value)
      // Names that look the same are the same, whatever their bytes.
      guard looks.insert(name).inserted, entries.updateValue(entry, forKey: ByteKey(name)) == nil else {
        throw duplicate(name)
      }
      ordered.append((name, entry))
    }
    ordered.sort {
      ($0.entry.range.lowerBound, $0.entry.range.upperBound)
        < ($1.entry.range.lowerBound, $1.entry.range.upperBound)
    }
    var next = start
    for (name, entry) in ordered {
      guard entry.range.lowerBound == next else {
        throw malformed(
          name, expected: "data_offsets that start where the tensor before ends, at \(next - start)",
          found: "\(entry.range.lowerBound - start)")
      }
      next = entry.range.upperBound
    }
    guard next == end else {
      throw .malformed(
        .init(
          path, at: "the end of the tensors", expected: "tensors that cover all \(end - start) bytes of data",
          found: "\(next - start) covered"))
    }
    names = ordered.map(\.name)
  }

  private mutating func readMetadata(_ value: JSONValue) throws(FormatError) {
    for (key, text) in try value.object() {
      guard metadata.updateValue(try text.string(), forKey: key) == nil else { throw duplicate(key) }
    }
  }

  private func entry(_ name: String, _ value: JSONValue) throws(FormatError) -> SafetensorsEntry {
    guard try value.object().count == 3 else {
      throw value.wrongType("an object with dtype, shape and data_offsets alone")
    }
    let typeName = try value.member("dtype").string()
    guard let type = SafetensorsType(rawValue: typeName) else {
      throw .unsupported(
        .init(
          path, at: "tensor \"\(name)\"",
          expected: "one of \(SafetensorsType.allCases.map(\.rawValue).joined(separator: ", "))",
          found: "the dtype \"\(typeName.prefix(40))\""))
    }
    var shape: [Int] = []
    for dimension in try value.member("shape").array() { shape.append(try dimension.int(in: 0...Int.max)) }
    let offsets = try value.member("data_offsets").array()
    guard offsets.count == 2 else { throw try value.member("data_offsets").wrongType("two offsets") }
    let size = end - start
    let (lower, upper) = (try offsets[0].int(in: 0...Int.max), try offsets[1].int(in: 0...Int.max))
    guard lower <= upper, upper <= size else {
      throw malformed(
        name, expected: "data_offsets inside the \(size) bytes of data", found: "[\(lower), \(upper)]")
    }
    guard let elements = checkedElementCount(shape) else {
      throw malformed(name, expected: "a shape whose size fits 64 bits", found: describe(shape))
    }
    let (bytes, overflow) = elements.multipliedReportingOverflow(by: type.byteCount)
    guard !overflow, bytes == upper - lower else {
      throw malformed(
        name,
        expected:
          "\(overflow ? "a representable number of" : "\(bytes)") bytes for \(describe(shape)) \(typeName)",
        found: "data_offsets of \(upper - lower) bytes")
    }
    return SafetensorsEntry(type: type, shape: shape, range: (start + lower)..<(start + upper))
  }

  private func describe(_ shape: [Int]) -> String {
    "[\(shape.prefix(8).map(String.init).joined(separator: ", "))\(shape.count > 8 ? ", …" : "")]"
  }

  private func malformed(_ name: String, expected: String, found: String) -> FormatError {
    .malformed(.init(path, at: "tensor \"\(name.prefix(80))\"", expected: expected, found: found))
  }

  private func duplicate(_ name: String) -> FormatError {
    .duplicate(
      .init(path, at: "the header", expected: "each name once", found: "\"\(name.prefix(80))\" twice"))
  }
}
