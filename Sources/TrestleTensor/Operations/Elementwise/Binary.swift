internal import CTrestleKernels

/// The functions of two variables, with broadcasting: those of the list in `TrestleFunctions.h`.
enum BinaryFunction {
  case add, subtract, multiply, divide, maximum, minimum, power, remainder

  /// The code of the function's kernels, and its name in messages.
  var entry: (code: trestle_binary, name: StaticString) {
    switch self {
    case .add: (TRESTLE_ADD, "add")
    case .subtract: (TRESTLE_SUBTRACT, "subtract")
    case .multiply: (TRESTLE_MULTIPLY, "multiply")
    case .divide: (TRESTLE_DIVIDE, "divide")
    case .maximum: (TRESTLE_MAXIMUM, "maximum")
    case .minimum: (TRESTLE_MINIMUM, "minimum")
    case .power: (TRESTLE_POWER, "power")
    case .remainder: (TRESTLE_REMAINDER, "remainder")
    }
  }

  var name: StaticString { entry.name }

  var isCommutative: Bool {
    switch self {
    case .add, .multiply, .maximum, .minimum: true
    case .subtract, .divide, .power, .remainder: false
    }
  }
}

extension Kernels {
  typealias Binary =
    @convention(c) (UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias BinaryScalar = @convention(c) (UnsafeRawPointer?, Double, UnsafeMutableRawPointer?, Int64) -> Void
  typealias ScalarBinary = @convention(c) (Double, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias BinaryRows =
    @convention(c) (UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64, Int64) -> Void

  private enum Offsets {
    static let binary = tableOffset(\.binary)
    static let binaryScalar = tableOffset(\.binary_scalar)
    static let scalarBinary = tableOffset(\.scalar_binary)
    static let binaryRow = tableOffset(\.binary_row)
    static let binaryColumn = tableOffset(\.binary_column)
    static let compare = tableOffset(\.compare)
  }

  @inline(__always)
  private static func entry<Function>(
    _ dtype: DType, _ name: StaticString, _ start: Int, _ index: Int, as type: Function.Type
  ) -> Function {
    (UnsafeRawPointer(table(dtype, name)) + start).assumingMemoryBound(to: type)[index]
  }

  static func binary(_ function: BinaryFunction, _ dtype: DType) -> Binary {
    entry(dtype, function.name, Offsets.binary, Int(function.entry.code.rawValue), as: Binary.self)
  }
  static func binaryScalar(_ function: BinaryFunction, _ dtype: DType) -> BinaryScalar {
    entry(
      dtype, function.name, Offsets.binaryScalar, Int(function.entry.code.rawValue), as: BinaryScalar.self)
  }
  static func scalarBinary(_ function: BinaryFunction, _ dtype: DType) -> ScalarBinary {
    entry(
      dtype, function.name, Offsets.scalarBinary, Int(function.entry.code.rawValue), as: ScalarBinary.self)
  }
  static func binaryRow(_ function: BinaryFunction, _ dtype: DType) -> BinaryRows {
    entry(dtype, function.name, Offsets.binaryRow, Int(function.entry.code.rawValue), as: BinaryRows.self)
  }
  static func binaryColumn(_ function: BinaryFunction, _ dtype: DType) -> BinaryRows {
    entry(dtype, function.name, Offsets.binaryColumn, Int(function.entry.code.rawValue), as: BinaryRows.self)
  }
  static func comparison(_ code: trestle_comparison, _ dtype: DType) -> Binary {
    entry(dtype, "compare", Offsets.compare, Int(code.rawValue), as: Binary.self)
  }
}

extension BinaryFunction {
  /// The result on untracked tensors, each broadcast to the common shape.
  func forward(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.dtype == b.dtype, "\(name): types \(a.dtype) and \(b.dtype) differ")
    if a.shape == b.shape { return same(a.dense(), b.dense()) }
    let shape = Tensor.broadcastShape(a.shape, b.shape, operation: name)
    if a.shape == shape { return expanding(a.dense(), b) }
    if b.shape == shape && isCommutative { return expanding(b.dense(), a) }
    return same(a.broadcast(to: shape).dense(), b.broadcast(to: shape).dense())
  }

  private func same(_ a: Tensor, _ b: Tensor) -> Tensor {
    let kernel = Kernels.binary(self, a.dtype)
    let result = Tensor(uninitialized: a.shape, dtype: a.dtype)
    let size = a.dtype.byteCount
    withExtendedLifetime((a.storage, b.storage)) {
      Kernels.parallel(a.elementCount) { start, count in
        let shift = start * size
        kernel(a.data + shift, b.data + shift, result.data + shift, Int64(count))
      }
    }
    return result
  }

  /// `a` has the common shape, `b` is smaller.
  private func expanding(_ a: Tensor, _ b: Tensor) -> Tensor {
    if b.elementCount == 1 { return forward(a, scalar: b.item) }
    let missingAxes = a.rank - b.rank
    // b's dimensions equal a's last ones: one row for all.
    var significant = b.rank
    while significant > 0 && b.shape[b.rank - significant] == 1 { significant -= 1 }
    let isRow = (0..<significant).allSatisfy { b.shape[b.rank - 1 - $0] == a.shape[a.rank - 1 - $0] }
    if isRow {
      return blocks(a, b.dense(), cols: b.elementCount, Kernels.binaryRow(self, a.dtype), sharesRow: true)
    }
    // b's dimensions equal a's first ones and are 1 from there on: one number for each row.
    var trailing = 0
    while trailing < b.rank && b.shape[b.rank - 1 - trailing] == 1 { trailing += 1 }
    if missingAxes == 0 && (0..<(b.rank - trailing)).allSatisfy({ b.shape[$0] == a.shape[$0] }) {
      let cols = a.shape.suffix(trailing).reduce(1, *)
      return blocks(a, b.dense(), cols: cols, Kernels.binaryColumn(self, a.dtype), sharesRow: false)
    }
    return same(a, b.broadcast(to: a.shape).dense())
  }

  private func blocks(_ a: Tensor, _ b: Tensor, cols: Int, _ kernel: Kernels.BinaryRows, sharesRow: Bool)
    -> Tensor
  {
    let result = Tensor(uninitialized: a.shape, dtype: a.dtype)
    guard a.elementCount > 0 else { return result }
    let size = a.dtype.byteCount
    withExtendedLifetime((a.storage, b.storage)) {
      Kernels.parallelRows(a.elementCount / cols, cols: cols) { row, count in
        let shift = row * cols * size
        let other = sharesRow ? b.data : b.data + row * size
        kernel(a.data + shift, other, result.data + shift, Int64(count), Int64(cols))
      }
    }
    return result
  }

  func forward(_ a: Tensor, scalar: Double) -> Tensor {
    let kernel = Kernels.binaryScalar(self, a.dtype)
    return a.mappingElements { x, y, count in kernel(x, scalar, y, count) }
  }

  func forward(scalar: Double, _ a: Tensor) -> Tensor {
    let kernel = Kernels.scalarBinary(self, a.dtype)
    return a.mappingElements { x, y, count in kernel(scalar, x, y, count) }
  }

  @inline(__always)
  func apply(_ a: Tensor, _ b: Tensor) -> Tensor {
    let result = forward(a.detached, b.detached)
    guard let tape = Tensor.tape(name, a, b) else { return result }
    return tape.record(name, result, backward(a, b))
  }

  /// The backward closure. It keeps an operand only if the gradient of one that is tracked needs it.
  private func backward(_ a: Tensor, _ b: Tensor) -> Tape.Backward {
    let (aNode, bNode) = (a.node, b.node)
    let (aShape, bShape) = (a.shape, b.shape)
    switch self {
    case .add:
      return { dy, pass in
        pass.add(dy.reduced(to: aShape), to: aNode)
        pass.add(dy.reduced(to: bShape), to: bNode)
      }
    case .subtract:
      return { dy, pass in
        pass.add(dy.reduced(to: aShape), to: aNode)
        pass.add(dy.reduced(to: bShape).negated(), to: bNode)
      }
    case .multiply:
      let x = bNode >= 0 ? a.detached : nil
      let y = aNode >= 0 ? b.detached : nil
      return { dy, pass in
        if let y { pass.add((dy * y).reduced(to: aShape), to: aNode) }
        if let x { pass.add((dy * x).reduced(to: bShape), to: bNode) }
      }
    case .divide:
      let x = bNode >= 0 ? a.detached : nil
      let y = b.detached
      return { dy, pass in
        pass.add((dy / y).reduced(to: aShape), to: aNode)
        // Not x / y²: the square may overflow or vanish where the quotient does not.
        if let x { pass.add((dy * ((x / y) / y)).negated().reduced(to: bShape), to: bNode) }
      }
    case .maximum, .minimum:
      // Where both are equal, each takes half, as in PyTorch.
      let (x, y) = (a.detached, b.detached)
      return { dy, pass in
        let wins = x.compared(with: y, using: self == .maximum ? .greater : .less)
        let share = wins + x.compared(with: y, using: .equal) * 0.5
        pass.add((dy * share).reduced(to: aShape), to: aNode)
        pass.add((dy * (1 - share)).reduced(to: bShape), to: bNode)
      }
    case .power:
      let (x, y) = (a.detached, b.detached)
      return { dy, pass in
        pass.add((dy * Self.powerSlope(x, y)).reduced(to: aShape), to: aNode)
        pass.add((dy * Self.exponentSlope(x, y)).reduced(to: bShape), to: bNode)
      }
    case .remainder:
      // a − ⌊a / b⌋ b
      let (x, y) = (a.detached, b.detached)
      return { dy, pass in
        pass.add(dy.reduced(to: aShape), to: aNode)
        pass.add((dy * (x / y).floor()).negated().reduced(to: bShape), to: bNode)
      }
    }
  }
}

extension Tensor {
  /// The shape that both operands broadcast to, by NumPy's rule.
  static func broadcastShape(_ a: Shape, _ b: Shape, operation: StaticString) -> Shape {
    var result = a.rank >= b.rank ? a : b
    for offset in 1...Swift.max(result.rank, 1) where offset <= result.rank {
      let left = offset <= a.rank ? a[a.rank - offset] : 1
      let right = offset <= b.rank ? b[b.rank - offset] : 1
      precondition(
        left == right || left == 1 || right == 1, "\(operation): shapes \(a) and \(b) do not broadcast")
      result[result.rank - offset] = left == 1 ? right : left
    }
    return result
  }

