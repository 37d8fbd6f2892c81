import Testing
import TrestleTensor

/// Small pseudo-random numbers for tests.
struct TestNumbers {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func bits() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }

  /// In [-1, 1).
  mutating func number() -> Double { Double(bits() >> 40) / Double(1 << 23) - 1 }

  mutating func pick<Element>(_ choices: [Element]) -> Element {
    choices[Int(bits() >> 33) % choices.count]
  }
}

/// A product with random operands, computed by the kernels and by plain loops.
struct TestProduct: CustomStringConvertible {
  var m: Int
  let n: Int
  let k: Int
  let transposeA: Bool
  let transposeB: Bool
  let lda: Int
  let ldb: Int
  let ldc: Int
  var types = (a: DType.float32, b: DType.float32, c: DType.float32)
  var alpha = 1.0
  var accumulate = false
  var arithmetic = Arithmetic.float32
  var batch = 1
  var repeatsB = false
  /// The row of op(a) that the product starts with.
  var firstRow = 0
  private let totalRows: Int

  /// Every third product has rows longer than their width.
  init(m: Int, n: Int, k: Int, transposes: Int, random: inout TestNumbers) {
    (self.m, self.n, self.k) = (m, n, k)
    totalRows = m
    transposeA = transposes & 1 != 0
    transposeB = transposes & 2 != 0
    let extra = random.pick([0, 0, 3])
    lda = max(1, transposeA ? m : k) + extra
    ldb = max(1, transposeB ? k : n) + 2 * extra
    ldc = max(1, n) + extra
  }

  var description: String {
    "\(m)×\(n)×\(k) transposed \(transposeA) \(transposeB) \(types) \(arithmetic) alpha \(alpha) +\(accumulate)"
  }

  struct Operands {
    var a: [Double]
    var b: [Double]
    var c: [Double]
  }

  private var strideA: Int { (transposeA ? k : totalRows) * lda }
  private var strideB: Int { (transposeB ? n : k) * ldb }
  private var strideC: Int { totalRows * ldc }

  /// Numbers that the operands' types hold exactly.
  func makeOperands(_ random: inout TestNumbers) -> Operands {
    func numbers(_ count: Int, _ type: DType) -> [Double] {
      (0..<count).map { _ in
        let number = random.number()
        switch type {
        case .float64: return number
        case .bfloat16: return Double(Self.rounded(Float(number)))
        default: return Double(Float(number))
        }
      }
    }
    return Operands(
      a: numbers(batch * strideA, types.a), b: numbers((repeatsB ? 1 : batch) * strideB, types.b),
      c: numbers(batch * strideC, types.c))
  }

  /// The result of the kernels.
  func run(_ operands: Operands) -> [Double] {
    let a = Self.bytes(operands.a, types.a)
    let b = Self.bytes(operands.b, types.b)
    var c = Self.bytes(operands.c, types.c)
    let skipped = firstRow * (transposeA ? 1 : lda) * types.a.byteCount
    a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        c.withUnsafeMutableBytes { c in
          guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
          MatrixKernel.multiplyBatched(
            batch: batch, strideA: strideA, strideB: repeatsB ? 0 : strideB, strideC: strideC, aType: types.a,
            bType: types.b, cType: types.c, transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k,
            alpha: alpha, a: a + skipped, lda: lda, b: b, ldb: ldb, accumulate: accumulate, c: c, ldc: ldc,
            arithmetic: arithmetic)
        }
      }
    }
    return Self.numbers(c, types.c, operands.c.count)
  }

  /// Compares the kernels with the loops, and checks that nothing beside the result was written.
  func check(_ random: inout TestNumbers) {
    let operands = makeOperands(&random)
    let found = run(operands)
    var worst = 0.0
    var padding = true
    for matrix in 0..<batch {
      for i in 0..<m {
        for j in 0..<ldc {
          let place = matrix * strideC + i * ldc + j
          if j >= n {
            padding = padding && found[place] == operands.c[place]
            continue
          }
          let (exact, size) = element(operands, matrix, i, j)
          worst = max(worst, abs(found[place] - exact) / (tolerance * (size + 1e-30)))
        }
      }
    }
    #expect(worst <= 1, "\(description): error \(worst) times the tolerance")
    #expect(padding, "\(description): wrote beside the result")
  }

  /// Relative to the sum of the magnitudes of the terms.
  private var tolerance: Double {
    if types.c == .float64 { return 1e-14 }
    let rounds = arithmetic == .bfloat16 && (types.a == .float32 || types.b == .float32)
    return rounds ? 0x1p-7 : 2e-6
  }

  private func element(_ operands: Operands, _ matrix: Int, _ i: Int, _ j: Int) -> (Double, Double) {
    let place = matrix * strideC + i * ldc + j
    var sum = 0.0
    var size = 0.0
    for p in 0..<k {
      let a = operands.a[matrix * strideA + (transposeA ? p * lda + i : i * lda + p)]
      let b = operands.b[(repeatsB ? 0 : matrix * strideB) + (transposeB ? j * ldb + p : p * ldb + j)]
      sum += a * b
      size += abs(a * b)
    }
    let old = accumulate ? operands.c[place] : 0
    return (alpha * sum + old, abs(alpha) * size + abs(old))
  }

  // MARK: Numbers in memory

  /// To the nearest bfloat16, ties to even.
  static func rounded(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }

  private static func bytes(_ numbers: [Double], _ type: DType) -> [UInt64] {
    // Words, so that the memory is aligned for every type.
    var words = [UInt64](repeating: 0, count: numbers.count + 1)
    words.withUnsafeMutableBytes { bytes in
      for (index, number) in numbers.enumerated() {
        switch type {
        case .float64: bytes.storeBytes(of: number, toByteOffset: index * 8, as: Double.self)
        case .bfloat16:
          bytes.storeBytes(
            of: UInt16(Float(number).bitPattern >> 16), toByteOffset: index * 2, as: UInt16.self)
        default: bytes.storeBytes(of: Float(number), toByteOffset: index * 4, as: Float.self)
        }
      }
    }
    return words
  }

  private static func numbers(_ words: [UInt64], _ type: DType, _ count: Int) -> [Double] {
    words.withUnsafeBytes { bytes in
      (0..<count).map {
        type == .float64
          ? bytes.load(fromByteOffset: $0 * 8, as: Double.self)
          : Double(bytes.load(fromByteOffset: $0 * 4, as: Float.self))
      }
    }
  }
}
