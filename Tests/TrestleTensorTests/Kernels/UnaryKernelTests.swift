import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// The elementwise functions against the C library's in double precision.
struct UnaryKernelTests {
  typealias Forward = @convention(c) (UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias Backward =
    @convention(c) (
      UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64
    ) -> Void

  struct Function: Sendable {
    let code: trestle_unary
    let isForPositive: Bool
    let value: @Sendable (Double) -> Double
    let derivative: @Sendable (Double) -> Double

    init(
      _ code: trestle_unary, isForPositive: Bool = false, _ value: @escaping @Sendable (Double) -> Double,
      _ derivative: @escaping @Sendable (Double) -> Double
    ) {
      self.code = code
      self.isForPositive = isForPositive
      self.value = value
      self.derivative = derivative
    }
  }

  static func sigmoid(_ x: Double) -> Double { x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)) }
  static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
  static func normal(_ x: Double) -> Double { erfc(-x / 2.0.squareRoot()) / 2 }
  static func density(_ x: Double) -> Double { exp(-x * x / 2) / (2 * Double.pi).squareRoot() }
  static func gate(_ x: Double) -> Double { (8 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }
  static func gateSlope(_ x: Double) -> Double { (8 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x) }

  static let functions: [Function] = [
    Function(TRESTLE_NEGATE, { -$0 }, { _ in -1 }),
    Function(TRESTLE_ABS, { abs($0) }, { $0 == 0 ? 0 : $0 < 0 ? -1 : 1 }),
    Function(TRESTLE_EXP, { exp($0) }, { exp($0) }),
    Function(TRESTLE_LOG, isForPositive: true, { log($0) }, { 1 / $0 }),
    Function(TRESTLE_SQRT, isForPositive: true, { $0.squareRoot() }, { 0.5 / $0.squareRoot() }),
    Function(TRESTLE_RSQRT, isForPositive: true, { 1 / $0.squareRoot() }, { -0.5 * pow($0, -1.5) }),
    Function(TRESTLE_RECIPROCAL, isForPositive: true, { 1 / $0 }, { -1 / ($0 * $0) }),
    Function(TRESTLE_SQUARE, { $0 * $0 }, { 2 * $0 }),
    Function(TRESTLE_TANH, { tanh($0) }, { 1 - tanh($0) * tanh($0) }),
    Function(TRESTLE_SIGMOID, sigmoid, { sigmoid($0) * sigmoid(-$0) }),
    Function(TRESTLE_RELU, { max($0, 0) }, { $0 > 0 ? 1 : 0 }),
    Function(TRESTLE_GELU, { $0 * normal($0) }, { normal($0) + $0 * density($0) }),
    Function(
      TRESTLE_GELU_TANH, { $0 * sigmoid(gate($0)) },
      { sigmoid(gate($0)) + $0 * sigmoid(gate($0)) * sigmoid(-gate($0)) * gateSlope($0) }),
    Function(
      TRESTLE_SILU, { $0 * sigmoid($0) }, { sigmoid($0) + $0 * sigmoid($0) * sigmoid(-$0) }),
    Function(TRESTLE_SOFTPLUS, softplus, sigmoid),
    Function(TRESTLE_SIN, { sin($0) }, { cos($0) }),
    Function(TRESTLE_COS, { cos($0) }, { -sin($0) }),
    Function(TRESTLE_LOG_SIGMOID, { -softplus(-$0) }, { sigmoid(-$0) }),
    Function(TRESTLE_ERF, { erf($0) }, { 2 / Double.pi.squareRoot() * exp(-$0 * $0) }),
    Function(TRESTLE_LOG1P, isForPositive: true, { log1p($0) }, { 1 / (1 + $0) }),
    Function(TRESTLE_EXPM1, { expm1($0) }, { exp($0) }),
    Function(TRESTLE_SIGN, { $0.isNaN ? $0 : $0 == 0 ? 0 : $0 < 0 ? -1 : 1 }, { _ in 0 }),
    Function(TRESTLE_FLOOR, { $0.rounded(.down) }, { _ in 0 }),
    Function(TRESTLE_CEIL, { $0.rounded(.up) }, { _ in 0 }),
    Function(TRESTLE_TRUNCATE, { $0.rounded(.towardZero) }, { _ in 0 }),
    Function(TRESTLE_ROUND, { $0.rounded(.toNearestOrEven) }, { _ in 0 }),
  ]

  @Test func everyFunctionIsListed() {
    #expect(Self.functions.map(\.code.rawValue) == Array(0..<TRESTLE_UNARY_COUNT.rawValue))
  }

  @Test(arguments: KernelCase.all) func functionsMatchTheLibraryAtEverySize(_ kernel: KernelCase) throws {
    func check<T: KernelScalar>(_: T.Type) throws {
      for function in Self.functions {
        let forward = try kernel.entry(\.unary, function.code.rawValue, as: Forward.self)
        for size in oddSizes {
          let input = numbers(
            size, seed: UInt64(size), from: function.isForPositive ? 0.01 : -6,
            to: function.isForPositive ? 9 : 6)
          let x = Guarded<T>(input)
          let y = Guarded<T>(garbage: size)
          forward(x.pointer, y.pointer, Int64(size))
          let expected = input.map(function.value)
          #expect(
            firstMismatch(y.values, expected, absolute: T.precision / 10) == nil, "\(function.code) \(size)")
          #expect(y.isIntact)
          forward(x.pointer, x.pointer, Int64(size))
          #expect(x.values == y.values, "in place: \(function.code) \(size)")
        }
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func gradientsMatchTheDerivatives(_ kernel: KernelCase) throws {
    func check<T: KernelScalar>(_: T.Type) throws {
      for function in Self.functions {
        let backward = try kernel.entry(\.unary_backward, function.code.rawValue, as: Backward.self)
        for size in oddSizes {
          var input = numbers(
            size, seed: UInt64(size) + 7, from: function.isForPositive ? 0.05 : -6,
            to: function.isForPositive ? 9 : 6)
          if size > 2 && !function.isForPositive { input[1] = 0 }
          let upstream = numbers(size, seed: 99)
          let x = Guarded<T>(input)
          let y = Guarded<T>(input.map(function.value))
          let dy = Guarded<T>(upstream)
          let dx = Guarded<T>(garbage: size)
          backward(x.pointer, y.pointer, dy.pointer, dx.pointer, Int64(size))
          let expected = zip(input, upstream).map { function.derivative($0) * $1 }
          #expect(
            firstMismatch(dx.values, expected, relative: 4 * T.precision, absolute: 4 * T.precision) == nil,
            "\(function.code) \(size)")
          #expect(dx.isIntact)
        }
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func specialValuesComeOutAsTheLibrarys(_ kernel: KernelCase) throws {
    let infinity = Double.infinity
    func check<T: KernelScalar>(_: T.Type) throws {
      let tiny = Double(T.leastNonzeroMagnitude), normal = Double(T.leastNormalMagnitude)
      let most = Double(T.greatestFiniteMagnitude)
      // At infinity the formula of a product is a NaN where the limit is 0.
      let limits: [UInt32: [Double: Double]] = [
        TRESTLE_GELU.rawValue: [-infinity: 0, infinity: infinity], TRESTLE_GELU_TANH.rawValue: [-infinity: 0],
        TRESTLE_SILU.rawValue: [-infinity: 0],
      ]
      for function in Self.functions {
        let forward = try kernel.entry(\.unary, function.code.rawValue, as: Forward.self)
        var input = [0, -0.0, infinity, .nan, tiny, normal, most]
        if !function.isForPositive { input += [-infinity, -tiny, -normal, -most, 88, -87, -95, 1000, -1000] }
        if function.code == TRESTLE_LOG || function.code == TRESTLE_SQRT { input += [-1, -infinity] }
        let isSlow = function.code == TRESTLE_SIN || function.code == TRESTLE_COS
        if isSlow { input.append(contentsOf: [12345.678, -1e6]) }
        let x = Guarded<T>(input)
        let y = Guarded<T>(garbage: input.count)
        forward(x.pointer, y.pointer, Int64(input.count))
        for (value, result) in zip(x.doubles, y.values) {
          var expected = limits[function.code.rawValue]?[value] ?? function.value(value)
          if function.code == TRESTLE_GELU_TANH && value.isInfinite { expected = max(value, 0) }
          // SiLU gives 0 from where e^-x overflows; products of a subnormal factor keep the factor's rounding.
          let absolute = function.code == TRESTLE_SILU ? 100 / most : 100 * tiny
          #expect(
            firstMismatch([result], [expected], relative: 2 * T.precision, absolute: absolute) == nil,
            "\(function.code) of \(value)")
        }
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func elementsDoNotDependOnTheirPlace(_ kernel: KernelCase) throws {
    func check<T: KernelScalar>(_: T.Type) throws {
      let size = 203
      let input = numbers(size, seed: 5, from: 0.1, to: 5)
      let x = Guarded<T>(input)
      for function in Self.functions {
        let forward = try kernel.entry(\.unary, function.code.rawValue, as: Forward.self)
        let whole = Guarded<T>(garbage: size)
        let parts = Guarded<T>(garbage: size)
        forward(x.pointer, whole.pointer, Int64(size))
        var start = 0
        for length in [1, 2, 5, 16, 17, 31, 33, 98] {
          forward(x.pointer + start, parts.pointer + start, Int64(length))
          start += length
        }
        #expect(start == size)
        #expect(whole.values == parts.values, "\(function.code)")
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func swigluAndBprMatchTheirFormulas(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes {
        let (a, b, c) = (numbers(size, seed: 1), numbers(size, seed: 2), numbers(size, seed: 3))
        let (x, y, z) = (Guarded<T>(a), Guarded<T>(b), Guarded<T>(c))
        let (out, other) = (Guarded<T>(garbage: size), Guarded<T>(garbage: size))
        let tolerance = 4 * T.precision
        kernel.table.pointee.swiglu(x.pointer, y.pointer, out.pointer, Int64(size))
        let silu = a.map { $0 * Self.sigmoid($0) }
        #expect(firstMismatch(out.values, zip(silu, b).map(*), absolute: tolerance) == nil)
        kernel.table.pointee.swiglu_backward(
          x.pointer, y.pointer, z.pointer, out.pointer, other.pointer, Int64(size))
        let slope = a.map { Self.sigmoid($0) * (1 + $0 * Self.sigmoid(-$0)) }
        let gate = (0..<size).map { c[$0] * b[$0] * slope[$0] }
        #expect(firstMismatch(out.values, gate, relative: tolerance, absolute: tolerance) == nil)
        #expect(
          firstMismatch(other.values, zip(silu, c).map(*), relative: tolerance, absolute: tolerance) == nil)
        kernel.table.pointee.bpr(x.pointer, y.pointer, out.pointer, other.pointer, Int64(size))
        let gap = zip(a, b).map { $1 - $0 }
        #expect(firstMismatch(out.values, gap.map(Self.softplus), relative: tolerance) == nil)
        #expect(firstMismatch(other.values, gap.map { -Self.sigmoid($0) }, relative: tolerance) == nil)
        #expect(out.isIntact && other.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
