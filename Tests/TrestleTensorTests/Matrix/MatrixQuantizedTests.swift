import CTrestleKernels
import Testing
import TrestleTestSupport
import TrestleTensor

/// Products with every block format, on every instruction set, against Float64 loops over the format's definition.
@Suite(.serialized) struct MatrixQuantizedTests {
  /// The kernels tell blocks from plain numbers, and blocks of 256 from those of 32, by the order of their enumeration.
  @Test func theKernelsOrderOfStoragesIsThatOfTheBlocksSizes() {
    let plain = [TRESTLE_F32, TRESTLE_F64, TRESTLE_BF16].map { Int32($0.rawValue) }
    let blocks = QuantizationFormat.allCases.map(\.storage)
    #expect((plain + blocks).sorted() == Array(0..<Int32(TRESTLE_STORAGE_COUNT.rawValue)))
    #expect(plain.allSatisfy { $0 < TRESTLE_Q8_0.rawValue })
    for format in QuantizationFormat.allCases {
      #expect(format.storage >= TRESTLE_Q8_0.rawValue, "\(format)")
      #expect((format.storage >= TRESTLE_Q4_K.rawValue) == (format.blockSize == 256), "\(format)")
      #expect([32, 256].contains(format.blockSize), "\(format)")
    }
  }

  @Test(arguments: InstructionSet.available)
  func blocksAreDequantisedByDefinition(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      for format in QuantizationFormat.allCases {
        var random = TestNumbers(seed: 11)
        let blocks = TestBlocks(format: format, rows: 40, columns: 1024, random: &random)
        var found = [Float](repeating: .nan, count: 40 * 1024)
        blocks.bytes.withUnsafeBytes { bytes in
          found.withUnsafeMutableBufferPointer { found in
            guard let bytes = bytes.baseAddress, let found = found.baseAddress else { return }
            QuantizedKernel.dequantize(format: format, source: bytes, count: 40 * 1024, to: found)
          }
        }
        #expect(found == blocks.numbers.map { Float($0) }, "\(format)")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func productsWithBlocksAreRight(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      for format in QuantizationFormat.allCases {
        var random = TestNumbers(seed: 12)
        for m in [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 33] {
          for (rows, columns) in [(1, 256), (5, 512), (50, 768), (97, 1280)] {
            var product = QuantizedProduct(
              format: format, rows: rows, columns: columns, m: m, random: &random)
            for arithmetic in Arithmetic.allCases {
              product.arithmetic = arithmetic
              product.checkMultiply()
            }
          }
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func productsWithTransposedBlocksAreRight(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      for format in QuantizationFormat.allCases {
        var random = TestNumbers(seed: 13)
        for m in [1, 3, 9, 40] {
          for (rows, columns) in [(1, 256), (7, 512), (50, 768), (600, 1280)] {
            var product = QuantizedProduct(
              format: format, rows: rows, columns: columns, m: m, random: &random)
            for arithmetic in [Arithmetic.float32, .bfloat16] {
              product.arithmetic = arithmetic
              product.checkTransposed()
            }
          }
        }
      }
    }
  }

  @Test func blocksOf32NeedNotFillARowOf256() {
    var random = TestNumbers(seed: 14)
    for format in QuantizationFormat.allCases where format.blockSize == 32 {
      // An odd number of blocks, in lines below 512 bytes and above, which are read differently.
      for (m, blocks) in [(1, 19), (4, 19), (20, 19), (1, 35), (3, 35)] {
        var product = QuantizedProduct(format: format, rows: 71, columns: 32 * blocks, m: m, random: &random)
        for arithmetic in Arithmetic.allCases {
          product.arithmetic = arithmetic
          product.checkMultiply()
          product.checkTransposed()
        }
      }
    }
  }

  @Test func theNumberOfThreadsLeavesNoTrace() {
    withSteadyInstructionSet {
      let before = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(before) }
      var random = TestNumbers(seed: 15)
      for format in QuantizationFormat.allCases {
        for m in [1, 4, 30] {
          for arithmetic in Arithmetic.allCases {
            var product = QuantizedProduct(format: format, rows: 900, columns: 768, m: m, random: &random)
            product.arithmetic = arithmetic
            ThreadPool.shared.setThreadCount(1)
            let (y, dx) = (product.multiply(), product.multiplyTransposed())
            for threads in [2, 4] {
              ThreadPool.shared.setThreadCount(threads)
              #expect(product.multiply() == y, "\(format) m \(m) \(arithmetic), \(threads) threads")
              #expect(
                product.multiplyTransposed() == dx, "\(format) m \(m) \(arithmetic), \(threads) threads")
            }
          }
        }
      }
    }
  }
}

