import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// The softmax family and the normalisations, which work on whole rows.
struct RowKernelTests {
  static let widths = oddSizes.filter { $0 > 0 }

  static func logSumExp(_ x: some Collection<Double>) -> Double {
    let m = x.max() ?? 0
    return m == -.infinity ? m : m + log(x.reduce(0) { $0 + exp($1 - m) })
  }

  @Test(arguments: KernelCase.all) func softmaxAndItsGradientMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for cols in Self.widths {
        let count = 3
        let a = numbers(count * cols, seed: 81, from: -20, to: 20), g = numbers(count * cols, seed: 82)
        let (x, dy) = (Guarded<T>(a), Guarded<T>(g))
        let (y, dx) = (Guarded<T>(garbage: a.count), Guarded<T>(garbage: a.count))
        let (r, c) = (Int64(count), Int64(cols))
        let tolerance = 8 * T.precision
        let lse = rows(a, cols).map(Self.logSumExp)
        let softmax = a.indices.map { exp(a[$0] - lse[$0 / cols]) }
        table.softmax(x.pointer, y.pointer, r, c)
        #expect(firstMismatch(y.values, softmax, relative: tolerance, absolute: 1e-20) == nil)
        table.softmax_backward(y.pointer, dy.pointer, dx.pointer, r, c)
        let mean = (0..<count).map { r in
          (0..<cols).reduce(0) { $0 + softmax[r * cols + $1] * g[r * cols + $1] }
        }
        let expected = a.indices.map { softmax[$0] * (g[$0] - mean[$0 / cols]) }
        #expect(firstMismatch(dx.values, expected, absolute: tolerance) == nil)

        table.log_softmax(x.pointer, y.pointer, r, c)
        #expect(
          firstMismatch(y.values, a.indices.map { a[$0] - lse[$0 / cols] }, absolute: tolerance * 4) == nil)
        table.log_softmax_backward(y.pointer, dy.pointer, dx.pointer, r, c)
        let sums = rows(g, cols).map { $0.reduce(0, +) }
        let gradient = a.indices.map { g[$0] - softmax[$0] * sums[$0 / cols] }
        #expect(firstMismatch(dx.values, gradient, relative: tolerance, absolute: tolerance * 50) == nil)
        let out = Guarded<T>(garbage: count)
        table.log_sum_exp(x.pointer, out.pointer, r, c)
        #expect(firstMismatch(out.values, lse, relative: tolerance) == nil)
        #expect(y.isIntact && dx.isIntact && out.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func maskedRowsGiveZerosAndNaNStays(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for cols in Self.widths {
        let x = Guarded<T>(Array(repeating: -.infinity, count: cols))
        let y = Guarded<T>(garbage: cols)
        table.softmax(x.pointer, y.pointer, 1, Int64(cols))
        #expect(y.values.allSatisfy { $0 == 0 })
        x.pointer[cols / 2] = .nan
        table.softmax(x.pointer, y.pointer, 1, Int64(cols))
        #expect(y.values.allSatisfy { $0.isNaN })
        x.pointer[cols / 2] = 3
        table.softmax(x.pointer, y.pointer, 1, Int64(cols))
        #expect(y.doubles == (0..<cols).map { $0 == cols / 2 ? 1 : 0 })
        let lse = Guarded<T>(garbage: 1)
        table.log_sum_exp(x.pointer, lse.pointer, 1, Int64(cols))
        #expect(lse.values == [3])
        x.pointer[cols / 2] = .infinity
        table.log_sum_exp(x.pointer, lse.pointer, 1, Int64(cols))
        #expect(lse.values == [.infinity])
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func crossEntropyMatchesAndIgnoresNegativeLabels(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for cols in Self.widths {
        let labels: [Int32] = [0, -1, Int32(cols - 1), Int32(cols / 2)]
        let count = labels.count
        let a = numbers(count * cols, seed: 91, from: -8, to: 8), g = numbers(count, seed: 92)
        let (x, dloss) = (Guarded<T>(a), Guarded<T>(g))
        let (loss, lse) = (Guarded<T>(garbage: count), Guarded<T>(garbage: count))
        let label = Guarded(labels, guardedBy: 7)
        let (r, c) = (Int64(count), Int64(cols))
        let tolerance = 20 * T.precision
        kernel.table.pointee.cross_entropy(x.pointer, label.pointer, loss.pointer, lse.pointer, r, c)
        let sums = rows(a, cols).map(Self.logSumExp)
        let expected = labels.indices.map { labels[$0] < 0 ? 0 : sums[$0] - a[$0 * cols + Int(labels[$0])] }
        #expect(firstMismatch(loss.values, expected, absolute: tolerance) == nil)
        // In place.
        kernel.table.pointee.cross_entropy_backward(
          x.pointer, label.pointer, lse.pointer, dloss.pointer, x.pointer, r, c)
        let gradient = a.indices.map { index -> Double in
          let row = index / cols
          if labels[row] < 0 { return 0 }
          return g[row] * (exp(a[index] - sums[row]) - (index % cols == Int(labels[row]) ? 1 : 0))
        }
        #expect(firstMismatch(x.values, gradient, absolute: tolerance) == nil)
        #expect(x.isIntact && loss.isIntact && lse.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  /// The normalisation of a row and its gradient, by the formulas.
  private struct Reference {
    var output: [Double] = []
    var dx: [Double] = []
    var dgamma: [Double]
    var dbeta: [Double]

    init(_ a: [Double], _ g: [Double], gamma: [Double], beta: [Double], centered: Bool, epsilon: Double) {
      let cols = gamma.count
      dgamma = Array(repeating: 0.5, count: cols)
      dbeta = dgamma
      for (x, dy) in zip(rows(a, cols).map(Array.init), rows(g, cols).map(Array.init)) {
        let mean = centered ? x.reduce(0, +) / Double(cols) : 0
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(cols)
        let rstd = 1 / (variance + epsilon).squareRoot()
        let h = x.map { ($0 - mean) * rstd }
        let scaled = zip(dy, gamma).map(*)
        let meanG = centered ? scaled.reduce(0, +) / Double(cols) : 0
        let meanGH = zip(scaled, h).map(*).reduce(0, +) / Double(cols)
        for c in 0..<cols {
          output.append(h[c] * gamma[c] + beta[c])
          dx.append(rstd * (scaled[c] - meanG - h[c] * meanGH))
          dgamma[c] += dy[c] * h[c]
          dbeta[c] += dy[c]
        }
      }
    }
  }

  @Test(arguments: KernelCase.all, [false, true]) func normalisationsMatch(
    _ kernel: KernelCase, hasGamma: Bool
  ) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for cols in Self.widths {
        let count = 4
        let epsilon = 1e-2
        let a = numbers(count * cols, seed: 101, from: -2, to: 4), g = numbers(count * cols, seed: 102)
        let gamma = hasGamma ? numbers(cols, seed: 103) : Array(repeating: 1, count: cols)
        let beta = hasGamma ? numbers(cols, seed: 104) : Array(repeating: 0, count: cols)
        let (x, dy, weight, bias) = (Guarded<T>(a), Guarded<T>(g), Guarded<T>(gamma), Guarded<T>(beta))
        let (y, dx) = (Guarded<T>(garbage: a.count), Guarded<T>(garbage: a.count))
        let (mean, rstd) = (Guarded<T>(garbage: count), Guarded<T>(garbage: count))
        let (r, c) = (Int64(count), Int64(cols))
        let relative = 40 * T.precision
        for centered in [true, false] {
          let zeros = Array(repeating: 0.0, count: cols)
          let expected = Reference(
            a, g, gamma: gamma, beta: centered ? beta : zeros, centered: centered, epsilon: epsilon)
          let half = Array(repeating: 0.5, count: cols)
          let (dgamma, dbeta) = (Guarded<T>(half), Guarded<T>(half))
          let w = hasGamma ? weight.pointer : nil, b = hasGamma ? bias.pointer : nil
          let dw = hasGamma ? dgamma.pointer : nil, db = hasGamma ? dbeta.pointer : nil
          if centered {
            table.layer_norm(x.pointer, w, b, y.pointer, mean.pointer, rstd.pointer, r, c, epsilon)
            table.layer_norm_backward(
              x.pointer, w, mean.pointer, rstd.pointer, dy.pointer, dx.pointer, dw, db, r, c)
          } else {
            table.rms_norm(x.pointer, w, y.pointer, rstd.pointer, r, c, epsilon)
            table.rms_norm_backward(x.pointer, w, rstd.pointer, dy.pointer, dx.pointer, dw, r, c)
          }
          #expect(
            firstMismatch(y.values, expected.output, relative: relative, absolute: relative) == nil, "\(cols)"
          )
          #expect(
            firstMismatch(dx.values, expected.dx, relative: relative, absolute: 10 * relative) == nil,
            "\(cols)")
          if hasGamma {
            #expect(
              firstMismatch(dgamma.values, expected.dgamma, relative: relative, absolute: relative) == nil)
            if centered {
              #expect(
                firstMismatch(dbeta.values, expected.dbeta, relative: relative, absolute: relative) == nil)
            }
          }
          #expect(
            y.isIntact && dx.isIntact && dgamma.isIntact && dbeta.isIntact && mean.isIntact && rstd.isIntact)
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func rowsDoNotDependOnTheCallTheyAreIn(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      let (count, cols) = (7, 133)
      let x = Guarded<T>(numbers(count * cols, seed: 111))
      let gamma = Guarded<T>(numbers(cols, seed: 112))
      typealias Rows = (UnsafeMutablePointer<T>, UnsafeMutablePointer<T>, Int64) -> Void
      let kernels: [Rows] = [
        { table.softmax($0, $1, $2, Int64(cols)) },
        { table.log_softmax($0, $1, $2, Int64(cols)) },
        { table.layer_norm($0, gamma.pointer, nil, $1, nil, nil, $2, Int64(cols), 1e-5) },
        { table.rms_norm($0, gamma.pointer, $1, nil, $2, Int64(cols), 1e-5) },
      ]
      for kernel in kernels {
        let (whole, parts) = (Guarded<T>(garbage: count * cols), Guarded<T>(garbage: count * cols))
        kernel(x.pointer, whole.pointer, Int64(count))
        kernel(x.pointer, parts.pointer, 2)
        kernel(x.pointer + 2 * cols, parts.pointer + 2 * cols, Int64(count - 2))
        #expect(whole.values == parts.values)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
