import Testing
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  @Suite struct TapeTests {
    private func normal(_ shape: Shape, seed: UInt64 = 1) -> Tensor {
      var generator = RandomGenerator(seed: seed)
      return .normal(shape, dtype: .float64, using: &generator)
    }

    @Test func theGradientCheckerFindsAWrongGradient() {
      let wrong = GradientChecker().failures(of: "wrong", inputs: [normal([5])]) { inputs in
        Tensor.custom("wrong", inputs: [inputs[0]], output: inputs[0].detached.exp()) { [$0 * 1.01] }
      }
      #expect(wrong.count == 1)
      let missing = GradientChecker(.directions(2)).failures(of: "missing", inputs: [normal([5])]) {
        $0[0] + $0[0].detached.squared()
      }
      #expect(missing.count == 2)
    }

    @Test func gradientsOfGradientsAreRefusedRatherThanZero() async {
      await #expect(processExitsWith: .failure) {
        let x = Tape().variable(Tensor([1, 2] as [Float]))
        let inner = Tape().variable(x.squared())
        _ = inner.squared().sum().gradients(of: [inner])
      }
      await #expect(processExitsWith: .failure) {
        let weight = Parameter(Tensor([1, 2] as [Float]))
        _ = valueAndGradients(of: [weight]) {
          let (_, slopes) = valueAndGradients(of: [weight]) { weight.value.squared().sum() }
          return slopes[weight]?.dense().sum() ?? Tensor(0 as Float)
        }
      }
      let x = Tape().variable(Tensor([1, 2] as [Float]))
      let inner = Tape().variable(x.detached)
      #expect(inner.squared().sum().gradients(of: [inner])[inner]?.floats == [2, 4])
    }

    @Test func aChainOfAMillionNodesRunsBackwardAndIsReleased() {
      weak var released: Tape?
      do {
        let tape = Tape()
        released = tape
        let x = tape.variable(Tensor([1, 2] as [Float]))
        var y = x
        for _ in 0..<1_000_000 { y = y + 1 }
        #expect(tape.count == 1_000_001)
        #expect(y.sum().gradients(of: [x])[x]?.floats == [1, 1])
      }
      #expect(released == nil)
      do {
        let tape = Tape()
        released = tape
        var y = tape.variable(Tensor([1, 2] as [Float]))
        for _ in 0..<1_000_000 { y = y.exp().log() }
      }
      #expect(released == nil)
    }

    @Test func theBackwardPassFreesWhatWasSaved() {
      weak var saved: Storage?
      let tape = Tape()
      let x = tape.variable(normal([100]))
      let loss: Tensor = {
        let y = x.exp()
        saved = y.storage
        return y.squared().sum()
      }()
      #expect(saved != nil)
      let gradients = loss.gradients(of: [x])
      #expect(saved == nil)
      #expect(gradients[x] != nil)
    }

    @Test func aTrainingStepLeavesNoStorageBehind() {
      let parameter = Parameter(normal([10, 10]))
      weak var intermediate: Storage?
      weak var gradient: Storage?
      do {
        let (_, gradients) = valueAndGradients(of: [parameter]) {
          let y = parameter.value.matmul(parameter.value)
          intermediate = y.storage
          return y.tanh().sum()
        }
        gradient = gradients[parameter]?.dense().storage
        #expect(gradient != nil)
      }
      #expect(intermediate == nil && gradient == nil)
      #expect(!parameter.value.isTracked)
    }

    @Test func withoutGradientsRecordsNothing() {
      let tape = Tape()
      let x = tape.variable(normal([3]))
      let y = withoutGradients { (x * 2 + x.exp()).matmulWithSelf() }
      #expect(!y.isTracked && tape.count == 1)
    }

    @Test func aFrozenParameterIsNotTracked() {
      let (a, b) = (Parameter(normal([3])), Parameter(normal([3], seed: 2)))
      b.isTrainable = false
      let (_, gradients) = valueAndGradients(of: [a, b]) {
        #expect(!b.value.isTracked)
        return (a.value * b.value).sum()
      }
      #expect(gradients[b] == nil)
      #expect(gradients[a]?.dense().doubles == b.detached.doubles)
    }

    @Test func aCustomOperationFromOutsideHasItsGradient() {
      func cube(_ x: Tensor) -> Tensor {
        let plain = x.detached
        return Tensor.custom("cube", inputs: [x], output: plain * plain * plain) { [$0 * plain * plain * 3] }
      }
      let failures = withSteadyInstructionSet {
        GradientChecker().failures(of: "cube", inputs: [normal([2, 5])]) { cube($0[0]) * $0[0] }
      }
      #expect(failures.isEmpty, "\(failures)")
    }

    @Test func recomputationGivesThePlainGradients() {
      let weight = Parameter(normal([4, 4]))
      let table = Parameter(normal([6, 4], seed: 3))
      let frozen = Parameter(normal([4], seed: 4), isTrainable: false)
      let indices = Tensor([1, 4, 1] as [Int32])
      let input = normal([3, 4], seed: 5)
      func block(_ x: Tensor) -> Tensor {
        ((x + table.value.gatheredRows(indices)).matmul(weight.value) * frozen.value).tanh()
      }
      func gradients(_ forward: (Tensor) -> Tensor) -> [Tensor] {
        let first = Parameter(input)
        let (value, gradients) = valueAndGradients(of: [weight, table, frozen, first]) {
          (forward(forward(first.value)) * weight.value[0]).sum()
        }
        if case .dense = gradients[table] { Issue.record("the table's gradient became dense") }
        return [value] + [weight, table, first].compactMap { gradients[$0]?.dense() }
      }
      let plain = gradients(block)
      let again = gradients { Tensor.recomputed([$0], parameters: [weight, table, frozen]) { block($0[0]) } }
      #expect(plain.count == 4 && again.count == 4)
      for (a, b) in zip(plain, again) {
        let mismatch = Mismatch.between(b, a, .float64, in: "recomputed")
        #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
      }
    }

    @Test func anomalyDetectionNamesTheOperation() throws {
      let x = Parameter(Tensor([1.0, 0, -1]))
      #expect(throws: TensorError.nonFinite(operation: "log", phase: .forward, shape: [3], index: 1)) {
        try valueAndGradients(of: [x], detectingAnomalies: true) { (x.value.squared().log() * 2).sum() }
      }
      #expect(throws: TensorError.nonFinite(operation: "sqrt", phase: .backward, shape: [3], index: 1)) {
        try valueAndGradients(of: [x], detectingAnomalies: true) { x.value.squared().sqrt().sum() }
      }
      _ = try valueAndGradients(of: [x], detectingAnomalies: true) { x.value.exp().sum() }
    }

    @Test func rowSparseGradientsStaySparseAndEqualDenseOnes() {
      let table = Parameter(normal([50, 3]))
      let names: [Int32] = [4, 49, 4, 0, 4]
      let indices = Tensor(names)
      let factors = normal([5, 3], seed: 2)
      let sparse = valueAndGradients(of: [table]) {
        (table.value.gatheredRows(indices) * factors).sum()
          + table.value.gatheredRows(Tensor([7, 4] as [Int32])).sum()
      }.gradients[table]
      guard case .rows(let rows) = sparse else {
        Issue.record("expected a row-sparse gradient")
        return
      }
      #expect(rows.indices.scalars(as: Int32.self) == [0, 4, 7, 49] && rows.values.shape == [4, 3])
      var expected = [Double](repeating: 0, count: 150)
      let f = factors.doubles
      for (position, name) in names.enumerated() {
        for c in 0..<3 { expected[Int(name) * 3 + c] += f[position * 3 + c] }
      }
      for c in 0..<3 {
        expected[21 + c] += 1
        expected[12 + c] += 1
      }
      #expect(Mismatch.between(rows.dense().doubles, expected, .float64, in: "rows") == nil)
      // Mixed with a dense use of the table the gradient is dense, and the same sum.
      let mixed = valueAndGradients(of: [table]) {
        (table.value.gatheredRows(indices) * factors).sum()
          + table.value.gatheredRows(Tensor([7, 4] as [Int32])).sum()
          + (table.value * 2).sum()
      }.gradients[table]?.dense().doubles
      #expect(Mismatch.between(mixed ?? [], expected.map { $0 + 2 }, .float64, in: "mixed") == nil)
    }

    @Test func coalescingSumsRepeatedRowsOfLargeTables() {
      var generator = RandomGenerator(seed: 11)
      let names = (0..<3000).map { _ in Int32(generator.index(below: 5_000_000)) & ~0xFFF }
      let values = Tensor.normal([3000, 2], dtype: .float64, using: &generator)
      let rows = SparseRows(indices: Tensor(names), values: values, rowCount: 5_000_000).coalesced()
      var expected: [Int32: [Double]] = [:]
      for (position, name) in names.enumerated() {
        let row = values[position].doubles
        expected[name] = zip(expected[name] ?? [0, 0], row).map { $0 + $1 }
      }
      #expect(rows.indices.scalars(as: Int32.self) == expected.keys.sorted())
      let sums = expected.keys.sorted().flatMap { expected[$0] ?? [] }
      #expect(Mismatch.between(rows.values.doubles, sums, .float64, in: "coalesced") == nil)
    }

    @Test func gradientsOfSeveralBatchesAddUp() {
      withSteadyInstructionSet {
        let table = Parameter(normal([6, 2]))
        let weight = Parameter(normal([2], seed: 2))
        func gradients(_ names: [Int32]) -> Gradients {
          valueAndGradients(of: [table, weight]) {
            (table.value.gatheredRows(Tensor(names)) * weight.value).sum()
          }.gradients
        }
        var sum = gradients([1, 2])
        sum.add(gradients([2, 5]))
        let whole = gradients([1, 2, 2, 5])
        for parameter in [table, weight] {
          let (a, b) = (sum[parameter]?.dense().doubles ?? [], whole[parameter]?.dense().doubles ?? [1])
          #expect(Mismatch.between(a, b, .float64, in: "sum of batches") == nil)
        }
        let norm = whole.norm
        var clipped = whole
        #expect(clipped.clip(toNorm: norm / 2) == norm)
        #expect(abs(clipped.norm - norm / 2) < 1e-5)
      }
    }

    @Test func slicesOfOneTensorAddTheirGradientsInPlace() {
      withSteadyInstructionSet {
        let failures = GradientChecker().failures(of: "slices", inputs: [normal([4, 3, 5])]) { inputs in
          let x = inputs[0]
          let parts = (0..<4).map { x[$0] } + [x.sliced(1..<3, along: 0).sum(along: [0]), x[1]]
          let total = parts.enumerated().reduce(x[0]) { $0 * 0.5 + $1.element.tanh() * Double($1.offset) }
          return total + x.sliced(2..<5, along: 2).sum() + x.sum(along: [0])
        }
        #expect(failures.isEmpty, "\(failures)")
      }
    }

    @Test func aProductWithAConstantKeepsTheConstantOnly() {
      weak var operand: Storage?
      let tape = Tape()
      let x = tape.variable(normal([10]))
      let mask = normal([10], seed: 2)
      let loss: Tensor = {
        let y = x + 1
        operand = y.storage
        return (y * mask).sum()
      }()
      #expect(operand == nil)
      #expect(loss.gradients(of: [x])[x]?.doubles == mask.doubles)
    }

    @Test func aTensorUsedTwiceReceivesBothGradients() {
      withSteadyInstructionSet {
        let failures = GradientChecker().failures(of: "diamond", inputs: [normal([3, 3])]) { inputs in
          let y = inputs[0].tanh()
          return (y * y + y.transposed() * inputs[0]).matmul(y) + y
        }
        #expect(failures.isEmpty, "\(failures)")
      }
    }
  }
}

extension Tensor {
  fileprivate func matmulWithSelf() -> Tensor { expanded(at: 0).matmul(expanded(at: 1)) }
}
