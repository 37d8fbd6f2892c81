extension Tensor {
  /// start, start + step, … up to but without `end`.
  ///
  /// - Parameters:
  ///   - start: the first number.
  ///   - end: what is not reached any more.
  ///   - step: the distance, not 0; negative to count down.
  ///   - dtype: `float32`, `float64` or a type of whole numbers.
  public static func range(
    from start: Double = 0, to end: Double, by step: Double = 1, dtype: DType = .float32
  ) -> Tensor {
    precondition(step != 0, "range(from:to:by:): a step of 0")
    let count = Swift.max(0, Int(((end - start) / step).rounded(.up)))
    return Tensor((0..<count).map { start + Double($0) * step }).converted(to: dtype)
  }

  /// `count` numbers from `start` to `end`, both of them included, at equal distances.
  public static func linearlySpaced(from start: Double, to end: Double, count: Int, dtype: DType = .float32)
    -> Tensor
  {
    precondition(count >= 1, "linearlySpaced: \(count) numbers, expected at least 1")
    let step = count == 1 ? 0 : (end - start) / Double(count - 1)
    return Tensor((0..<count).map { $0 == count - 1 && count > 1 ? end : start + Double($0) * step })
      .converted(to: dtype)
  }

  /// The identity matrix, or a part of it: ones where column − row = `diagonal`, zeros elsewhere.
  ///
  /// - Parameters:
  ///   - rows: the number of rows.
  ///   - columns: the number of columns; as many as rows by default.
  ///   - diagonal: which diagonal; above the main one if positive.
  ///   - dtype: the element type.
  public static func identity(_ rows: Int, columns: Int? = nil, diagonal: Int = 0, dtype: DType = .float32)
    -> Tensor
  {
    mask(rows, columns ?? rows) { $1 - $0 == diagonal }.converted(to: dtype)
  }

  /// Truth values that are `true` on and below a diagonal: column − row ≤ `diagonal`. What a causal mask consists of.
  public static func lowerTriangle(_ rows: Int, columns: Int? = nil, diagonal: Int = 0) -> Tensor {
    mask(rows, columns ?? rows) { $1 - $0 <= diagonal }
  }

  /// Truth values that are `true` on and above a diagonal: column − row ≥ `diagonal`.
  public static func upperTriangle(_ rows: Int, columns: Int? = nil, diagonal: Int = 0) -> Tensor {
    mask(rows, columns ?? rows) { $1 - $0 >= diagonal }
  }

  private static func mask(_ rows: Int, _ columns: Int, _ isSet: (Int, Int) -> Bool) -> Tensor {
    precondition(rows >= 0 && columns >= 0, "a matrix of \(rows) rows and \(columns) columns")
    var values: [Bool] = []
    values.reserveCapacity(rows * columns)
    for row in 0..<rows { for column in 0..<columns { values.append(isSet(row, column)) } }
    return Tensor(values, shape: [rows, columns])
  }

  /// A row for each index with 1 at the index and 0 elsewhere.
  ///
  /// - Parameters:
  ///   - indices: `int32`, of any shape, each in `0..<count`.
  ///   - count: the number of classes.
  ///   - dtype: the element type.
  /// - Returns: `[indices..., count]`.
  public static func oneHot(_ indices: Tensor, count: Int, dtype: DType = .float32) -> Tensor {
    precondition(indices.dtype == .int32, "oneHot: indices \(indices.dtype), expected int32")
    let names = indices.detached.dense()
    names.checkIndices(below: count, "oneHot")
    var values = [UInt8](repeating: 0, count: names.elementCount * count)
    for (row, index) in names.scalars(as: Int32.self).enumerated() { values[row * count + Int(index)] = 1 }
    return Tensor(values, shape: Shape(Array(indices.shape) + [count])).converted(to: dtype)
  }

  /// Ones of this tensor's shape and type.
  public var onesLike: Tensor { .ones(shape, dtype: dtype) }
  /// Zeros of this tensor's shape and type.
  public var zerosLike: Tensor { .zeros(shape, dtype: dtype) }
}
