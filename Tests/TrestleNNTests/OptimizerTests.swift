import Foundation
import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

@Suite struct OptimizerTests {
  /// Adam on one number, in plain Double arithmetic.
  private func plainAdam(
    _ start: Double, gradients: [Double], rate: Double, decay: Double, isDecoupled: Bool
  ) -> Double {
    var (p, m, v) = (start, 0.0, 0.0)
    for (index, raw) in gradients.enumerated() {
      let t = Double(index + 1)
      var g = raw
      if isDecoupled { p *= 1 - rate * decay } else { g += decay * p }
      m = 0.9 * m + 0.1 * g
      v = 0.999 * v + 0.001 * g * g
      p -= rate * (m / (1 - pow(0.9, t))) / ((v / (1 - pow(0.999, t))).squareRoot() + 1e-8)
    }
    return p
  }

  /// The gradient of `sum(p · factors)` is `factors`.
  private func gradients(_ p: Parameter, _ factors: [Double]) -> Gradients {
    valueAndGradients(of: [p]) { (p.value * Tensor(factors)).sum() }.gradients
  }

  @Test(arguments: [true, false]) func adamFollowsItsFormula(isDecoupled: Bool) {
    let start = [0.5, -1, 2]
    let p = Parameter(Tensor(start))
    let optimizer =
      isDecoupled
      ? AdamW([p], learningRate: 0.1, weightDecay: 0.3) : Adam([p], learningRate: 0.1, weightDecay: 0.3)
    let factors = [[1.0, -2, 0.1], [0.5, 3, -0.2], [-1, 1, 0.3]]
    for step in factors { optimizer.update(with: gradients(p, step)) }
    let values = p.detached.scalars(as: Double.self)
    for index in 0..<3 {
      let expected = plainAdam(
        start[index], gradients: factors.map { $0[index] }, rate: 0.1, decay: 0.3, isDecoupled: isDecoupled)
      #expect(abs(values[index] - expected) < 1e-12)
    }
    #expect(optimizer.stepCount == 3)
  }

  @Test func descentFollowsItsFormula() {
    let p = Parameter(Tensor([1.0, -1]))
    let optimizer = SGD([p], learningRate: 0.1, weightDecay: 0.2, momentum: 0.9, isNesterov: true)
    var (value, buffer) = (1.0, 0.0)
    for (step, raw) in [1.0, 2, -0.5].enumerated() {
      optimizer.update(with: gradients(p, [raw, 0]))
      let g = raw + 0.2 * value
      buffer = step == 0 ? g : 0.9 * buffer + g
      value -= 0.1 * (g + 0.9 * buffer)
    }
    #expect(abs(p.detached.scalars(as: Double.self)[0] - value) < 1e-12)
  }

  @Test func onlyTheRowsOfABatchMoveAndInPlace() {
    var generator = RandomGenerator(seed: 1)
    let table = Embedding(count: 1000, width: 5, using: &generator)
    let before = table.weight.detached.floats
    let optimizer = AdamW(table.parameters, learningRate: 0.1, weightDecay: 0.1)
    let indices = Tensor([7, 999, 7, 0] as [Int32])
    func address() -> UnsafeMutableRawPointer { table.weight.detached.data }
    let place = address()
    for _ in 0..<3 {
      let (_, gradients) = valueAndGradients(of: table.parameters) { table(indices).squared().sum() }
      guard case .rows(let rows) = gradients[table.weight] else {
        Issue.record("the gradient of a lookup is not row-sparse")
        return
      }
      #expect(rows.indices.scalars(as: Int32.self) == [0, 7, 999])
      optimizer.update(with: gradients)
    }
    #expect(address() == place)
    let after = table.weight.detached.floats
    for row in 0..<1000 {
      let moved = (0..<5).contains { before[row * 5 + $0] != after[row * 5 + $0] }
      #expect(moved == [0, 7, 999].contains(row))
    }
    let moments = optimizer.state(of: table.weight)?.tensors["mean"]?.floats ?? []
    #expect(moments.enumerated().allSatisfy { $1 == 0 || [0, 7, 999].contains($0 / 5) })
  }

