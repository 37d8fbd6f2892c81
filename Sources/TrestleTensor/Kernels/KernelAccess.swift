package import CTrestleKernels

/// How the operations reach the kernels: the current level's table, and fixed ways to split work.
package enum Kernels {
  package typealias Table = UnsafePointer<trestle_kernels>

  /// The kernels of the current instruction-set level for `dtype`.
  ///
  /// - Precondition: `dtype` is `float32` or `float64`.
  @inline(__always)
  package static func table(_ dtype: DType, _ operation: StaticString) -> Table {
    switch dtype {
    case .float32: return InstructionSet.kernels.float
    case .float64: return InstructionSet.kernels.double
    default: preconditionFailure("\(operation): arithmetic runs in float32 or float64, not \(dtype)")
    }
  }

  /// Where an array of function pointers lies in the tables.
  ///
  /// - Precondition: it is a stored field of the C structure; anything else would call another kernel.
  static func tableOffset<Functions>(_ field: KeyPath<trestle_kernels, Functions> & Sendable) -> Int {
    guard let offset = MemoryLayout<trestle_kernels>.offset(of: field) else {
      preconditionFailure("kernels: \(field) is not a field of the tables")
    }
    return offset
  }

  /// Elements per task of an elementwise operation: a fixed number, so that the thread count changes nothing.
  package static let elementGrain = 1 << 15

  /// Splits `0..<count` into fixed chunks and runs `body(start, length)` on each.
  @inline(__always)
  package static func parallel(_ count: Int, grain: Int = elementGrain, _ body: (Int, Int) -> Void) {
    if count <= grain {
      if count > 0 { body(0, count) }
      return
    }
    let tasks = (count + grain - 1) / grain
    ThreadPool.shared.run(tasks) { task in
      let start = task * grain
      body(start, Swift.min(grain, count - start))
    }
  }

  /// Splits `rows` rows of `cols` elements into fixed blocks of whole rows.
  @inline(__always)
  static func parallelRows(_ rows: Int, cols: Int, grain: Int = elementGrain, _ body: (Int, Int) -> Void) {
    parallel(rows, grain: Swift.max(1, grain / Swift.max(cols, 1)), body)
  }
}
