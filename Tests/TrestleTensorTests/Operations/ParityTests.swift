import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// The operations against PyTorch's results and gradients in `Fixtures/tensor`.
extension TensorCoreTests {
  @Suite struct ParityTests {
    typealias Inputs = [String: Tensor]
    typealias Run = @Sendable (Inputs) -> Tensor

    private struct Case: Decodable {
      let inputs: [String]
      let constants: [String]
      let gradient: Bool
    }
    private struct Cases: Decodable { let cases: [String: Case] }

    private static let folder = TestAssets.fixtures.appending(path: "tensor")

    private static func load(_ dtype: DType) throws -> ([String: Case], SafetensorsFile) {
      let cases = try JSONDecoder().decode(
        Cases.self, from: Data(contentsOf: folder.appending(path: "cases.json")))
      return (cases.cases, try SafetensorsFile(folder.appending(path: "operations_\(dtype).safetensors")))
    }

    @Test(arguments: [DType.float64, .float32]) func operationsMatchPyTorch(dtype: DType) throws {
      let (cases, file) = try Self.load(dtype)
      let tolerance =
        dtype == .float64
        ? Tolerance(absolute: 1e-10, relative: 1e-10) : Tolerance(absolute: 2e-5, relative: 1e-4)
      try atEveryLevel { level in
        for (name, item) in cases.sorted(by: { $0.key < $1.key }) {
          guard let run = ParityOperations.all[name] else {
            Issue.record("no operation for the fixture '\(name)'")
            continue
          }
          func tensor(_ part: String) throws -> Tensor { try file.tensor("\(name).\(part)") }
          let tape = Tape()
          var inputs: Inputs = [:]
          for part in item.inputs {
            let value = try tensor(part)
            inputs[part] = item.gradient ? tape.variable(value) : value
          }
          for part in item.constants { inputs[part] = try tensor(part) }
          let y = run(inputs)
          var failures = [Mismatch.between(y.detached, try tensor("y"), tolerance, in: "\(name), \(level)")]
          if item.gradient {
            let variables = item.inputs.compactMap { inputs[$0] }
            let gradients = y.gradients(of: variables, upstream: try tensor("dy"))
            for (part, variable) in zip(item.inputs, variables) {
              if name == "sparse_product" && part == "values" { continue }
              let expected = try tensor("d" + part)
              let actual = gradients[variable] ?? .zeros(expected.shape, dtype: dtype)
              failures.append(
                Mismatch.between(actual, expected, tolerance, in: "\(name), gradient of \(part), \(level)"))
            }
          }
          for failure in failures.compactMap({ $0 }) { Issue.record("\(failure)") }
        }
      }
    }

    @Test func everyOperationOfTheTableHasAFixture() throws {
      let (cases, _) = try Self.load(.float64)
      #expect(Set(ParityOperations.all.keys) == Set(cases.keys))
    }
  }
}