  @Test func sparseAndDenseUpdatesAgreeWhenEveryRowIsTouched() {
    var generator = RandomGenerator(seed: 2)
    let start = Tensor.normal([6, 3], dtype: .float64, using: &generator)
    let indices = Tensor([0, 1, 2, 3, 4, 5, 2, 2] as [Int32])
    let factors = Tensor.normal([8, 3], dtype: .float64, using: &generator)
    func train(_ make: ([Parameter]) -> Optimizer, sparse: Bool) -> [Double] {
      let table = Embedding(weight: start)
      let optimizer = make(table.parameters)
      for _ in 0..<4 {
        var (_, gradients) = valueAndGradients(of: table.parameters) {
          (table(indices) * factors).squared().sum()
        }
        if !sparse, let gradient = gradients[table.weight] {
          gradients[table.weight] = .dense(gradient.dense())
        }
        optimizer.update(with: gradients)
      }
      return table.weight.detached.scalars()
    }
    let makers: [([Parameter]) -> Optimizer] = [
      { Adam($0, learningRate: 0.1, weightDecay: 0.1) }, { AdamW($0, learningRate: 0.1) },
      { SGD($0, learningRate: 0.01, momentum: 0.9) }, { SGD($0, learningRate: 0.01) },
    ]
    withSteadyInstructionSet {
      for make in makers { #expect(train(make, sparse: true) == train(make, sparse: false)) }
    }
  }

  @Test func clippingLimitsTheCommonNorm() {
    let (a, b) = (Parameter(Tensor([0.0])), Parameter(Tensor([0.0])))
    let optimizer = SGD([a, b], learningRate: 1)
    optimizer.maximumNorm = 1
    let (_, gradients) = valueAndGradients(of: [a, b]) { (a.value * 3 + b.value * 4).sum() }
    optimizer.update(with: gradients)
    #expect(abs((optimizer.lastNorm ?? 0) - 5) < 1e-12)
    #expect(abs(a.detached.item + 0.6) < 1e-6 && abs(b.detached.item + 0.8) < 1e-6)
    // Another optimizer's parameters do not count.
    let alone = SGD([a], learningRate: 0)
    alone.maximumNorm = 1
    alone.update(with: gradients)
    #expect(abs((alone.lastNorm ?? 0) - 3) < 1e-12)
  }

  @Test func groupsHaveTheirOwnRatesAndFrozenParametersStay() {
    let parameters = (0..<3).map { _ in Parameter(Tensor([1.0])) }
    parameters[2].isTrainable = false
    let optimizer = SGD(groups: [
      ParameterGroup(parameters: [parameters[0]], learningRate: 0.1),
      ParameterGroup(parameters: [parameters[1], parameters[2]], learningRate: 0.1, multiplier: 0.5),
    ])
    optimizer.schedule = .constant(warmup: 2)
    let (_, gradients) = valueAndGradients(of: parameters) {
      (parameters[0].value + parameters[1].value + parameters[2].value).sum()
    }
    optimizer.update(with: gradients)
    let moved = parameters.map { 1 - $0.detached.item }
    #expect(abs(moved[0] - 0.05) < 1e-12 && abs(moved[1] - 0.025) < 1e-12 && moved[2] == 0)
  }

  @Test func schedulesFollowTheirCurves() {
    let linear = LearningRateSchedule.linear(warmup: 4, total: 12, final: 0.5)
    #expect([0, 3, 4, 8, 12, 99].map(linear.factor) == [0.25, 1, 1, 0.75, 0.5, 0.5])
    let cosine = LearningRateSchedule.cosine(warmup: 0, total: 10, final: 0)
    #expect(abs(cosine.factor(at: 5) - 0.5) < 1e-12 && abs(cosine.factor(at: 10)) < 1e-12)
    let step = LearningRateSchedule.step(interval: 10, factor: 0.1)
    #expect(step.factor(at: 9) == 1 && abs(step.factor(at: 20) - 0.01) < 1e-15)
    #expect(LearningRateSchedule.constant().factor(at: 0) == 1)
  }
}
