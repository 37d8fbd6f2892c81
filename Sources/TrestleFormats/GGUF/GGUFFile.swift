import Foundation

/// Where one tensor of a GGUF file lies.
public struct GGUFTensor: Sendable, Equatable {
  /// The tensor's name, shorter than 64 bytes.
  public let name: String
  /// How the elements are stored.
  public let type: GGUFTensorType
  /// The dimensions, outermost first (the reverse of the file's order); rows are the last dimension.
  public let shape: [Int]
  /// The bytes' range within the file.
  public let range: Range<Int>

  /// The number of elements.
  public var elementCount: Int { shape.reduce(1, *) }
}

/// A GGUF file (version 2 or 3, little endian), mapped and checked in full before anything is used.
///
/// The format, all numbers little endian:
/// 1. the bytes `GGUF`, the version (4 bytes), the number of tensors and of metadata keys (8 bytes each);
/// 2. for each key: its name (8 bytes of length, then the characters), the value's type (4 bytes), the value;
/// 3. for each tensor: its name, the number of dimensions (4 bytes), the dimensions (8 bytes each, innermost first),
///    the type (4 bytes), the offset from the start of the data (8 bytes);
/// 4. the tensors' bytes; the data and every tensor start at a multiple of the alignment (`general.alignment`, 32).
///
/// Declared numbers are believed only as far as the file's size allows, all sums and products are checked, keys and
/// names must be unique, and each tensor must start exactly where the one before ends, rounded up.
public final class GGUFFile: Sendable {
  /// The mapped file.
  public let file: MappedFile
  /// Where the file is.
  public var path: String { file.path }
  /// The format's version, 2 or 3.
  public let version: Int
  /// The alignment of the data and of every tensor.
  public let alignment: Int
  /// The metadata.
  public let metadata: GGUFMetadata
  /// The tensors' names in the order of the file.
  public let names: [String]
  /// The tensors by name.
  public let tensors: [ByteKey: GGUFTensor]

  /// Opens and checks the file at `url`.
  ///
  /// - Parameters:
  ///   - url: The file.
  ///   - access: Whether it is mapped, or copied because others may shorten it meanwhile.
  /// - Throws: ``FormatError``, naming the place and the rule that is broken.
  public convenience init(_ url: URL, access: MappedFile.Access = .mapped) throws(FormatError) {
    try self.init(MappedFile(url, access: access))
  }

  /// Checks a mapped file.
  ///
  /// - Throws: ``FormatError``, naming the place and the rule that is broken.
  public init(_ file: MappedFile) throws(FormatError) {
    var parser = GGUFParser(file)
    try parser.parse()
    self.file = file
    version = parser.version
    alignment = parser.alignment
    metadata = parser.metadata
    names = parser.tensors.map(\.name)
    tensors = parser.tensorsByName
  }

  /// The tensor's type, shape and range.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func entry(_ name: String) throws(FormatError) -> GGUFTensor {
    guard let tensor = tensors[name] else {
      throw .missing(.init(file.path, expected: "a tensor \"\(name)\"", found: "none of that name"))
    }
    return tensor
  }

  /// The tensor's bytes: a view over the mapping that keeps it alive, aligned to ``alignment``.
  ///
  /// - Throws: ``FormatError/missing(_:)``; ``FormatError/unsupported(_:)`` for a type that this package cannot use.
  public func bytes(of name: String) throws(FormatError) -> MappedBytes {
    let tensor = try entry(name)
    guard tensor.type.isSupported else {
      let supported = GGUFTensorType.allCases.filter(\.isSupported).map(\.name).joined(separator: ", ")
      throw .unsupported(
        .init(file.path, at: "tensor \"\(name)\"", expected: "one of \(supported)", found: tensor.type.name))
    }
    return MappedBytes(file: file, range: tensor.range)
  }
}
