import TrestleRecommenders
import TrestleTensor

/// A map from what a model makes of texts to the store's rows, fitted by kernel ridge regression.
///
/// Inputs are standardised by dimension (some dimensions of a language model's states are hundreds of times larger than the
/// rest) and scaled to length 1; then ŷ(x) = ȳ + Σᵢ k(x, xᵢ) aᵢ with (K + λ W⁻¹) a = Y − ȳ, where W holds how much each
/// example counts, scaled to mean 1, and λ is in multiples of the kernel's mean diagonal.
public struct KernelRidge: Sendable {
  /// What two inputs have in common.
  public enum Kernel: Codable, Sendable, Hashable {
    /// Their cosine.
    case linear
    /// exp(s · (cosine − 1)): near texts count, far ones hardly.
    case exponential(sharpness: Double)
  }

  /// The kernel and the strength of the penalty.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The kernel.
    public var kernel: Kernel
    /// λ, in multiples of the kernel's mean diagonal.
    public var strength: Double
    /// The most examples that are kept, those that count most: the fit takes the cube of their number.
    public var maximumExamples: Int

    /// A kernel and a penalty.
    public init(kernel: Kernel = .linear, strength: Double = 1, maximumExamples: Int = 6000) {
      self.kernel = kernel
      self.strength = strength
      self.maximumExamples = maximumExamples
    }

    /// Those that validation chooses among.
    public static let candidates: [Configuration] =
      [0.1, 0.3, 1, 3].map { Configuration(kernel: .linear, strength: $0) }
      + [0.03, 0.1, 0.3, 1].map { Configuration(kernel: .exponential(sharpness: 2), strength: $0) }
  }

  /// The kernel and the penalty.
  public let configuration: Configuration
  /// Standardisation and scaling of the inputs.
  public let scaling: InputScaling
  /// The examples, scaled, `[examples, inputs]`.
  public let examples: Tensor
  /// a, `[examples, outputs]`.
  public let coefficients: Tensor
  /// ȳ, the weighted mean of the outputs, `[outputs]`.
  public let outputMean: Tensor

  /// Fits the map.
  ///
  /// - Parameters:
  ///   - inputs: `[examples, inputs]`.
  ///   - outputs: `[examples, outputs]`.
  ///   - weights: how much each example counts, `[examples]`; those of 0 or less take no part.
  ///   - scaling: how inputs are scaled.
  ///   - configuration: kernel and penalty.
  /// - Precondition: at least one example counts.
  public init(
    inputs: Tensor, outputs: Tensor, weights: [Float], scaling: InputScaling,
    configuration: Configuration = Configuration()
  ) {
    precondition(
      inputs.rank == 2 && outputs.rank == 2 && inputs.shape[0] == outputs.shape[0]
        && weights.count == inputs.shape[0],
      "KernelRidge: inputs \(inputs.shape), outputs \(outputs.shape), \(weights.count) weights")
    let chosen = Self.examples(weights, configuration.maximumExamples)
    let ids = Tensor(chosen)
    let kept = chosen.map { Double(weights[Int($0)]) }
    let total = kept.reduce(0, +)
    self.configuration = configuration
    self.scaling = scaling
    examples = scaling(inputs.gatheredRows(ids))
    let targets = outputs.gatheredRows(ids)
    let shares = Tensor(kept.map { Float($0 / total) }, shape: [kept.count, 1])
    outputMean = (targets * shares).sum(along: [0])
    let factor = Self.factor(examples, kept, configuration)
    coefficients = BlockCholesky.solve(factor, (targets - outputMean).converted(to: .float64))
      .converted(to: .float32)
  }

  /// The mapped rows, `[rows, outputs]`; gradients flow through.
  public func callAsFunction(_ inputs: Tensor) -> Tensor {
    Self.kernel(scaling(inputs), examples, configuration.kernel).matmul(coefficients) + outputMean
  }

  /// How much each example counts in what is predicted of some rows: predictions are `matrix · outputs`, whatever the outputs.
  ///
  /// So what a map says of rows of one recommender, it says of the scores of any: those of an item that nobody has touched are
  /// weighted sums of those of the known items that read alike.
  ///
  /// - Parameters:
  ///   - inputs: `[rows, inputs]`: what all items read as.
  ///   - weights: how much each row counts as an example, `[rows]`; those of 0 or less are none.
  ///   - targets: the rows that are predicted.
  ///   - configuration: kernel and penalty.
  /// - Returns: the examples, ascending, and a matrix `[targets, examples]`.
  public static func smoother(
    inputs: Tensor, weights: [Float], targets: [Int32], configuration: Configuration
  ) -> (examples: [Int32], matrix: Tensor) {
    let scaling = InputScaling(fitting: inputs)
    let chosen = examples(weights, configuration.maximumExamples)
    let scaled = scaling(inputs.gatheredRows(Tensor(chosen)))
    let kept = chosen.map { Double(weights[Int($0)]) }
    let factor = factor(scaled, kept, configuration)
    let near = kernel(scaled, scaling(inputs.gatheredRows(Tensor(targets))), configuration.kernel)
    let solved = BlockCholesky.solve(factor, near.converted(to: .float64)).converted(to: .float32)
      .transposed().dense()
    // The outputs' weighted mean is taken off before and added after.
    let total = kept.reduce(0, +)
    let shares = Tensor(kept.map { Float($0 / total) }, shape: [1, kept.count])
    let rest = 1 - solved.sum(along: [1], keepingDimensions: true)
    return (chosen, solved + rest * shares)
  }

  /// The rows that count most, at most `limit`, ascending.
  private static func examples(_ weights: [Float], _ limit: Int) -> [Int32] {
    let counting = weights.indices.filter { weights[$0] > 0 }
    precondition(!counting.isEmpty, "KernelRidge: no example counts")
    return counting.sorted { (-weights[$0], $0) < (-weights[$1], $1) }.prefix(limit).sorted().map {
      Int32($0)
    }
  }

  /// The factor of K + λ W⁻¹, W scaled to mean 1.
  private static func factor(_ examples: Tensor, _ weights: [Double], _ configuration: Configuration)
    -> Tensor
  {
    let gram = kernel(examples, examples, configuration.kernel).converted(to: .float64)
    // Inputs that say nothing have a kernel of zeros: what is predicted is then the mean.
    let diagonal = Swift.max(gram.diagonalMean, 1e-9)
    let mean = weights.reduce(0, +) / Double(weights.count)
    let factor = gram.addingToDiagonal(
      weights.map { Swift.max(configuration.strength, 1e-6) * diagonal * mean / $0 })
    BlockCholesky.factorize(factor)
    return factor
  }

  private static func kernel(_ a: Tensor, _ b: Tensor, _ kernel: Kernel) -> Tensor {
    let cosines = a.matmul(b, transposingOther: true)
    switch kernel {
    case .linear: return cosines
    case .exponential(let sharpness): return ((cosines - 1) * sharpness).exp()
    }
  }

  /// What maps fitted without each row predict of it: examples are parted into folds, drawn by `seed`, and each is predicted
  /// by the map of the others. Rows of no weight are predicted by the mean of all folds' maps.
  ///
  /// So what is written for an entity comes from a map that has not seen the entity's own row: it is no echo.
  /// - Returns: `[rows, outputs]`.
  public static func crossFitted(
    inputs: Tensor, outputs: Tensor, weights: [Float], scaling: InputScaling,
    configuration: Configuration = Configuration(), folds: Int = 5, seed: UInt64
  ) -> Tensor {
    let count = inputs.shape[0]
    var generator = RandomGenerator(seed: seed).split(2)
    var order = weights.indices.filter { weights[$0] > 0 }
    generator.shuffle(&order)
    var foldOf = [Int](repeating: -1, count: count)
    for (place, row) in order.enumerated() { foldOf[row] = place % folds }
    let result = Tensor.zeros([count, outputs.shape[1]])
    let unseen = weights.indices.filter { foldOf[$0] < 0 }.map { Int32($0) }
    for fold in 0..<folds {
      let kept = weights.indices.map { foldOf[$0] == fold ? 0 : weights[$0] }
      guard kept.contains(where: { $0 > 0 }) else { continue }
      let map = KernelRidge(
        inputs: inputs, outputs: outputs, weights: kept, scaling: scaling, configuration: configuration)
      let held = weights.indices.filter { foldOf[$0] == fold }.map { Int32($0) }
      if !held.isEmpty {
        result.scatterAddInPlace(map(inputs.gatheredRows(Tensor(held))), at: Tensor(held))
      }
      if !unseen.isEmpty {
        result.scatterAddInPlace(
          map(inputs.gatheredRows(Tensor(unseen))) * (1 / Double(folds)), at: Tensor(unseen))
      }
    }
    return result
  }
}

