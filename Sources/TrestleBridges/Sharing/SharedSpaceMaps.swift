import TrestleLanguageModels
import TrestleTensor

/// A fixed map with orthonormal rows from the shared space to a wider one, and back.
///
/// up(x) = mean + scale · x Q, with Q `[shared, wide]`, Q Qᵀ = 1; down(y) = (y − mean) Qᵀ / scale. So down(up(x)) = x:
/// nothing is lost on the way, and distances keep their proportions.
public struct OrthonormalMap: Sendable {
  /// Q, `[shared, wide]`.
  public let basis: Tensor
  /// What is added to every mapped row, `[wide]`.
  public let mean: Tensor
  /// What rows are multiplied by.
  public let scale: Double

  /// A map with the given parts.
  public init(basis: Tensor, mean: Tensor, scale: Double) {
    precondition(
      basis.rank == 2 && mean.shape == [basis.shape[1]],
      "OrthonormalMap: basis \(basis.shape), mean \(mean.shape)")
    self.basis = basis
    self.mean = mean
    self.scale = scale
  }

  /// A random map that gives rows of the distribution of `rows` the given mean and spread.
  ///
  /// - Parameters:
  ///   - rows: what will be mapped, `[n, shared]`.
  ///   - mean: the mean of mapped rows, `[wide]`.
  ///   - deviation: the standard deviation that an element of them should have about that mean.
  ///   - generator: where the map comes from.
  /// - Precondition: the wide space is at least as wide as the shared one.
  public init(matching rows: Tensor, mean: Tensor, deviation: Double, using generator: inout RandomGenerator)
  {
    let (shared, wide) = (rows.shape[1], mean.elementCount)
    precondition(shared <= wide, "OrthonormalMap: no orthonormal map from width \(shared) to \(wide)")
    let basis = EntityTokens.orthonormalMap(from: shared, to: wide, using: &generator)
    // An orthonormal map keeps lengths, and spreads a row's length over `wide` elements.
    let perElement = (rows.squared().sum().item / Double(max(rows.shape[0], 1) * wide)).squareRoot()
    self.init(basis: basis, mean: mean, scale: perElement > 0 ? deviation / perElement : 1)
  }

  /// From the shared space to the wide one.
  public func up(_ rows: Tensor) -> Tensor { rows.matmul(basis) * scale + mean }

  /// From the wide space to the shared one; gradients flow through.
  public func down(_ rows: Tensor) -> Tensor {
    (rows - mean).matmul(basis, transposingOther: true) * (1 / scale)
  }
}

/// An affine map fitted by ridge regression: y ≈ mean_y + (x − mean_x) W.
public struct RidgeMap: Sendable {
  /// W, `[inputs, outputs]`.
  public let weight: Tensor
  /// The mean of the inputs, `[inputs]`.
  public let inputMean: Tensor
  /// The mean of the outputs, `[outputs]`.
  public let outputMean: Tensor

  /// A map with the given parts.
  public init(weight: Tensor, inputMean: Tensor, outputMean: Tensor) {
    self.weight = weight
    self.inputMean = inputMean
    self.outputMean = outputMean
  }

  /// Minimises Σ wᵢ‖yᵢ − ŷᵢ‖² + λ‖W‖² with λ = `strength` · Σ wᵢ‖xᵢ‖² / inputs, for centred x.
  ///
  /// - Parameters:
  ///   - inputs: `[examples, inputs]`.
  ///   - outputs: `[examples, outputs]`.
  ///   - strength: λ in multiples of the inputs' size.
  ///   - weights: w, how much each example counts, `[examples]`; `nil` for 1.
  public init(inputs: Tensor, outputs: Tensor, strength: Double = 0.1, weights: Tensor? = nil) {
    precondition(
      inputs.rank == 2 && outputs.rank == 2 && inputs.shape[0] == outputs.shape[0]
        && weights?.shape ?? [inputs.shape[0]] == [inputs.shape[0]],
      "RidgeMap: inputs \(inputs.shape), outputs \(outputs.shape), weights \(weights?.shape ?? [])")
    let weights = weights ?? .ones([inputs.shape[0]])
    let total = Swift.max(weights.sum().item, 1e-12)
    let column = weights.expanded(at: 1)
    let xMean = (inputs * column).sum(along: [0]) * (1 / total)
    let yMean = (outputs * column).sum(along: [0]) * (1 / total)
    let roots = column.sqrt()
    let x = ((inputs - xMean) * roots).converted(to: .float64)
    let y = ((outputs - yMean) * roots).converted(to: .float64)
    let width = x.shape[1]
    let energy = x.squared().sum().item / Double(max(width, 1))
    let gram = x.matmul(x, transposingSelf: true)
    let target = x.matmul(y, transposingSelf: true)
    let solution = Self.solve(
      gram.scalars(as: Double.self), diagonal: Swift.max(strength * energy, 1e-9),
      target.scalars(as: Double.self),
      width, y.shape[1])
    weight = Tensor(solution, shape: [width, y.shape[1]]).converted(to: .float32)
    inputMean = xMean
    outputMean = yMean
  }

  /// The mapped rows; gradients flow through.
  public func callAsFunction(_ rows: Tensor) -> Tensor { (rows - inputMean).matmul(weight) + outputMean }

  /// Solves (A + diagonal · 1) X = B for a symmetric positive semidefinite A, by Cholesky's factorisation.
  private static func solve(
    _ a: [Double], diagonal: Double, _ b: [Double], _ n: Int, _ columns: Int
  ) -> [Double] {
    var factor = a
    for i in 0..<n { factor[i * n + i] += diagonal }
    factor.withUnsafeMutableBufferPointer { l in
      for j in 0..<n {
        for k in 0..<j {
          let value = l[j * n + k]
          if value == 0 { continue }
          for i in j..<n { l[i * n + j] -= l[i * n + k] * value }
        }
        let pivot = l[j * n + j].squareRoot()
        for i in j..<n { l[i * n + j] /= pivot }
      }
    }
    var x = b
    for i in 0..<n {
      for k in 0..<i {
        let value = factor[i * n + k]
        for c in 0..<columns { x[i * columns + c] -= value * x[k * columns + c] }
      }
      for c in 0..<columns { x[i * columns + c] /= factor[i * n + i] }
    }
    for i in stride(from: n - 1, through: 0, by: -1) {
      for k in i + 1..<Swift.max(n, i + 1) {
        let value = factor[k * n + i]
        for c in 0..<columns { x[i * columns + c] -= value * x[k * columns + c] }
      }
      for c in 0..<columns { x[i * columns + c] /= factor[i * n + i] }
    }
    return x
  }
}
