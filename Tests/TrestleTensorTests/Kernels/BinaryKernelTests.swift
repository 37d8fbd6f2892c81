import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// Operations on two arrays, a scalar, a row or a column.
struct BinaryKernelTests {
  typealias Arrays =
    @convention(c) (UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias ArrayScalar = @convention(c) (UnsafeRawPointer?, Double, UnsafeMutableRawPointer?, Int64) -> Void
  typealias ScalarArray = @convention(c) (Double, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias Matrices =
    @convention(c) (UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64, Int64) -> Void

  static let operations: [@Sendable (Double, Double) -> Double] = [
    { $0 + $1 }, { $0 - $1 }, { $0 * $1 }, { $0 / $1 },
    { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }, { $0.isNaN || $1.isNaN ? .nan : min($0, $1) },
    { pow($0, $1) },
    { (a: Double, b: Double) in
      let rest = fmod(a, b)
      return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
    },
  ]
  static let comparisons: [@Sendable (Double, Double) -> Bool] = [
    { $0 < $1 }, { $0 <= $1 }, { $0 > $1 }, { $0 >= $1 }, { $0 == $1 }, { $0 != $1 },
  ]

  @Test func everyOperationIsListed() {
    #expect(Self.operations.count == Int(TRESTLE_BINARY_COUNT.rawValue))
    #expect(Self.comparisons.count == Int(TRESTLE_COMPARISON_COUNT.rawValue))
  }

  /// Some equal pairs, a NaN on either side.
  private func pair(_ size: Int) -> ([Double], [Double]) {
    var (a, b) = (numbers(size, seed: 11), numbers(size, seed: 12))
    for index in stride(from: 2, to: size, by: 5) { b[index] = a[index] }
    if size > 6 {
      a[4] = .nan
      b[6] = .nan
    }
    return (a, b)
  }

  @Test(arguments: KernelCase.all) func operationsOnArraysAndScalarsMatch(_ kernel: KernelCase) throws {
    func check<T: KernelScalar>(_: T.Type) throws {
      for size in oddSizes {
        let (a, b) = pair(size)
        let (x, y, out) = (Guarded<T>(a), Guarded<T>(b), Guarded<T>(garbage: size))
        for (index, operation) in Self.operations.enumerated() {
          try kernel.entry(\.binary, UInt32(index), as: Arrays.self)(
            x.pointer, y.pointer, out.pointer, Int64(size))
          #expect(firstMismatch(out.values, zip(a, b).map(operation)) == nil, "\(index) \(size)")
          try kernel.entry(\.binary_scalar, UInt32(index), as: ArrayScalar.self)(
            x.pointer, 1.5, out.pointer, Int64(size))
          #expect(firstMismatch(out.values, a.map { operation($0, 1.5) }) == nil, "scalar \(index) \(size)")
          try kernel.entry(\.scalar_binary, UInt32(index), as: ScalarArray.self)(
            1.5, x.pointer, out.pointer, Int64(size))
          #expect(
            firstMismatch(out.values, a.map { operation(1.5, $0) }) == nil, "of scalar \(index) \(size)")
          #expect(out.isIntact)
        }
        for (index, comparison) in Self.comparisons.enumerated() {
          try kernel.entry(\.compare, UInt32(index), as: Arrays.self)(
            x.pointer, y.pointer, out.pointer, Int64(size))
          #expect(
            firstMismatch(out.values, zip(a, b).map { comparison($0, $1) ? 1 : 0 }) == nil,
            "comparison \(index) \(size)")
        }
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func rowsAndColumnsAreRepeated(_ kernel: KernelCase) throws {
    func check<T: KernelScalar>(_: T.Type) throws {
      for cols in oddSizes {
        let count = 3
        let a = numbers(count * cols, seed: 3), row = numbers(cols, seed: 4), column = numbers(count, seed: 5)
        let x = Guarded<T>(a), r = Guarded<T>(row), c = Guarded<T>(column)
        let out = Guarded<T>(garbage: count * cols)
        for (index, operation) in Self.operations.enumerated() {
          try kernel.entry(\.binary_row, UInt32(index), as: Matrices.self)(
            x.pointer, r.pointer, out.pointer, Int64(count), Int64(cols))
          #expect(
            firstMismatch(out.values, a.indices.map { operation(a[$0], row[$0 % cols]) }) == nil, "\(index)")
          try kernel.entry(\.binary_column, UInt32(index), as: Matrices.self)(
            x.pointer, c.pointer, out.pointer, Int64(count), Int64(cols))
          #expect(
            firstMismatch(out.values, a.indices.map { operation(a[$0], column[$0 / cols]) }) == nil,
            "\(index)")
          #expect(out.isIntact)
        }
      }
    }
    try kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func selectionClampingAndCombinationsMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for size in oddSizes {
        let (a, b) = (numbers(size, seed: 21), numbers(size, seed: 22))
        let mask = numbers(size, seed: 23).map { $0 > 0 ? $0 : 0 }
        let (x, y, m) = (Guarded<T>(a), Guarded<T>(b), Guarded<T>(mask))
        let out = Guarded<T>(garbage: size)
        let n = Int64(size)
        let absolute = 4 * T.precision
        table.select(m.pointer, x.pointer, y.pointer, out.pointer, n)
        #expect(firstMismatch(out.values, (0..<size).map { mask[$0] != 0 ? a[$0] : b[$0] }) == nil)
        table.clamp(x.pointer, -1, 0.5, out.pointer, n)
        #expect(firstMismatch(out.values, a.map { min(max($0, -1), 0.5) }) == nil)
        table.linear_combination(2, x.pointer, -0.5, y.pointer, out.pointer, n)
        #expect(firstMismatch(out.values, zip(a, b).map { 2 * $0 - 0.5 * $1 }, absolute: absolute) == nil)
        table.axpy(0.25, x.pointer, y.pointer, n)
        #expect(firstMismatch(y.values, zip(a, b).map { $1 + 0.25 * $0 }, absolute: absolute) == nil)
        table.fill(1.25, out.pointer, n)
        #expect(out.values.allSatisfy { $0 == 1.25 })
        #expect(out.isIntact && y.isIntact)
        let positive = Guarded<T>(a.map(abs))
        for exponent in [2, 0.5, -1.5, 3.7] {
          table.power(positive.pointer, exponent, out.pointer, n)
          let rounded = Double(T(exponent))
          #expect(firstMismatch(out.values, a.map { pow(abs($0), rounded) }) == nil)
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
