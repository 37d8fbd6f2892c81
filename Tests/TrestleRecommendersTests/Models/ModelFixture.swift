import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// One model's step as PyTorch takes it (Tests/Fixtures/recommenders/models/make_models.py and its like).
struct ModelFixture {
  private let file: SafetensorsFile
  private let prefix: String
  private let name: String
  let dtype: DType

  init(_ name: String, _ dtype: DType, in fixture: String = "models/models") throws {
    file = try SafetensorsFile(TestAssets.fixtures.appending(path: "recommenders/\(fixture).safetensors"))
    prefix = dtype == .float64 ? "" : "float32."
    self.name = name
    self.dtype = dtype
  }

  /// A tensor of the case.
  func tensor(_ key: String) throws -> Tensor { try file.tensor("\(prefix)\(name).\(key)") }

  /// The graph that the cases share.
  func interactions() throws -> Interactions {
    let pairs: [Int32] = try file.tensor("interactions").scalars()
    return Interactions(
      users: stride(from: 0, to: pairs.count, by: 2).map { pairs[$0] },
      items: stride(from: 1, to: pairs.count, by: 2).map { pairs[$0] }, userCount: 7, itemCount: 11)
  }

  func batch() throws -> PairwiseBatch {
    PairwiseBatch(
      users: try tensor("users").scalars(), positives: try tensor("positives").scalars(),
      negatives: try tensor("negatives").scalars())
  }

  /// The sequences without their padding.
  func sequences() throws -> ItemSequences {
    let rows = try tensor("sequences")
    let lengths: [Int32] = try tensor("lengths").scalars()
    return ItemSequences(
      lengths.enumerated().map { row, length in
        Array((rows[row].scalars() as [Int32]).prefix(Int(length)))
      })
  }

  /// Loads the parameters, takes a step on `loss`, and compares loss, scores, gradients and parameters.
  ///
  /// - Parameter trained: what the names of the parameters begin with that the loss trains; no others may have gradients.
  func check(
    _ model: some Module, tolerance: Double, trained: String = "", scores: () -> Tensor, loss: () -> Tensor
  ) throws {
    for named in model.namedParameters { named.parameter.update(to: try tensor(named.name)) }
    expectClose(withoutGradients { scores() }, try tensor("scores"), tolerance, "scores")
    let optimizer = Adam(model.trainableParameters, learningRate: 0.01)
    let (value, gradients) = valueAndGradients(of: model.trainableParameters) { loss() }
    expectClose(value.reshaped(to: [] as Shape), try tensor("loss"), tolerance, "loss")
    let (moved, fixed) = (
      model.namedParameters.filter { $0.name.hasPrefix(trained) },
      model.namedParameters.filter { !$0.name.hasPrefix(trained) }
    )
    #expect(fixed.allSatisfy { gradients[$0.parameter] == nil })
    for named in moved {
      let gradient = try #require(gradients[named.parameter], "\(name): no gradient of \(named.name)")
      expectClose(
        gradient.dense(), try tensor("gradient.\(named.name)"), tolerance, "gradient of \(named.name)")
    }
    optimizer.update(with: gradients)
    for named in moved {
      // Adam's first step is lr · g / (|g| + ε): where g is rounding noise, so is the step.
      let gradient: [Float] = try tensor("gradient.\(named.name)").floats
      let after = named.parameter.detached.floats
      let expected = try tensor("after.\(named.name)").floats
      for (index, slope) in gradient.enumerated()
      where abs(slope) > 1e-5 || slope == 0 && dtype == .float64 {
        #expect(
          abs(after[index] - expected[index]) < 2e-5,
          "\(name): \(named.name)[\(index)] after a step is \(after[index]), expected \(expected[index])")
      }
    }
  }

  func expectClose(_ found: Tensor, _ expected: Tensor, _ tolerance: Double, _ what: String) {
    #expect(found.shape == expected.shape, "\(name): \(what) has shape \(found.shape)")
    guard found.shape == expected.shape else { return }
    let a: [Double] = found.converted(to: .float64).scalars()
    let b: [Double] = expected.converted(to: .float64).scalars()
    let worst = zip(a, b).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
    #expect(worst < tolerance, "\(name): \(what) differs by \(worst)")
  }
}
