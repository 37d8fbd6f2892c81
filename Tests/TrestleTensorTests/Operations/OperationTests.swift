import Testing
import TrestleTensor
import TrestleTestSupport

/// Runs `body` at every instruction-set level that this machine has, and goes back to the one before; at the current level
/// only unless the process is there for all (``EveryLevelTests``).
func atEveryLevel(_ body: (InstructionSet) throws -> Void) throws {
  guard selectsInstructionSets else { return try body(.current) }
  try withChangingInstructionSet {
    let before = InstructionSet.current
    defer { try? InstructionSet.select(before) }
    for level in InstructionSet.available {
      try InstructionSet.select(level)
      try body(level)
    }
  }
}

extension TensorCoreTests {
  @Suite struct OperationTests {
    @Test(arguments: OpCase.Layout.allCases) func everyOperationMatchesPlainLoops(layout: OpCase.Layout)
      throws
    {
      try atEveryLevel { level in
        for operation in OpCase.all {
          guard let reference = operation.reference else { continue }
          let inputs = operation.makeInputs(.float64, layout: layout)
          let expected = reference(
            inputs.map { PlainArray(shape: Array($0.shape), values: $0.doubles) })
          let actual = operation.forward(inputs)
          let name = "\(operation), \(layout), \(level)"
          #expect(Array(actual.shape) == expected.shape, "\(name)")
          let mismatch = Mismatch.between(
            actual.doubles, expected.values, Tolerance(absolute: 1e-11, relative: 1e-11), in: name)
          #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
        }
      }
    }

    @Test(arguments: OpCase.Layout.allCases) func float32MatchesFloat64(layout: OpCase.Layout) throws {
      try atEveryLevel { level in
        for operation in OpCase.all {
          let inputs = operation.makeInputs(.float32, layout: layout)
          let wide = inputs.map { $0.dtype == .float32 ? $0.converted(to: .float64) : $0 }
          let mismatch = Mismatch.between(
            operation.forward(inputs), operation.forward(wide), .float32,
            in: "\(operation), \(layout), \(level)")
          #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
        }
      }
    }

    @Test(arguments: OpCase.Layout.allCases) func everyGradientMatchesCentralDifferences(
      layout: OpCase.Layout
    ) throws {
      try atEveryLevel { level in
        for operation in OpCase.all where operation.isDifferentiable {
          let inputs = operation.makeInputs(.float64, layout: layout)
          let count = inputs.reduce(0) { $0 + $1.elementCount }
          let checker = GradientChecker(count > 300 ? .directions(3) : .elements)
          let failures = checker.failures(
            of: "\(operation), \(layout), \(level)", inputs: inputs, operation.forward)
          #expect(failures.isEmpty, "\(failures)")
        }
      }
    }

    @Test func everyOperationHasThreeShapes() {
      for (name, cases) in Dictionary(grouping: OpCase.all.filter(\.isDifferentiable), by: \.name)
      where ["softmax", "matmul", "gatheredRows", "layerNormalized", "rotated", "exp"].contains(name) {
        #expect(cases.count >= 3, "\(name)")
      }
    }
  }
}
