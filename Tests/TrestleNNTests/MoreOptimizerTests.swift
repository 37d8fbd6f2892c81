import Foundation
import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Optimizers beside Adam and descent: each against its formula in plain `Double` arithmetic, as PyTorch has it.
@Suite struct MoreOptimizerTests {
  private let start = [0.5, -1, 2]
  private let factors = [[1.0, -2, 0.1], [0.5, 3, -0.2], [-1, 1, 0.3]]

  /// The gradient of `sum(p · factors)` is `factors`.
  private func trained(_ make: ([Parameter]) -> Optimizer) -> [Double] {
    let p = Parameter(Tensor(start))
    let optimizer = make([p])
    for step in factors {
      optimizer.update(with: valueAndGradients(of: [p]) { (p.value * Tensor(step)).sum() }.gradients)
    }
    return p.detached.doubles
  }

  private func expect(
    _ make: ([Parameter]) -> Optimizer, _ rule: (inout Double, Double, inout [Double], Int) -> Void
  ) {
    let expected = start.indices.map { index -> Double in
      var (p, state) = (start[index], [0.0, 0, 0])
      for (step, gradient) in factors.map({ $0[index] }).enumerated() { rule(&p, gradient, &state, step) }
      return p
    }
    let mismatch = Mismatch.between(
      trained(make), expected, Tolerance(absolute: 1e-12, relative: 1e-12), in: "values")
    #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
  }

  @Test func rmspropFollowsItsFormula() {
    expect({ RMSprop($0, learningRate: 0.1, weightDecay: 0.3, momentum: 0.8, isCentered: true) }) {
      p, raw, state, _ in
      let g = raw + 0.3 * p
      state[0] = 0.99 * state[0] + 0.01 * g * g
      state[1] = 0.99 * state[1] + 0.01 * g
      state[2] = 0.8 * state[2] + g / ((state[0] - state[1] * state[1]).squareRoot() + 1e-8)
      p -= 0.1 * state[2]
    }
    expect({ RMSprop($0, learningRate: 0.1) }) { p, g, state, _ in
      state[0] = 0.99 * state[0] + 0.01 * g * g
      p -= 0.1 * g / (state[0].squareRoot() + 1e-8)
    }
  }

  @Test func adagradFollowsItsFormula() {
    expect({ Adagrad($0, learningRate: 0.1, weightDecay: 0.2, learningRateDecay: 0.5) }) {
      p, raw, state, step in
      let g = raw + 0.2 * p
      state[0] += g * g
      p -= 0.1 / (1 + Double(step) * 0.5) * g / (state[0].squareRoot() + 1e-10)
    }
  }

  @Test func lionFollowsItsFormula() {
    expect({ Lion($0, learningRate: 0.1, weightDecay: 0.2) }) { p, g, state, _ in
      let blend = 0.9 * state[0] + 0.1 * g
      p = p * (1 - 0.1 * 0.2) - 0.1 * (blend > 0 ? 1 : blend < 0 ? -1 : 0)
      state[0] = 0.99 * state[0] + 0.01 * g
    }
  }

  @Test func sparseAndDenseUpdatesAgreeWhenEveryRowIsTouched() {
    var generator = RandomGenerator(seed: 2)
    let table = Tensor.normal([6, 3], dtype: .float64, using: &generator)
    let indices = Tensor([5, 1, 2, 3, 4, 0, 2] as [Int32])
    let weights = Tensor.normal([7, 3], dtype: .float64, using: &generator)
    func train(_ make: ([Parameter]) -> Optimizer, isSparse: Bool) -> [Double] {
      let rows = Embedding(weight: table)
      let optimizer = make(rows.parameters)
      for _ in 0..<3 {
        var gradients = valueAndGradients(of: rows.parameters) { (rows(indices) * weights).squared().sum() }
          .gradients
        if !isSparse, let gradient = gradients[rows.weight] {
          gradients[rows.weight] = .dense(gradient.dense())
        }
        optimizer.update(with: gradients)
      }
      return rows.weight.detached.doubles
    }
    let makers: [([Parameter]) -> Optimizer] = [
      { RMSprop($0, momentum: 0.9, isCentered: true) }, { Adagrad($0) }, { Lion($0, weightDecay: 0.1) },
    ]
    withSteadyInstructionSet {
      for make in makers { #expect(train(make, isSparse: true) == train(make, isSparse: false)) }
    }
  }

  @Test func rowsThatABatchDidNotTouchStay() {
    let rows = Embedding(weight: Tensor.ones([4, 2]))
    let optimizer = RMSprop(rows.parameters, weightDecay: 0.1)
    optimizer.update(
      with: valueAndGradients(of: rows.parameters) { rows(Tensor([2] as [Int32])).sum() }.gradients)
    let values = rows.weight.detached.floats
    #expect(values[0..<4] == [1, 1, 1, 1] && values[6..<8] == [1, 1] && values[4] < 1)
    #expect(optimizer.state(of: rows.weight)?.tensors["variance"]?.floats[..<4] == [0, 0, 0, 0])
  }

  /// A least-squares problem with features of very different scale.
  private func finalLoss(_ make: ([Parameter]) -> Optimizer) -> Double {
    var generator = RandomGenerator(seed: 11)
    let scales = Tensor((0..<600).map { Float(pow(10.0, Double($0 % 3) - 1)) })
    let x = Tensor.normal([64, 600], using: &generator) * scales
    let target = x.matmul(Tensor.normal([600, 1], using: &generator))
    let p = Parameter(Tensor.zeros([600, 1]))
    let optimizer = make([p])
    var last = 0.0
    for _ in 0..<150 {
      let (loss, gradients) = valueAndGradients(of: [p]) { (x.matmul(p.value) - target).squared().mean() }
      optimizer.update(with: gradients)
      last = loss.item
    }
    return last
  }

  @Test func eightBitMomentsTrainAsWellAsWholeOnes() {
    let whole = finalLoss { AdamW($0, learningRate: 0.02) }
    let small = finalLoss { AdamW8bit($0, learningRate: 0.02, weightDecay: 0) }
    #expect(small < 1.2 * whole + 1e-3, "8-bit \(small), 32-bit \(whole)")
  }

  @Test func eightBitStatesAreSmallAndAreSaved() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "eight-bit-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    var generator = RandomGenerator(seed: 12)
    let layer = Linear(inputs: 40, outputs: 30, using: &generator)
    let x = Tensor.normal([8, 40], using: &generator)
    let optimizer = AdamW8bit(layer.parameters)
    func step(_ layer: Linear, _ optimizer: Optimizer) {
      optimizer.update(with: valueAndGradients(of: layer.parameters) { layer(x).squared().mean() }.gradients)
    }
    step(layer, optimizer)
    let state = optimizer.state(of: layer.weight)?.tensors ?? [:]
    let bytes = state.values.reduce(0) { $0 + $1.elementCount * $1.dtype.byteCount }
    #expect(bytes == 2 * 1200 + 2 * 5 * 4)
    try Checkpoint.save(layer, optimizers: ["": optimizer], cursor: 0, to: folder)
    let other = Linear(inputs: 40, outputs: 30, using: &generator)
    let otherOptimizer = AdamW8bit(other.parameters)
    _ = try Checkpoint.load(Int.self, from: folder, into: other, optimizers: ["": otherOptimizer])
    step(layer, optimizer)
    step(other, otherOptimizer)
    #expect(other.weight.detached.floats == layer.weight.detached.floats)
  }
}