/// Products of random activations with random blocks.
private struct QuantizedProduct {
  let weights: TestBlocks
  let numbers: [Double]
  let m: Int
  let ldx: Int
  let ldy: Int
  let x: [Float]
  let dy: [Float]
  var arithmetic = Arithmetic.float32

  init(format: QuantizationFormat, rows: Int, columns: Int, m: Int, random: inout TestNumbers) {
    weights = TestBlocks(format: format, rows: rows, columns: columns, random: &random)
    numbers = weights.numbers
    self.m = m
    ldx = columns + random.pick([0, 5])
    ldy = rows + random.pick([0, 3])
    x = (0..<m * ldx + 1).map { _ in Float(random.number()) }
    dy = (0..<m * ldy + 1).map { _ in Float(random.number()) }
  }

  func multiply() -> [Float] {
    run(input: x, outputCount: m * ldy + 1) { weightBytes, x, y in
      QuantizedKernel.multiply(
        format: weights.format, weights: weightBytes, rows: weights.rows, columns: weights.columns, x: x,
        ldx: ldx, m: m, y: y, ldy: ldy, arithmetic: arithmetic)
    }
  }

  func multiplyTransposed() -> [Float] {
    run(input: dy, outputCount: m * ldx + 1) { weightBytes, dy, dx in
      QuantizedKernel.multiplyTransposed(
        format: weights.format, weights: weightBytes, rows: weights.rows, columns: weights.columns, dy: dy,
        lddy: ldy, m: m, dx: dx, lddx: ldx, arithmetic: arithmetic)
    }
  }

  private func run(
    input: [Float], outputCount: Int,
    _ body: (UnsafeRawPointer, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) -> [Float] {
    var output = [Float](repeating: -7, count: outputCount)
    weights.bytes.withUnsafeBytes { bytes in
      input.withUnsafeBufferPointer { input in
        output.withUnsafeMutableBufferPointer { output in
          guard let bytes = bytes.baseAddress, let input = input.baseAddress, let output = output.baseAddress
          else { return }
          body(bytes, input, output)
        }
      }
    }
    return output
  }

  func checkMultiply() {
    check("multiply", multiply(), width: weights.rows, stride: ldy) { i, j, add in
      for p in 0..<weights.columns { add(Double(x[i * ldx + p]), numbers[j * weights.columns + p]) }
    }
  }

  func checkTransposed() {
    check("multiplyTransposed", multiplyTransposed(), width: weights.columns, stride: ldx) { i, j, add in
      for p in 0..<weights.rows { add(Double(dy[i * ldy + p]), numbers[p * weights.columns + j]) }
    }
  }

  private func check(
    _ name: String, _ found: [Float], width: Int, stride: Int,
    terms: (Int, Int, (Double, Double) -> Void) -> Void
  ) {
    var worst = 0.0
    for i in 0..<m {
      for j in 0..<stride {
        var sum = 0.0
        var size = 0.0
        if j < width {
          terms(i, j) { a, b in
            sum += a * b
            size += abs(a * b)
          }
        } else {
          sum = -7
        }
        worst = max(worst, abs(Double(found[i * stride + j]) - sum) / (tolerance * (size + 1e-30)))
      }
    }
    #expect(
      worst <= 1,
      "\(name) \(weights.format) \(weights.rows)×\(weights.columns), m \(m), \(arithmetic): \(worst)")
    #expect(found[m * stride] == -7, "\(name) wrote behind the result")
  }

  /// Relative to the sum of the magnitudes of the terms.
  private var tolerance: Double {
    switch arithmetic {
    case .float32: 2e-6
    case .bfloat16: 0x1p-7
    case .int8: 0.02
    }
  }
}
