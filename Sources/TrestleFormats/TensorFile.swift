import TrestleTensor

extension MappedBytes {
  /// The bytes as a tensor: a view over the mapping where they are aligned to the element, else a copy.
  ///
  /// - Precondition: the number of bytes is that of the shape.
  package func tensor(shape: [Int], dtype: DType) -> Tensor {
    let shape = Shape(shape)
    precondition(
      count == shape.elementCount * dtype.byteCount,
      "MappedBytes.tensor: \(count) bytes for \(dtype) \(shape)")
    if let base = buffer.baseAddress, Int(bitPattern: base) % dtype.byteCount == 0 {
      return Tensor(
        storage: Storage(borrowing: base, byteCount: count, owner: file), shape: shape, dtype: dtype)
    }
    let result = Tensor(uninitialized: shape, dtype: dtype)
    withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { result.data.copyMemory(from: base, byteCount: bytes.count) }
    }
    return result
  }
}

extension SafetensorsFile {
  /// The tensor called `name`: a view over the mapped file, copied only if it is not aligned.
  ///
  /// - Throws: ``FormatError/missing(_:)`` if there is none, ``FormatError/unsupported(_:)`` if its type has no tensors
  ///   here, or if it has more than seven dimensions.
  public func tensor(_ name: String) throws(FormatError) -> Tensor {
    let entry = try entry(name)
    guard let dtype = entry.type.dtype, entry.shape.count <= Shape.maximumRank,
      entry.shape.allSatisfy({ $0 <= Int(Int32.max) })
    else {
      throw .unsupported(
        .init(
          file.path, at: "tensor '\(name)'",
          expected:
            "a type of \(DType.allCases.map { "\($0)" }.joined(separator: ", ")) and at most 7 dimensions",
          found: "\(entry.type.rawValue) \(entry.shape)"))
    }
    return try bytes(of: name).tensor(shape: entry.shape, dtype: dtype)
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