/// Brings every dimension to mean 0 and deviation 1, and every row to length 1.
public struct InputScaling: Sendable {
  /// The mean of each dimension, `[inputs]`.
  public let mean: Tensor
  /// What each centred dimension is multiplied by, `[inputs]`.
  public let scale: Tensor

  /// A scaling with the given parts.
  public init(mean: Tensor, scale: Tensor) {
    precondition(mean.shape == scale.shape, "InputScaling: mean \(mean.shape), scale \(scale.shape)")
    self.mean = mean
    self.scale = scale
  }

  /// The scaling that fits `rows`, `[rows, inputs]`; it needs no outputs, so rows without one count too.
  public init(fitting rows: Tensor) {
    mean = rows.mean(along: [0])
    scale = ((rows - mean).squared().mean(along: [0]) + 1e-8).sqrt().reciprocal()
  }

  /// The scaled rows; gradients flow through.
  public func callAsFunction(_ rows: Tensor) -> Tensor { ((rows - mean) * scale).unitNormalized() }
}

extension Tensor {
  /// The mean of a square matrix's diagonal.
  fileprivate var diagonalMean: Double {
    let values: [Double] = scalars()
    let count = shape[0]
    return (0..<count).reduce(0) { $0 + values[$1 * count + $1] } / Double(Swift.max(count, 1))
  }

  /// A square `float64` matrix with numbers added to its diagonal.
  fileprivate func addingToDiagonal(_ numbers: [Double]) -> Tensor {
    var values: [Double] = scalars()
    for (place, number) in numbers.enumerated() { values[place * numbers.count + place] += number }
    return Tensor(values, shape: shape)
  }
}
