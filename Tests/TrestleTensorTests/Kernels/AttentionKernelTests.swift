import CTrestleKernels
import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

/// Tiled attention against the formula with the whole matrix of scores.
struct AttentionKernelTests {
  struct Shape: Sendable {
    var queries: Int
    var keys: Int
    var size: Int
    var causal = true
    var offset = 0
    var window = 0
    /// The rate at which probabilities are dropped.
    var rate = 0.0

    private static let seed: UInt64 = 0x1234_5678_9abc_def0

    private var dropout: trestle_dropout {
      trestle_dropout(seed: Self.seed, threshold: UInt32(rate * 0x1p32), scale: 1 / (1 - rate))
    }

    /// Calls `body` with what the kernels are told of it.
    func withDropout(_ body: (UnsafePointer<trestle_dropout>?) -> Void) {
      rate == 0 ? body(nil) : withUnsafePointer(to: dropout) { body($0) }
    }

    /// What the probability of a query and a key is multiplied by.
    func factor(_ query: Int, _ key: Int) -> Double {
      if rate == 0 { return 1 }
      let number = DroppedProbability.number(seed: Self.seed, query: offset + query, key: key)
      return number < dropout.threshold ? 0 : dropout.scale
    }
  }

  static let shapes = [
    Shape(queries: 1, keys: 1, size: 1), Shape(queries: 1, keys: 5, size: 8, offset: 4),
    Shape(queries: 7, keys: 7, size: 16), Shape(queries: 64, keys: 64, size: 64),
    Shape(queries: 65, keys: 65, size: 33), Shape(queries: 130, keys: 130, size: 20),
    Shape(queries: 1, keys: 300, size: 64, offset: 299), Shape(queries: 3, keys: 200, size: 80, offset: 197),
    Shape(queries: 70, keys: 70, size: 256), Shape(queries: 5, keys: 70, size: 7, causal: false),
    Shape(queries: 100, keys: 65, size: 16, causal: false),
    Shape(queries: 90, keys: 90, size: 32, window: 17),
    Shape(queries: 40, keys: 170, size: 24, offset: 130, window: 100),
    // The first queries see no key.
    Shape(queries: 5, keys: 64, size: 16, offset: -2),
    Shape(queries: 2, keys: 0, size: 16, causal: false),
    Shape(queries: 50, keys: 50, size: 32, rate: 0.5),
    Shape(queries: 9, keys: 70, size: 5, causal: false, rate: 0.2),
    Shape(queries: 40, keys: 170, size: 24, offset: 130, window: 100, rate: 0.3),
    Shape(queries: 5, keys: 64, size: 16, offset: -2, rate: 0.3),
  ]

  /// Inputs in rows that are further apart than they are long, and the results by the formula.
  final class Problem<T: KernelScalar> {
    let shape: Shape
    let step: Int
    let q, k, v, dO: [Double]
    var o, dq, dk, dv, lse: [Double]
    var scale: Double { 1 / Double(shape.size).squareRoot() }

    init(_ shape: Shape) {
      self.shape = shape
      step = shape.size + 3
      q = numbers(shape.queries * step, seed: 161)
      k = numbers(shape.keys * step, seed: 162)
      v = numbers(shape.keys * step, seed: 163)
      dO = numbers(shape.queries * step, seed: 164)
      o = Array(repeating: -777, count: q.count)
      dq = o
      dk = Array(repeating: 0.25, count: k.count)
      dv = dk
      lse = []
      for t in 0..<shape.queries { attend(t) }
    }

    private func dot(_ a: [Double], _ i: Int, _ b: [Double], _ j: Int) -> Double {
      (0..<shape.size).reduce(0) { $0 + a[i * step + $1] * b[j * step + $1] }
    }

    private func attend(_ t: Int) {
      let last = shape.offset + t
      let seen = (0..<shape.keys).filter {
        !shape.causal || $0 <= last && (shape.window == 0 || $0 > last - shape.window)
      }
      let scores = seen.map { dot(q, t, k, $0) * scale }
      let total = seen.isEmpty ? -.infinity : RowKernelTests.logSumExp(scores)
      lse.append(total)
      let p = scores.map { exp($0 - total) }
      for c in 0..<shape.size {
        o[t * step + c] = zip(seen, p).reduce(0) {
          $0 + shape.factor(t, $1.0) * $1.1 * v[$1.0 * step + c]
        }
        dq[t * step + c] = 0
      }
      let delta = dot(dO, t, o, t)
      for (j, probability) in zip(seen, p) {
        let factor = shape.factor(t, j)
        let ds = probability * (factor * dot(dO, t, v, j) - delta) * scale
        for c in 0..<shape.size {
          dv[j * step + c] += factor * probability * dO[t * step + c]
          dq[t * step + c] += ds * k[j * step + c]
          dk[j * step + c] += ds * q[t * step + c]
        }
      }
    }

