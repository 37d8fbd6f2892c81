import TrestleTensor

/// How far two numbers may be apart: |actual − expected| ≤ absolute + relative · |expected|.
public struct Tolerance: Sendable, Hashable {
  /// The part that does not depend on the numbers.
  public var absolute: Double
  /// The part that grows with the expected number.
  public var relative: Double

  /// A tolerance of both parts.
  public init(absolute: Double, relative: Double) {
    self.absolute = absolute
    self.relative = relative
  }

  /// For gradients in Float64 against central differences.
  public static let gradient = Tolerance(absolute: 1e-5, relative: 1e-3)
  /// For short Float32 computations against the same in Float64.
  public static let float32 = Tolerance(absolute: 2e-5, relative: 2e-5)
  /// For Float64 computations whose order of additions differs.
  public static let float64 = Tolerance(absolute: 1e-11, relative: 1e-11)
  /// The same numbers; NaN equals NaN.
  public static let exact = Tolerance(absolute: 0, relative: 0)

  /// Whether `actual` is near enough; infinities and NaN must agree.
  public func accepts(_ actual: Double, _ expected: Double) -> Bool {
    if actual == expected || actual.isNaN && expected.isNaN { return true }
    return abs(actual - expected) <= absolute + relative * abs(expected)
  }
}

/// Two arrays that should agree and do not, in words.
public struct Mismatch: Error, CustomStringConvertible, Sendable {
  /// What was compared, how many elements differ, and the worst of them.
  public let description: String

  /// A mismatch described by `description`.
  public init(_ description: String) { self.description = description }

  /// Compares element by element; `nil` if all are within the tolerance.
  public static func between(
    _ actual: [Double], _ expected: [Double], _ tolerance: Tolerance, in name: String
  ) -> Mismatch? {
    guard actual.count == expected.count else {
      return Mismatch("\(name): \(actual.count) elements, expected \(expected.count)")
    }
    var wrong = 0
    var worst: (index: Int, distance: Double) = (0, -1)
    for index in actual.indices where !tolerance.accepts(actual[index], expected[index]) {
      wrong += 1
      let distance = abs(actual[index] - expected[index])
      if distance.isNaN || distance > worst.distance {
        worst = (index, distance.isNaN ? .infinity : distance)
      }
    }
    guard wrong > 0 else { return nil }
    return Mismatch(
      "\(name): \(wrong) of \(actual.count) elements differ; worst at \(worst.index): \(actual[worst.index]), expected \(expected[worst.index]) (off by \(worst.distance), allowed \(tolerance.absolute) + \(tolerance.relative)·|expected|)"
    )
  }

  /// Compares two tensors, shapes included.
  public static func between(
    _ actual: Tensor, _ expected: Tensor, _ tolerance: Tolerance, in name: String
  ) -> Mismatch? {
    guard actual.shape == expected.shape else {
      return Mismatch("\(name): shape \(actual.shape), expected \(expected.shape)")
    }
    return between(actual.doubles, expected.doubles, tolerance, in: name)
  }

  /// Compares two tensors bit by bit; zeros of different sign differ.
  public static func inBits(_ actual: Tensor, _ expected: Tensor, in name: String) -> Mismatch? {
    guard actual.shape == expected.shape && actual.dtype == expected.dtype else {
      return Mismatch(
        "\(name): \(actual.dtype) \(actual.shape), expected \(expected.dtype) \(expected.shape)")
    }
    let (a, b) = (actual.doubles, expected.doubles)
    guard let index = a.indices.first(where: { a[$0].bitPattern != b[$0].bitPattern }) else { return nil }
    return Mismatch("\(name): bits differ, first at \(index): \(a[index]), expected \(b[index])")
  }
}

extension Tensor {
  /// The elements as Swift `Double`s, whatever the type.
  package var doubles: [Double] { detached.converted(to: .float64).scalars() }
}
