import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// The element types that have kernels.
protocol KernelScalar: BinaryFloatingPoint, Sendable {
  /// The largest relative error of one elementary function.
  static var precision: Double { get }
}
extension Float: KernelScalar {
  static var precision: Double { 5e-7 }
}
extension Double: KernelScalar {
  static var precision: Double { 1e-14 }
}

/// One table of kernels: an instruction set of this machine and an element type.
struct KernelCase: Sendable, CustomTestStringConvertible {
  let instructionSet: InstructionSet
  let isDouble: Bool

  var testDescription: String { "\(instructionSet) \(isDouble ? "double" : "float")" }

  /// Constant and immortal, so safe to share.
  nonisolated(unsafe) let table: UnsafePointer<trestle_kernels>

  static let all: [KernelCase] = InstructionSet.available.flatMap { set in
    [false, true].compactMap { isDouble in
      trestle_kernels_table(set.level, isDouble ? 1 : 0).map {
        KernelCase(instructionSet: set, isDouble: isDouble, table: $0)
      }
    }
  }

  /// A function pointer of one of the table's arrays, which Swift sees as tuples.
  func entry<Array, Function>(
    _ array: KeyPath<trestle_kernels, Array>, _ index: UInt32, as: Function.Type
  ) throws -> Function {
    let offset = try #require(MemoryLayout<trestle_kernels>.offset(of: array))
    return (UnsafeRawPointer(table) + offset).assumingMemoryBound(to: Function.self)[Int(index)]
  }
}

/// Around whole and half vectors of every width, and none.
let oddSizes = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 1000]

/// An array at an address that is aligned for its element only, between guards that show a write out of bounds.
///
/// The pointer is good as long as the array: one without a name goes before the call that its pointer is passed to, so that it
/// wants `withExtendedLifetime`.
final class Guarded<Element: Equatable> {
  let pointer: UnsafeMutablePointer<Element>
  let count: Int
  private let base: UnsafeMutablePointer<Element>
  private let guards: [Element]
  private let margin = 19

  init(_ values: [Element], guardedBy element: Element) {
    count = values.count
    guards = Array(repeating: element, count: margin)
    base = .allocate(capacity: count + 2 * margin)
    base.initialize(repeating: element, count: count + 2 * margin)
    pointer = base + margin
    for (index, value) in values.enumerated() { pointer[index] = value }
  }

  deinit {
    base.deinitialize(count: count + 2 * margin)
    base.deallocate()
  }

  var values: [Element] { (0..<count).map { pointer[$0] } }

  var isIntact: Bool {
    (0..<margin).allSatisfy { base[$0] == guards[$0] && base[margin + count + $0] == guards[$0] }
  }
}

extension Guarded where Element: KernelScalar {
  /// The numbers rounded to the element type.
  convenience init(_ numbers: [Double]) { self.init(numbers.map { Element($0) }, guardedBy: 12345) }
  /// What a kernel should overwrite.
  convenience init(garbage count: Int) { self.init(Array(repeating: -777, count: count), guardedBy: 12345) }
  /// The elements as doubles.
  var doubles: [Double] { values.map(Double.init) }
}

/// Reproducible numbers, the same for every type after rounding to float.
func numbers(_ count: Int, seed: UInt64, from low: Double = -3, to high: Double = 3) -> [Double] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Double(Float(low + (high - low) * Double(state >> 40) / Double(1 << 24)))
  }
}

/// The first element that is off by more than `relative · |expected| + absolute`, described; nil if there is none.
func firstMismatch<T: KernelScalar>(
  _ actual: [T], _ expected: [Double], relative: Double = T.precision, absolute: Double = 0
) -> String? {
  guard actual.count == expected.count else { return "\(actual.count) elements, not \(expected.count)" }
  for (index, (a, e)) in zip(actual, expected).enumerated() {
    let value = Double(a)
    if value.isNaN && e.isNaN || value == e || value == Double(T(e)) { continue }
    if !(abs(value - e) <= relative * abs(e) + absolute) { return "element \(index) is \(value), not \(e)" }
  }
  return nil
}

/// The rows of a dense matrix.
func rows(_ x: [Double], _ cols: Int) -> [ArraySlice<Double>] {
  cols == 0 ? [] : stride(from: 0, to: x.count, by: cols).map { x[$0..<$0 + cols] }
}
