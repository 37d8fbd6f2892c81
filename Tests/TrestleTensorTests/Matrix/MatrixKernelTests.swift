import Testing
import TrestleTestSupport
import TrestleTensor

/// Products of every shape class, on every instruction set, against Float64 loops.
@Suite(.serialized) struct MatrixKernelTests {
  @Test(arguments: InstructionSet.available)
  func productsOfEveryShapeAreRight(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      var random = TestNumbers(seed: 1)
      let sizes = [0, 1, 2, 3, 5, 8, 13, 16, 17, 31, 33, 64, 65, 129, 257]
      for _ in 0..<220 {
        let (m, n, k) = (random.pick(sizes), random.pick(sizes), random.pick(sizes))
        for transposes in 0..<4 {
          var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
          product.alpha = random.pick([1, 0.5, -2])
          product.accumulate = random.pick([false, true])
          product.check(&random)
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func productsInDoublePrecisionAreRight(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      var random = TestNumbers(seed: 2)
      let sizes = [0, 1, 2, 3, 5, 8, 9, 13, 17, 33, 64, 65, 129]
      for _ in 0..<120 {
        let (m, n, k) = (random.pick(sizes), random.pick(sizes), random.pick(sizes))
        for transposes in 0..<4 {
          var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
          product.types = (.float64, .float64, .float64)
          product.alpha = random.pick([1, -0.25])
          product.accumulate = random.pick([false, true])
          product.check(&random)
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func bfloat16FactorsAreMultipliedInEitherArithmetic(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      var random = TestNumbers(seed: 3)
      let sizes = [0, 1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 64, 65, 129, 257]
      let kinds: [(DType, DType)] = [
        (.bfloat16, .bfloat16), (.float32, .bfloat16), (.bfloat16, .float32), (.float32, .float32),
      ]
      for index in 0..<120 {
        let (m, n, k) = (random.pick(sizes), random.pick(sizes), random.pick(sizes))
        for transposes in 0..<4 {
          var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
          let kind = kinds[index % 4]
          product.types = (kind.0, kind.1, .float32)
          product.arithmetic = random.pick([.float32, .bfloat16])
          product.accumulate = random.pick([false, true])
          product.check(&random)
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func productsLongerThanABlockAreRight(instructionSet: InstructionSet) throws {
    try atLevel(instructionSet) {
      var random = TestNumbers(seed: 4)
      for (m, n, k) in [
        (70, 100, 1025), (9, 3100, 40), (2400, 9, 33), (12, 50, 2000), (3, 700, 1100), (900, 2, 700),
      ] {
        for transposes in 0..<4 {
          for arithmetic in [Arithmetic.float32, .bfloat16] {
            var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
            product.arithmetic = arithmetic
            product.accumulate = transposes % 2 == 1
            product.check(&random)
          }
        }
      }
    }
  }

  @Test func batchesAreRight() {
    var random = TestNumbers(seed: 5)
    for (batch, m, n, k) in [
      (3, 5, 7, 9), (40, 16, 16, 8), (2, 130, 140, 150), (300, 4, 3, 2), (5, 1, 64, 64),
    ] {
      for transposes in 0..<4 {
        for repeatsB in [false, true] {
          var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
          product.batch = batch
          product.repeatsB = repeatsB
          product.check(&random)
        }
      }
    }
  }

  @Test func theNumberOfThreadsLeavesNoTrace() {
    withSteadyInstructionSet {
      let before = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(before) }
      var random = TestNumbers(seed: 6)
      let shapes = [
        (257, 300, 600), (64, 64, 64), (1, 3000, 100), (3000, 3, 100), (100, 1000, 576), (33, 2, 2000),
      ]
      for (m, n, k) in shapes {
        for transposes in 0..<4 {
          for types in [(DType.float32, DType.float32), (.bfloat16, .bfloat16), (.float64, .float64)] {
            var product = TestProduct(m: m, n: n, k: k, transposes: transposes, random: &random)
            product.types = (types.0, types.1, types.0 == .float64 ? .float64 : .float32)
            let operands = product.makeOperands(&random)
            ThreadPool.shared.setThreadCount(1)
            let alone = product.run(operands)
            for threads in [2, 4] {
              ThreadPool.shared.setThreadCount(threads)
              #expect(product.run(operands) == alone, "\(product.description) with \(threads) threads")
            }
          }
        }
      }
    }
  }

  @Test func rowsOfALargeProductDoNotDependOnItsOtherRows() {
    var random = TestNumbers(seed: 7)
    withSteadyInstructionSet {
      for transposes in 0..<4 {
        let whole = TestProduct(m: 100, n: 130, k: 700, transposes: transposes, random: &random)
        let operands = whole.makeOperands(&random)
        let expected = whole.run(operands)
        for (first, count) in [(0, 17), (3, 29), (50, 50)] {
          var part = whole
          part.m = count
          part.firstRow = first
          let found = part.run(operands)
          for row in 0..<count {
            let mine = found[row * part.ldc..<row * part.ldc + part.n]
            let same = expected[(first + row) * whole.ldc..<(first + row) * whole.ldc + whole.n]
            #expect(Array(mine) == Array(same), "row \(row) of \(count) from \(first)")
          }
        }
      }
    }
  }
}
