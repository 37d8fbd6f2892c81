import TrestleTensor

/// Compares gradients with central differences in Float64.
///
/// The loss is Σ output · c with fixed random factors c, so that every output element counts. Returns failures as
/// values; a test expects them to be empty:
///
/// ```swift
/// let failures = GradientChecker().failures(of: "softmax", inputs: [x]) { $0[0].softmax() }
/// #expect(failures.isEmpty, "\(failures)")
/// ```
public struct GradientChecker: Sendable {
  /// What is compared.
  public enum Mode: Sendable {
    /// Every element's derivative.
    case elements
    /// The derivatives along so many random directions through all inputs at once: for large inputs.
    case directions(Int)
  }

  /// What is compared.
  public var mode: Mode
  /// ε, the distance of the two points.
  public var step: Double
  /// How far the derivatives may be apart.
  public var tolerance: Tolerance
  /// Determines the factors and directions.
  public var seed: UInt64

  /// A checker; the defaults suit most operations.
  public init(
    _ mode: Mode = .elements, step: Double = 1e-6, tolerance: Tolerance = .gradient, seed: UInt64 = 1
  ) {
    self.mode = mode
    self.step = step
    self.tolerance = tolerance
    self.seed = seed
  }

  /// Checks the gradients of a function with respect to its Float64 inputs; integer inputs are held fixed.
  ///
  /// - Parameters:
  ///   - name: begins each message.
  ///   - inputs: where the gradients are taken.
  ///   - forward: the function; called several times with the same values it must compute the same.
  public func failures(
    of name: String, inputs: [Tensor], _ forward: ([Tensor]) -> Tensor
  ) -> [Mismatch] {
    let active = inputs.indices.filter { inputs[$0].dtype == .float64 }
    func loss(_ values: [Tensor]) -> Tensor {
      var all = inputs
      for (position, index) in active.enumerated() { all[index] = values[position] }
      return weighted(forward(all))
    }
    func analytic() -> [Tensor?] {
      let tape = Tape()
      let variables = active.map { tape.variable(inputs[$0]) }
      let value = loss(variables)
      guard value.isTracked else { return active.map { _ in nil } }
      let gradients = value.gradients(of: variables)
      return variables.map { gradients[$0] }
    }
    return compare(name, values: active.map { inputs[$0] }, analytic: analytic) { loss($0).item }
  }

  /// Checks the gradients of a function with respect to Float64 parameters, such as those of a layer.
  ///
  /// The parameters have their values back afterwards.
  public func failures(
    of name: String, parameters: [Parameter], _ forward: () -> Tensor
  ) -> [Mismatch] {
    let before = parameters.map(\.detached)
    defer { for (parameter, value) in zip(parameters, before) { parameter.update(to: value) } }
    func analytic() -> [Tensor?] {
      let gradients = valueAndGradients(of: parameters) { weighted(forward()) }.gradients
      return parameters.map { gradients[$0]?.dense() }
    }
    return compare(name, values: before, analytic: analytic) { values in
      for (parameter, value) in zip(parameters, values) { parameter.update(to: value) }
      return weighted(forward()).item
    }
  }

  private func weighted(_ output: Tensor) -> Tensor {
    var generator = RandomGenerator(seed: seed &+ 0x5EED)
    return (output * Tensor.uniform(output.shape, in: 0.5..<1.5, dtype: output.dtype, using: &generator))
      .sum()
  }

  private func compare(
    _ name: String, values: [Tensor], analytic: () -> [Tensor?], _ loss: ([Tensor]) -> Double
  ) -> [Mismatch] {
    let gradients = analytic()
    var failures: [Mismatch] = []
    for (index, pair) in zip(gradients, analytic()).enumerated() {
      guard let (first, second) = pair.0.flatMap({ first in pair.1.map { (first, $0) } }) else { continue }
      if let mismatch = Mismatch.inBits(second, first, in: "\(name), input \(index), backward run twice") {
        failures.append(mismatch)
      }
      if first.shape != values[index].shape {
        failures.append(
          Mismatch("\(name), input \(index): gradient \(first.shape) of a value \(values[index].shape)"))
      }
    }
    guard failures.isEmpty else { return failures }
    switch mode {
    case .elements: return compareElements(name, values, gradients, loss)
    case .directions(let count): return compareDirections(name, values, gradients, count, loss)
    }
  }

  private func compareElements(
    _ name: String, _ values: [Tensor], _ gradients: [Tensor?], _ loss: ([Tensor]) -> Double
  ) -> [Mismatch] {
    values.indices.compactMap { input in
      let scalars = values[input].scalars(as: Double.self)
      let numeric = scalars.indices.map { element in
        func moved(_ distance: Double) -> Double {
          var changed = scalars
          changed[element] += distance
          var all = values
          all[input] = Tensor(changed, shape: values[input].shape)
          return loss(all)
        }
        return (moved(step) - moved(-step)) / (2 * step)
      }
      let found = gradients[input]?.doubles ?? [Double](repeating: 0, count: scalars.count)
      return Mismatch.between(found, numeric, tolerance, in: "\(name), gradient of input \(input)")
    }
  }

  private func compareDirections(
    _ name: String, _ values: [Tensor], _ gradients: [Tensor?], _ count: Int, _ loss: ([Tensor]) -> Double
  ) -> [Mismatch] {
    var generator = RandomGenerator(seed: seed)
    return (0..<count).compactMap { number in
      let directions = values.map { Tensor.normal($0.shape, dtype: .float64, using: &generator) }
      func moved(_ distance: Double) -> Double {
        loss(zip(values, directions).map { $0 + $1 * distance })
      }
      let numeric = (moved(step) - moved(-step)) / (2 * step)
      let found = zip(gradients, directions).reduce(0.0) { total, pair in
        total + (pair.0.map { ($0 * pair.1).sum().item } ?? 0)
      }
      return Mismatch.between([found], [numeric], tolerance, in: "\(name), along direction \(number)")
    }
  }
}
