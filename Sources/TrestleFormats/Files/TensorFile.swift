import TrestleTensor

/// A file, or several, from which tensors are read by name.
public protocol TensorFile: Sendable {
  /// Where the file is, or the folder of the files.
  var path: String { get }
  /// The tensors' names.
  var names: [String] { get }

  /// The tensor of that name.
  ///
  /// Tensors are views over the mapped file, which they keep alive: nothing is read before it is used. Only tensors
  /// that the file holds at an address unfit for their element type are copied.
  ///
  /// - Throws: ``FormatError/missing(_:)``; ``FormatError/unsupported(_:)`` for an element type or a shape that
  ///   `Tensor` does not have.
  func tensor(_ name: String) throws(FormatError) -> Tensor
}

extension TensorFile {
  /// The tensor of that name, which must have this shape.
  ///
  /// - Throws: What ``tensor(_:)`` throws; ``FormatError/wrongType(_:)`` if the shape is another.
  public func tensor(_ name: String, shape: Shape) throws(FormatError) -> Tensor {
    let tensor = try self.tensor(name)
    guard tensor.shape == shape else {
      throw .wrongType(
        .init(
          path, at: "tensor \"\(name)\"", expected: "the shape \(shape)", found: "\(tensor.shape)"))
    }
    return tensor
  }
}

extension SafetensorsFile: TensorFile {
  /// The tensor of that name, as ``TensorFile/tensor(_:)`` says.
  ///
  /// Tensors of 64-bit integers are copied to `int32`, if all values fit.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/unsupported(_:)``.
  public func tensor(_ name: String) throws(FormatError) -> Tensor {
    let entry = try entry(name)
    let bytes = MappedBytes(file: file, range: entry.range)
    if let dtype = entry.type.dtype { return try bytes.tensor(entry.shape, dtype, name) }
    let shape = try bytes.checkedShape(entry.shape, name)
    guard entry.type == .int64, let values = bytes.narrowedIntegers() else {
      throw .unsupported(
        .init(
          file.path, at: "tensor \"\(name)\"", expected: "F32, F64, F16, BF16, I32, U8 or small I64",
          found: entry.type.rawValue))
    }
    return Tensor(values, shape: shape)
  }
}

extension ShardedSafetensors: TensorFile {
  /// The tensor of that name, as ``SafetensorsFile/tensor(_:)`` says.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/unsupported(_:)``.
  public func tensor(_ name: String) throws(FormatError) -> Tensor {
    try file(of: name).tensor(name)
  }
}

extension GGUFFile: TensorFile {
  /// The tensor of that name, as ``TensorFile/tensor(_:)`` says; its type must not be quantised.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/unsupported(_:)``.
  public func tensor(_ name: String) throws(FormatError) -> Tensor {
    let record = try entry(name)
    guard let dtype = record.type.dtype else {
      throw .unsupported(
        .init(
          file.path, at: "tensor \"\(name)\"", expected: "F32, F64, F16, BF16 or I32", found: record.type.name
        ))
    }
    return try MappedBytes(file: file, range: record.range).tensor(record.shape, dtype, name)
  }
}

extension MappedBytes {
  /// A view over the bytes, or a copy if they are unaligned. The caller has checked that their number is right.
  fileprivate func tensor(_ shape: [Int], _ dtype: DType, _ name: String) throws(FormatError) -> Tensor {
    let shape = try checkedShape(shape, name)
    let source = buffer
    guard let base = source.baseAddress, !source.isEmpty else {
      return Tensor(uninitialized: shape, dtype: dtype)
    }
    if UInt(bitPattern: base) % UInt(dtype.byteCount) == 0 {
      let storage = Storage(borrowing: base, byteCount: source.count, owner: file)
      return Tensor(storage: storage, shape: shape, dtype: dtype)
    }
    let copy = Tensor(uninitialized: shape, dtype: dtype)
    withUnsafeBytes { copy.data.copyMemory(from: $0.baseAddress ?? base, byteCount: $0.count) }
    return copy
  }

  /// `dimensions` as a ``Shape``, within its limits: few dimensions, and strides of 32 bits.
  fileprivate func checkedShape(_ dimensions: [Int], _ name: String) throws(FormatError) -> Shape {
    var stride = 1
    var fits = dimensions.count <= Shape.maximumRank
    for dimension in dimensions.reversed() where fits {
      fits = dimension <= Int(Int32.max) && stride <= Int(Int32.max)
      // Both factors are below 2^31 if it fits.
      stride = fits ? stride * max(dimension, 1) : stride
    }
    guard fits else {
      throw .unsupported(
        .init(
          file.path, at: "tensor \"\(name)\"",
          expected: "at most \(Shape.maximumRank) dimensions with strides below 2^31", found: "\(dimensions)")
      )
    }
    return Shape(dimensions)
  }

  /// The bytes as 64-bit integers, narrowed; `nil` if one does not fit 32 bits.
  fileprivate func narrowedIntegers() -> [Int32]? {
    withUnsafeBytes { bytes -> [Int32]? in
      var values: [Int32] = []
      values.reserveCapacity(bytes.count / 8)
      for offset in stride(from: 0, to: bytes.count, by: 8) {
        let value = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self))
        guard let value = Int32(exactly: value) else { return nil }
        values.append(value)
      }
      return values
    }
  }
}

extension SafetensorsSource {
  /// Describes a tensor to be written.
  public init(name: String, tensor: Tensor) {
    let dense = tensor.detached.dense()
    self.init(name: name, type: SafetensorsType(dense.dtype), shape: Array(dense.shape)) { writer in
      try withExtendedLifetime(dense.storage) {
        try writer.write(
          UnsafeRawBufferPointer(start: dense.data, count: dense.elementCount * dense.dtype.byteCount))
      }
    }
  }
}
