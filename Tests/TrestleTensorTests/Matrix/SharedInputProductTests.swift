import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  /// Products of one input with several matrices as one job: the bits of each product alone.
  @Suite struct SharedInputProductTests {
    private func quantized(_ format: QuantizationFormat, _ rows: Int, _ columns: Int, seed: UInt64)
      -> LinearWeight
    {
      var random = TestNumbers(seed: seed)
      let blocks = TestBlocks(format: format, rows: rows, columns: columns, random: &random)
      return .quantized(
        QuantizedMatrix(
          format: format, rows: rows, columns: columns,
          bytes: blocks.bytes))
    }

    private func dense(_ rows: Int, _ columns: Int, _ dtype: DType, seed: UInt64) -> LinearWeight {
      var generator = RandomGenerator(seed: seed)
      return .dense(
        Parameter(
          Tensor.normal([rows, columns], using: &generator).converted(to: dtype), isTrainable: false))
    }

    private func expectSameBits(_ name: String, _ matrices: [LinearWeight], _ arithmetic: Arithmetic) {
      let columns = matrices[0].shape[1]
      var generator = RandomGenerator(seed: 9)
      let layers = matrices.enumerated().map { index, matrix in
        let bias = index == 1 ? Tensor.normal([matrix.shape[0]], using: &generator) : nil
        let layer = Linear(matrix: matrix, bias: bias)
        layer.arithmetic = arithmetic
        return layer
      }
      for rows in [1, 2, 3, 4, 5, 8, 9, 17] {
        let x = Tensor.normal([rows, columns], using: &generator)
        withSteadyInstructionSet {
          let alone = layers.map { $0(x) }
          for (together, one) in zip(Linear.outputs(of: layers, for: x), alone) {
            let mismatch = Mismatch.inBits(together, one, in: "\(name), \(rows) rows, \(arithmetic)")
            #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
          }
        }
      }
    }

    @Test(arguments: Arithmetic.allCases) func theBitsAreThoseOfEachProductAlone(_ arithmetic: Arithmetic) {
      for format in QuantizationFormat.allCases {
        expectSameBits(
          "\(format)",
          [quantized(format, 70, 256, seed: 1), quantized(format, 33, 256, seed: 2)], arithmetic)
      }
      expectSameBits(
        "two formats", [quantized(.q4_K, 70, 256, seed: 1), quantized(.q6_K, 40, 256, seed: 2)], arithmetic)
      for dtype in [DType.float32, .bfloat16] {
        expectSameBits(
          "\(dtype)",
          [dense(90, 96, dtype, seed: 1), dense(17, 96, dtype, seed: 2), dense(1, 96, dtype, seed: 3)],
          arithmetic)
      }
      expectSameBits(
        "dense and quantised", [dense(90, 256, .float32, seed: 1), quantized(.q4_1, 40, 256, seed: 2)],
        arithmetic)
    }

    @Test func theThreadCountChangesNothing() {
      let layers = [200, 67].map { Linear(matrix: quantized(.q4_K, $0, 512, seed: 4)) }
      var generator = RandomGenerator(seed: 5)
      let x = Tensor.normal([3, 512], using: &generator)
      let before = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(before) }
      withSteadyInstructionSet {
        ThreadPool.shared.setThreadCount(1)
        let one = Linear.outputs(of: layers, for: x)
        for threads in [2, 5] {
          ThreadPool.shared.setThreadCount(threads)
          for (a, b) in zip(Linear.outputs(of: layers, for: x), one) {
            #expect(Mismatch.inBits(a, b, in: "\(threads) threads") == nil)
          }
        }
      }
    }

    @Test func whatIsTrackedKeepsItsGradients() {
      var generator = RandomGenerator(seed: 6)
      let layers = [3, 2].map { Linear(inputs: 4, outputs: $0, dtype: .float64, using: &generator) }
      let x = Tensor.normal([2, 4], dtype: .float64, using: &generator)
      let failures = GradientChecker().failures(
        of: "outputs(of:for:)", parameters: layers.flatMap(\.parameters)
      ) {
        Tensor.concatenated(Linear.outputs(of: layers, for: x), along: 1)
      }
      #expect(failures.isEmpty, "\(failures)")
    }
  }
}