  /// The sum over the dimensions along which `shape` was broadcast to this tensor's shape.
  func reduced(to target: Shape) -> Tensor {
    if target == shape { return self }
    let missingAxes = rank - target.rank
    var axes = Array(0..<missingAxes)
    for index in 0..<target.rank where target[index] == 1 && shape[missingAxes + index] != 1 {
      axes.append(missingAxes + index)
    }
    return sum(along: axes).reshaped(to: target)
  }

  /// a + b, with broadcasting.
  public static func + (a: Tensor, b: Tensor) -> Tensor { BinaryFunction.add.apply(a, b) }
  /// a − b, with broadcasting.
  public static func - (a: Tensor, b: Tensor) -> Tensor { BinaryFunction.subtract.apply(a, b) }
  /// a · b element by element, with broadcasting.
  public static func * (a: Tensor, b: Tensor) -> Tensor { BinaryFunction.multiply.apply(a, b) }
  /// a / b element by element, with broadcasting.
  public static func / (a: Tensor, b: Tensor) -> Tensor { BinaryFunction.divide.apply(a, b) }
  /// The larger of both, element by element, with broadcasting.
  public static func maximum(_ a: Tensor, _ b: Tensor) -> Tensor { BinaryFunction.maximum.apply(a, b) }
  /// The smaller of both, element by element, with broadcasting.
  public static func minimum(_ a: Tensor, _ b: Tensor) -> Tensor { BinaryFunction.minimum.apply(a, b) }

