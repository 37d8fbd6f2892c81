import TrestleTensor

/// One operation on inputs of given shapes, for correctness, gradient and performance runs alike.
public struct OpCase: Sendable, CustomStringConvertible {
  /// What numbers an input consists of.
  public enum Domain: Sendable {
    /// Normally distributed.
    case real
    /// Between 0.3 and 2.3.
    case positive
    /// Between 0.2 and 1.7 in absolute value: away from a kink or pole at 0.
    case nonzero
    /// At least 0.01 apart from each other: no two are equal, and a small step changes no order.
    case distinct
    /// `int32`, from `0..<bound`.
    case index(below: Int)
    /// `int32` labels, from `0..<bound`; every fourth is −1.
    case label(below: Int)
  }

  /// How an input lies in memory.
  public enum Layout: String, Sendable, CaseIterable {
    /// Row-major, without gaps.
    case dense
    /// The first and last dimension exchanged in memory.
    case transposed
    /// Part of a larger tensor, at an odd offset and with gaps between rows.
    case sliced
  }

  /// An input's shape and numbers.
  public struct Input: Sendable {
    /// The shape.
    public let shape: Shape
    /// What numbers it consists of.
    public let domain: Domain

    /// An input of the given shape.
    public init(_ shape: Shape, _ domain: Domain = .real) {
      self.shape = shape
      self.domain = domain
    }
  }

  /// The operation's name, the same for all its shapes.
  public let name: String
  /// The inputs.
  public let inputs: [Input]
  /// The operation.
  public let forward: @Sendable ([Tensor]) -> Tensor
  /// The result by plain loops; `nil` if the case is checked otherwise.
  public let reference: (@Sendable ([PlainArray]) -> PlainArray)?
  /// Whether gradients exist.
  public let isDifferentiable: Bool

  /// A case; `forward` gets the inputs in their order.
  public init(
    _ name: String, _ inputs: [Input], isDifferentiable: Bool = true,
    reference: (@Sendable ([PlainArray]) -> PlainArray)? = nil,
    forward: @escaping @Sendable ([Tensor]) -> Tensor
  ) {
    self.name = name
    self.inputs = inputs
    self.forward = forward
    self.reference = reference
    self.isDifferentiable = isDifferentiable
  }

  /// Name and shapes.
  public var description: String {
    name + " " + inputs.map { "\($0.shape)" }.joined(separator: " ")
  }

  /// The inputs of a type and layout; the same seed gives the same numbers in every layout.
  public func makeInputs(_ dtype: DType, layout: Layout = .dense, seed: UInt64 = 1) -> [Tensor] {
    inputs.enumerated().map { position, input in
      var generator = RandomGenerator(seed: seed).split(UInt64(position))
      let tensor = Self.make(input, dtype, &generator)
      return tensor.dtype == .int32 ? tensor : Self.arranged(tensor, layout)
    }
  }

  private static func make(_ input: Input, _ dtype: DType, _ generator: inout RandomGenerator) -> Tensor {
    let count = input.shape.elementCount
    func floating(_ next: (Int) -> Double) -> Tensor {
      Tensor((0..<count).map(next), shape: input.shape).converted(to: dtype)
    }
    switch input.domain {
    case .real: return floating { _ in generator.normal() }
    case .positive: return floating { _ in 0.3 + 2 * generator.uniform() }
    case .nonzero:
      return floating { _ in (0.2 + 1.5 * generator.uniform()) * (generator.next() & 1 == 0 ? 1 : -1) }
    case .distinct:
      var order = Array(0..<count)
      generator.shuffle(&order)
      return floating { (Double(order[$0]) - Double(count) / 2) * 0.02 + 0.005 * generator.uniform() }
    case .index(let bound):
      return Tensor((0..<count).map { _ in Int32(generator.index(below: bound)) }, shape: input.shape)
    case .label(let bound):
      return Tensor(
        (0..<count).map { $0 % 4 == 3 ? -1 : Int32(generator.index(below: bound)) }, shape: input.shape)
    }
  }

  /// The same elements in another memory layout.
  public static func arranged(_ tensor: Tensor, _ layout: Layout) -> Tensor {
    guard tensor.rank > 0 else { return tensor }
    switch layout {
    case .dense: return tensor
    case .transposed:
      var order = Array(0..<tensor.rank)
      order.swapAt(0, tensor.rank - 1)
      return tensor.permuted(order).copied().permuted(order)
    case .sliced:
      var wide = Array(tensor.shape)
      wide[tensor.rank - 1] = 1
      let filler = Tensor.full(Shape(wide), 99, dtype: tensor.dtype)
      return Tensor.concatenated([filler, tensor, filler, filler], along: -1)
        .sliced(1..<1 + tensor.shape[tensor.rank - 1], along: -1)
    }
  }

  /// Every case.
  public static let all: [OpCase] =
    elementwise + binary + views + reductions + softmaxFamily + normalization + indexing + products
    + attention + rearrangements + axisOperations + algebra + convolutions
}
