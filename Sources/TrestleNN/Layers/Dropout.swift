import TrestleTensor

/// Zeroes elements at random while training, and scales the others by 1 / (1 − rate); does nothing otherwise.
///
/// The layer holds its generator: the same seed gives the same masks, and a checkpoint stores its state.
///
/// Source: Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting* (2014).
public final class Dropout: TrainingDependent {
  /// The probability with which an element becomes 0.
  public let rate: Double
  /// Where the masks come from.
  public var generator: RandomGenerator
  /// Whether elements are dropped.
  public var isTraining = true

  /// A layer that draws from its own copy of `generator`.
  ///
  /// - Parameters:
  ///   - rate: the probability with which an element is dropped.
  ///   - generator: advanced once, so that layers made one after the other draw different masks.
  public init(rate: Double, using generator: inout RandomGenerator) {
    precondition(rate >= 0 && rate < 1, "Dropout: rate \(rate) is outside 0..<1")
    self.rate = rate
    self.generator = RandomGenerator(seed: generator.next())
  }

  /// `x` with elements dropped, if this is training.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    isTraining && rate > 0 ? x.dropout(rate: rate, using: &generator) : x
  }
}