    /// The kernel on queries `range` alone.
    func forward(
      _ table: trestle_kernels, _ range: Range<Int>, into out: Guarded<T>, _ statistics: Guarded<T>
    ) {
      let queries = Guarded<T>(Array(q[range.lowerBound * step..<range.upperBound * step]))
      let (keys, values) = (Guarded<T>(k), Guarded<T>(v))
      let (n, m, d) = (Int64(range.count), Int64(shape.keys), Int64(shape.size))
      let workspace = Guarded<T>(garbage: Int(table.attention_workspace(n, m, d)))
      shape.withDropout { dropout in
        table.attention(
          queries.pointer, Int64(step), keys.pointer, Int64(step), values.pointer, Int64(step),
          out.pointer + range.lowerBound * step, Int64(step), statistics.pointer + range.lowerBound, n, m, d,
          scale, shape.causal ? 1 : 0, Int64(shape.offset + range.lowerBound), Int64(shape.window), dropout,
          workspace.pointer)
      }
      #expect(workspace.isIntact)
    }
  }

  @Test(arguments: KernelCase.all) func outputsAndGradientsMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      let tolerance = 60 * T.precision
      for shape in Self.shapes {
        let problem = Problem<T>(shape)
        let step = Int64(problem.step)
        let out = Guarded<T>(garbage: problem.q.count)
        let lse = Guarded<T>(garbage: shape.queries)
        problem.forward(table, 0..<shape.queries, into: out, lse)
        #expect(firstMismatch(out.values, problem.o, absolute: tolerance) == nil, "\(shape)")
        #expect(firstMismatch(lse.values, problem.lse, absolute: tolerance) == nil, "\(shape)")
        let (q, k, v) = (Guarded<T>(problem.q), Guarded<T>(problem.k), Guarded<T>(problem.v))
        let dO = Guarded<T>(problem.dO)
        let dq = Guarded<T>(garbage: problem.q.count)
        let quarter = Array(repeating: 0.25, count: problem.k.count)
        let (dk, dv) = (Guarded<T>(quarter), Guarded<T>(quarter))
        let (n, m, d) = (Int64(shape.queries), Int64(shape.keys), Int64(shape.size))
        let workspace = Guarded<T>(garbage: Int(table.attention_workspace(n, m, d)))
        shape.withDropout { dropout in
          table.attention_backward(
            q.pointer, step, k.pointer, step, v.pointer, step, out.pointer, step, lse.pointer, dO.pointer,
            step, dq.pointer, step, dk.pointer, step, dv.pointer, step, n, m, d, problem.scale,
            shape.causal ? 1 : 0, Int64(shape.offset), Int64(shape.window), dropout, workspace.pointer)
        }
        #expect(
          firstMismatch(dq.values, problem.dq, relative: tolerance, absolute: tolerance) == nil, "\(shape)")
        #expect(
          firstMismatch(dk.values, problem.dk, relative: tolerance, absolute: tolerance) == nil, "\(shape)")
        #expect(
          firstMismatch(dv.values, problem.dv, relative: tolerance, absolute: tolerance) == nil, "\(shape)")
        #expect(
          out.isIntact && lse.isIntact && dq.isIntact && dk.isIntact && dv.isIntact && workspace.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func queriesDoNotDependOnTheCallTheyAreIn(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for shape in Self.shapes where shape.queries > 2 {
        let problem = Problem<T>(shape)
        let (whole, parts) = (Guarded<T>(garbage: problem.q.count), Guarded<T>(garbage: problem.q.count))
        let (lse, partLse) = (Guarded<T>(garbage: shape.queries), Guarded<T>(garbage: shape.queries))
        problem.forward(table, 0..<shape.queries, into: whole, lse)
        let middle = shape.queries / 3
        problem.forward(table, 0..<middle, into: parts, partLse)
        problem.forward(table, middle..<middle + 1, into: parts, partLse)
        problem.forward(table, middle + 1..<shape.queries, into: parts, partLse)
        #expect(whole.values == parts.values, "\(shape)")
        #expect(lse.values == partLse.values, "\(shape)")
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
