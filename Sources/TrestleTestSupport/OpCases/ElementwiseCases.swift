import Foundation
import TrestleTensor

extension OpCase {
  /// Shapes for elementwise operations: a scalar, one element, odd tails for every vector width, several dimensions.
  static let elementwiseShapes: [Shape] = [[], [1], [7], [3, 17], [2, 3, 5]]

  /// Functions of one tensor.
  static let elementwise: [OpCase] = unary + scalarForms

  private static func cases(
    _ name: String, _ domain: Domain, _ plain: @escaping @Sendable (Double) -> Double,
    _ forward: @escaping @Sendable (Tensor) -> Tensor
  ) -> [OpCase] {
    elementwiseShapes.map { shape in
      OpCase(name, [Input(shape, domain)], reference: { $0[0].map(plain) }) { forward($0[0]) }
    }
  }

  private static let unary: [OpCase] = [
    cases("negated", .real, { -$0 }) { $0.negated() },
    cases("absolute", .nonzero, { abs($0) }) { $0.absolute() },
    cases("exp", .real, { exp($0) }) { $0.exp() },
    cases("log", .positive, { log($0) }) { $0.log() },
    cases("sqrt", .positive, { $0.squareRoot() }) { $0.sqrt() },
    cases("rsqrt", .positive, { 1 / $0.squareRoot() }) { $0.rsqrt() },
    cases("reciprocal", .nonzero, { 1 / $0 }) { $0.reciprocal() },
    cases("squared", .real, { $0 * $0 }) { $0.squared() },
    cases("tanh", .real, { tanh($0) }) { $0.tanh() },
    cases("sigmoid", .real, { 1 / (1 + exp(-$0)) }) { $0.sigmoid() },
    cases("relu", .nonzero, { max($0, 0) }) { $0.relu() },
    cases("gelu", .real, { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }) { $0.gelu() },
    cases(
      "geluTanh", .real,
      { x in 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) }
    ) { $0.geluTanh() },
    cases("silu", .real, { $0 / (1 + exp(-$0)) }) { $0.silu() },
    cases("softplus", .real, { log1p(exp($0)) }) { $0.softplus() },
    cases("sin", .real, { sin($0) }) { $0.sin() },
    cases("cos", .real, { cos($0) }) { $0.cos() },
    cases("logSigmoid", .real, { -log1p(exp(-$0)) }) { $0.logSigmoid() },
    cases("erf", .real, { erf($0) }) { $0.erf() },
    cases("log1p", .positive, { log1p($0) }) { $0.log1p() },
    cases("expm1", .real, { expm1($0) }) { $0.expm1() },
    cases("sign", .nonzero, { $0 < 0 ? -1 : 1 }) { $0.sign() },
    cases("floor", .nonzero, { $0.rounded(.down) }) { $0.floor() },
    cases("ceiling", .nonzero, { $0.rounded(.up) }) { $0.ceiling() },
    cases("truncated", .nonzero, { $0.rounded(.towardZero) }) { $0.truncated() },
    cases("rounded", .nonzero, { $0.rounded(.toNearestOrEven) }) { $0.rounded() },
  ].flatMap { $0 }

  private static let scalarForms: [OpCase] = [
    cases("power 3", .real, { $0 * $0 * $0 }) { $0.power(3) },
    cases("power -0.5", .positive, { pow($0, -0.5) }) { $0.power(-0.5) },
    cases("clamped", .distinct, { min(max($0, -0.06), 0.0151) }) { $0.clamped(to: -0.06...0.0151) },
    cases("add number", .real, { $0 + 1.5 }) { $0 + 1.5 },
    cases("subtract number", .real, { $0 - 1.5 }) { $0 - 1.5 },
    cases("subtract from number", .real, { 1.5 - $0 }) { 1.5 - $0 },
    cases("multiply number", .real, { $0 * -0.7 }) { $0 * -0.7 },
    cases("divide by number", .real, { $0 / 3 }) { $0 / 3 },
    cases("divide number", .nonzero, { 2 / $0 }) { 2 / $0 },
  ].flatMap { $0 }

  /// Pairs of shapes: equal, broadcast along rows, columns, leading dimensions, both ways, and from a scalar.
  static let broadcastShapes: [(Shape, Shape)] = [
    ([], []), ([1], [1]), ([5], [5]), ([3, 17], [3, 17]), ([3, 17], [17]), ([17], [3, 17]),
    ([3, 17], [3, 1]), ([3, 1], [3, 17]), ([2, 3, 5], [2, 1, 1]), ([2, 3, 5], [2, 3, 1]),
    ([2, 3, 5], [3, 5]),
    ([2, 3, 5], [1, 5]), ([2, 3, 5], [2, 1, 5]), ([4, 1], [1, 6]), ([2, 3], []), ([], [2, 3]), ([2, 3], [1]),
  ]

  /// Functions of two tensors, with broadcasting.
  static let binary: [OpCase] =
    [
      pairs("add", .real, { $0 + $1 }) { $0 + $1 },
      pairs("subtract", .real, { $0 - $1 }) { $0 - $1 },
      pairs("multiply", .real, { $0 * $1 }) { $0 * $1 },
      pairs("divide", .nonzero, { $0 / $1 }) { $0 / $1 },
      pairs("maximum", .real, { max($0, $1) }) { Tensor.maximum($0, $1) },
      pairs("minimum", .real, { min($0, $1) }) { Tensor.minimum($0, $1) },
      pairs("power", .positive, { pow($0, $1) }) { $0.power($1) },
      pairs("remainder", .nonzero, { $0 - ($0 / $1).rounded(.down) * $1 }) { $0.remainder(dividingBy: $1) },
    ].flatMap { $0 } + selections

  private static func pairs(
    _ name: String, _ domain: Domain, _ plain: @escaping @Sendable (Double, Double) -> Double,
    _ forward: @escaping @Sendable (Tensor, Tensor) -> Tensor
  ) -> [OpCase] {
    broadcastShapes.map { a, b in
      OpCase(
        name, [Input(a, domain), Input(b, domain)], reference: { $0[0].combined(with: $0[1], plain) }
      ) { forward($0[0], $0[1]) }
    }
  }

  private static let selections: [OpCase] = ([[1], [7], [3, 17]] as [Shape]).flatMap { shape in
    [
      OpCase(
        "select", [Input(shape), Input(shape), Input(shape)],
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) {
            inputs[0][$0] < inputs[1][$0] ? inputs[1][$0] : inputs[2][$0]
          }
        }
      ) { Tensor.select($0[0].detached.isLess(than: $0[1].detached), $0[1], $0[2]) },
      OpCase(
        "where", [Input(shape), Input(shape), Input([1])],
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) { inputs[0][$0] > 0 ? inputs[1][$0] : inputs[2][$0] }
        }
      ) { inputs in
        let mask = inputs[0].detached.isGreater(than: .zeros([1], dtype: inputs[0].dtype))
        return Tensor.where(mask.converted(to: .bool), inputs[1], inputs[2])
      },
      OpCase(
        "filled", [Input(shape, .nonzero)], reference: { $0[0].map { $0 > 0 ? 7 : $0 } }
      ) { $0[0].filled(where: $0[0].detached.isGreater(than: .zeros([1], dtype: $0[0].dtype)), with: 7) },
      OpCase(
        "logic", [Input(shape, .nonzero), Input(shape, .nonzero)], isDifferentiable: false,
        reference: {
          $0[0].combined(with: $0[1]) { a, b in (a > 0 && b > 0) != (a < 0 || b > 0) ? 1 : 0 }
        }
      ) { inputs in
        let zero = Tensor.zeros([], dtype: inputs[0].dtype)
        let (a, b) = (inputs[0].isAtLeast(zero).converted(to: .bool), inputs[1].isAtMost(zero))
        return a.and(b.not()).exclusiveOr(a.not().or(b.not()))
      },
      OpCase(
        "compare", [Input(shape), Input(shape)], isDifferentiable: false,
        reference: { $0[0].combined(with: $0[1]) { $0 > $1 ? 1 : 0 } }
      ) { $0[0].isGreater(than: $0[1]) },
    ]
  }
}