  /// Adds a number to every element.
  public static func + (a: Tensor, s: Double) -> Tensor {
    let node = a.node
    return a.recording("add", BinaryFunction.add.forward(a.detached, scalar: s)) { dy, pass in
      pass.add(dy, to: node)
    }
  }
  /// Adds a number to every element.
  public static func + (s: Double, a: Tensor) -> Tensor { a + s }
  /// Subtracts a number from every element.
  public static func - (a: Tensor, s: Double) -> Tensor { a + (-s) }
  /// Subtracts every element from a number.
  public static func - (s: Double, a: Tensor) -> Tensor {
    let node = a.node
    return a.recording("subtract", BinaryFunction.subtract.forward(scalar: s, a.detached)) { dy, pass in
      pass.add(dy.negated(), to: node)
    }
  }
  /// Multiplies every element by a number.
  public static func * (a: Tensor, s: Double) -> Tensor {
    let node = a.node
    return a.recording("multiply", BinaryFunction.multiply.forward(a.detached, scalar: s)) { dy, pass in
      pass.add(dy * s, to: node)
    }
  }
  /// Multiplies every element by a number.
  public static func * (s: Double, a: Tensor) -> Tensor { a * s }
  /// Divides every element by a number.
  public static func / (a: Tensor, s: Double) -> Tensor { a * (1 / s) }
  /// Divides a number by every element.
  public static func / (s: Double, a: Tensor) -> Tensor { a.reciprocal() * s }
  /// −a.
  public static prefix func - (a: Tensor) -> Tensor { a.negated() }
}
