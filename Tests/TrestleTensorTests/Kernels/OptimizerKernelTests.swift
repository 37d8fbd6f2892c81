import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// The parameter updates against their formulas, step by step.
struct OptimizerKernelTests {
  @Test(arguments: KernelCase.all) func gradientDescentFollowsItsFormula(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
          var p = numbers(size, seed: 171)
          var m = Array(repeating: 0.0, count: size)
          let (parameters, buffer) = (Guarded<T>(p), Guarded<T>(m))
          for step in 0..<3 {
            let g = numbers(size, seed: 172 + UInt64(step))
            for i in 0..<size {
              var update = g[i] + 0.1 * p[i]
              if momentum > 0 {
                m[i] = momentum * m[i] + (step == 0 ? 1 : 1 - 0.2) * update
                update = nesterov ? update + momentum * m[i] : m[i]
              }
              p[i] -= 0.05 * update
            }
            withExtendedLifetime(Guarded<T>(g)) { gradients in
              kernel.table.pointee.sgd(
                parameters.pointer, gradients.pointer, momentum > 0 ? buffer.pointer : nil, Int64(size), 0.05,
                momentum, 0.2, 0.1, nesterov ? 1 : 0, step == 0 ? 1 : 0)
            }
          }
          #expect(firstMismatch(parameters.values, p, absolute: 10 * T.precision) == nil)
          #expect(parameters.isIntact && buffer.isIntact)
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all, [false, true]) func adamFollowsItsFormula(
    _ kernel: KernelCase, decoupled: Bool
  ) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes {
        let (rate, b1, b2, epsilon, decay, gradScale) = (0.01, 0.9, 0.99, 1e-6, 0.1, 0.5)
        var p = numbers(size, seed: 181)
        var m = Array(repeating: 0.0, count: size), v = m
        let (parameters, mean, square) = (Guarded<T>(p), Guarded<T>(m), Guarded<T>(v))
        for step in 1...3 {
          let g = numbers(size, seed: 182 + UInt64(step))
          let bias1 = 1 - pow(b1, Double(step)), bias2 = 1 - pow(b2, Double(step))
          for i in 0..<size {
            let gradient = gradScale * g[i] + (decoupled ? 0 : decay * p[i])
            m[i] = b1 * m[i] + (1 - b1) * gradient
            v[i] = b2 * v[i] + (1 - b2) * gradient * gradient
            if decoupled { p[i] -= rate * decay * p[i] }
            p[i] -= rate * (m[i] / bias1) / ((v[i] / bias2).squareRoot() + epsilon)
          }
          withExtendedLifetime(Guarded<T>(g)) { gradients in
            kernel.table.pointee.adam(
              parameters.pointer, gradients.pointer, mean.pointer, square.pointer, Int64(size), rate, b1, b2,
              epsilon, decay, decoupled ? 1 : 0, bias1, bias2, gradScale)
          }
        }
        #expect(firstMismatch(parameters.values, p, absolute: 10 * T.precision) == nil)
        #expect(firstMismatch(mean.values, m, absolute: 10 * T.precision) == nil)
        #expect(firstMismatch(square.values, v, absolute: 10 * T.precision) == nil)
        #expect(parameters.isIntact && mean.isIntact && square.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
