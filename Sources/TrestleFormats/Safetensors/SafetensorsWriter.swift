import Foundation

/// One tensor to be written: its description, and a closure that hands over the bytes when their turn comes.
///
/// The bytes are streamed, so a file of any size is written without a second copy of its contents in memory.
public struct SafetensorsSource {
  /// The tensor's name.
  public let name: String
  /// The element type.
  public let type: SafetensorsType
  /// The dimensions, outermost first.
  public let shape: [Int]
  let body: (FileWriter) throws -> Void

  /// Describes a tensor whose bytes (little endian, row by row) `body` writes, in as many pieces as it likes.
  public init(
    name: String, type: SafetensorsType, shape: [Int], body: @escaping (FileWriter) throws -> Void
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.body = body
  }

  /// Describes a tensor whose bytes are at hand.
  public init(name: String, type: SafetensorsType, shape: [Int], bytes: [UInt8]) {
    self.init(name: name, type: type, shape: shape) { writer in try writer.write(bytes) }
  }
}

/// Writes safetensors files through ``AtomicFile``.
public enum SafetensorsWriter {
  /// Writes `tensors` as the file at `url`, replacing it in one step.
  ///
  /// The data starts at a multiple of 64 bytes. Tensors are ordered by element size, the largest first, and then by
  /// name: so every tensor is aligned to its elements, and the same tensors always make the same file.
  ///
  /// - Throws: ``FormatError/duplicate(_:)`` for a name that occurs twice, ``FormatError/malformed(_:)`` for a shape
  ///   that overflows or a source that writes another number of bytes than its shape needs,
  ///   ``FormatError/unsupported(_:)`` for the reserved name `__metadata__`, ``FormatError/limitExceeded(_:)`` for a
  ///   name longer than ``SafetensorsFile/maximumNameSize``, ``FormatError/cannotWrite(_:)``, and
  ///   whatever a source throws. The old file is intact then.
  public static func write(
    _ tensors: [SafetensorsSource], metadata: [String: String] = [:], to url: URL
  ) throws {
    let ordered = tensors.sorted {
      $0.type.byteCount == $1.type.byteCount
        ? $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) : $0.type.byteCount > $1.type.byteCount
    }
    let (header, sizes) = try makeHeader(ordered, metadata, url)
    try AtomicFile.write(to: url) { writer in
      try writer.write((0..<8).map { UInt8(truncatingIfNeeded: UInt64(header.count) >> (8 * UInt64($0))) })
      try writer.write(header)
      for (tensor, size) in zip(ordered, sizes) {
        let start = writer.count
        try tensor.body(writer)
        guard writer.count - start == size else {
          throw malformed(url, tensor, expected: "\(size) bytes", found: "\(writer.count - start) written")
        }
      }
    }
  }

  private static func makeHeader(
    _ tensors: [SafetensorsSource], _ metadata: [String: String], _ url: URL
  ) throws(FormatError) -> (header: [UInt8], sizes: [Int]) {
    var members: [(key: String, value: JSONLiteral)] = []
    if !metadata.isEmpty {
      let sorted = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      members.append(("__metadata__", .object(sorted.map { ($0.key, .string($0.value)) })))
    }
    var names: Set<ByteKey> = []
    var sizes: [Int] = []
    var offset = 0
    for tensor in tensors {
      guard tensor.name != "__metadata__" else {
        throw .unsupported(
          .init(url.path, expected: "tensor names other than __metadata__", found: "a tensor of that name"))
      }
      guard tensor.name.utf8.count <= SafetensorsFile.maximumNameSize else {
        throw .limitExceeded(
          .init(
            url.path, expected: "tensor names of at most \(SafetensorsFile.maximumNameSize) bytes",
            found: "one of \(tensor.name.utf8.count)"))
      }
      guard names.insert(ByteKey(tensor.name)).inserted else {
        throw .duplicate(.init(url.path, expected: "each name once", found: "\"\(tensor.name)\" twice"))
      }
      let size = checkedElementCount(tensor.shape)?.multipliedReportingOverflow(by: tensor.type.byteCount)
      guard let size, !size.overflow, offset <= Int.max - size.partialValue else {
        throw malformed(url, tensor, expected: "a size that fits 64 bits", found: "the shape \(tensor.shape)")
      }
      let end = offset + size.partialValue
      members.append(
        (
          tensor.name,
          [
            "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map(JSONLiteral.int)),
            "data_offsets": [.int(offset), .int(end)],
          ]
        ))
      sizes.append(size.partialValue)
      offset = end
    }
    var header = try JSONLiteral.object(members).serialized()
    header.append(contentsOf: repeatElement(0x20, count: (64 - (8 + header.count) % 64) % 64))
    guard header.count <= SafetensorsFile.maximumHeaderSize else {
      throw .limitExceeded(
        .init(
          url.path, at: "the header", expected: "at most \(SafetensorsFile.maximumHeaderSize) bytes",
          found: "\(header.count)"))
    }
    return (header, sizes)
  }

  private static func malformed(
    _ url: URL, _ tensor: SafetensorsSource, expected: String, found: String
  ) -> FormatError {
    .malformed(.init(url.path, at: "tensor \"\(tensor.name)\"", expected: expected, found: found))
  }
}
