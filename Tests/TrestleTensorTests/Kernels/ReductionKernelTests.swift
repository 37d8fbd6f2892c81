import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// Sums, extrema, the largest elements, and the search for bad ones.
struct ReductionKernelTests {
  @Test(arguments: KernelCase.all) func sumsOfArraysMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes + [5000, 70_001] {
        let (a, b) = (numbers(size, seed: 31), numbers(size, seed: 32))
        let (x, y) = (Guarded<T>(a), Guarded<T>(b))
        let n = Int64(size)
        let table = kernel.table.pointee
        let squares = a.map { $0 * $0 }, products = zip(a, b).map(*)
        func isClose(_ sum: Double, _ terms: [Double]) -> Bool {
          abs(sum - terms.reduce(0, +)) <= 20 * T.precision * terms.reduce(0) { $0 + abs($1) }
        }
        #expect(isClose(table.sum(x.pointer, n), a), "\(size)")
        #expect(isClose(table.sum_squares(x.pointer, n), squares), "\(size)")
        let inner = Guarded<T>(garbage: 1)
        table.row_dot(x.pointer, y.pointer, inner.pointer, 1, n)
        #expect(isClose(Double(inner.values[0]), products) && inner.isIntact, "\(size)")
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func reductionsOfRowsAndColumnsMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for cols in oddSizes where cols > 0 {
        for count in [0, 1, 3, 4, 5, 9] {
          let a = numbers(count * cols, seed: 41), b = numbers(count * cols, seed: 42)
          let (x, y) = (Guarded<T>(a), Guarded<T>(b))
          let out = Guarded<T>(garbage: count)
          let (r, c) = (Int64(count), Int64(cols))
          let absolute = T.precision * Double(cols).squareRoot() * 5
          table.row_sum(x.pointer, out.pointer, r, c)
          #expect(firstMismatch(out.values, rows(a, cols).map { $0.reduce(0, +) }, absolute: absolute) == nil)
          table.row_dot(x.pointer, y.pointer, out.pointer, r, c)
          let dots = zip(rows(a, cols), rows(b, cols)).map { zip($0, $1).map(*).reduce(0, +) }
          #expect(firstMismatch(out.values, dots, absolute: absolute * 3) == nil)
          table.row_norm(x.pointer, out.pointer, r, c)
          let norms = rows(a, cols).map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
          #expect(firstMismatch(out.values, norms, relative: 4 * T.precision) == nil)
          table.row_max(x.pointer, out.pointer, r, c)
          #expect(firstMismatch(out.values, rows(a, cols).map { $0.max() ?? 0 }) == nil)
          table.row_min(x.pointer, out.pointer, r, c)
          #expect(firstMismatch(out.values, rows(a, cols).map { $0.min() ?? 0 }) == nil)
          #expect(out.isIntact)

          let before = numbers(cols, seed: 43)
          let sums = Guarded<T>(before)
          let columnSums = (0..<cols).map { c in (0..<count).reduce(0) { $0 + a[$1 * cols + c] } }
          table.column_sum(x.pointer, c, sums.pointer, r, c, 1)
          #expect(
            firstMismatch(sums.values, zip(before, columnSums).map(+), absolute: 20 * T.precision) == nil)
          table.column_sum(x.pointer, c, sums.pointer, r, c, 0)
          #expect(firstMismatch(sums.values, columnSums, absolute: 20 * T.precision) == nil)
          #expect(sums.isIntact)
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func columnsAreSummedInTheOrderOfRows(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let (count, cols) = (23, 37)
      let x = Guarded<T>(numbers(count * cols, seed: 3))
      let (whole, parts) = (Guarded<T>(garbage: cols), Guarded<T>(garbage: cols))
      let sum = kernel.table.pointee.column_sum
      sum?(x.pointer, Int64(cols), whole.pointer, Int64(count), Int64(cols), 0)
      var start = 0
      for rows in [3, 1, 7, 12] {
        sum?(
          x.pointer + start * cols, Int64(cols), parts.pointer, Int64(rows), Int64(cols), start > 0 ? 1 : 0)
        start += rows
      }
      #expect(whole.values == parts.values)
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func extremaFindTheFirstAndKeepNaN(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      for cols in oddSizes where cols > 0 {
        for place in Set([0, cols / 2, cols - 1]) {
          var a = numbers(cols, seed: 51)
          a[place] = 5
          if place + 1 < cols { a[cols - 1] = 5 }
          let index = Guarded<Int32>([-1], guardedBy: 7)
          withExtendedLifetime(Guarded<T>(a)) { table.row_argmax($0.pointer, index.pointer, 1, Int64(cols)) }
          #expect(index.values == [Int32(place)])
          a[place] = .nan
          let x = Guarded<T>(a)
          let out = Guarded<T>(garbage: 1)
          table.row_argmax(x.pointer, index.pointer, 1, Int64(cols))
          #expect(index.values == [Int32(place)])
          table.row_max(x.pointer, out.pointer, 1, Int64(cols))
          #expect(out.values[0].isNaN)
          table.row_min(x.pointer, out.pointer, 1, Int64(cols))
          #expect(out.values[0].isNaN)
        }
      }
      let lowest = Guarded<T>([-.infinity, -.infinity])
      let index = Guarded<Int32>([-1], guardedBy: 7)
      table.row_argmax(lowest.pointer, index.pointer, 1, 2)
      #expect(index.values == [0])
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func theLargestComeInOrderWithTiesByIndex(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes where size > 0 {
        // Few distinct values, so that there are ties.
        var a = numbers(size, seed: 61).map { ($0 * 4).rounded() }
        if size > 7 {
          a[3] = .nan
          a[5] = -.infinity
          a[6] = .infinity
        }
        let ranked = a.map { $0.isNaN ? -.infinity : $0 }
        let order = ranked.indices.sorted { ranked[$0] != ranked[$1] ? ranked[$0] > ranked[$1] : $0 < $1 }
        let x = Guarded<T>(a)
        for k in Set([0, 1, size / 2, size]) {
          let values = Guarded<T>(garbage: k)
          let indices = Guarded<Int32>(Array(repeating: -1, count: k), guardedBy: 7)
          kernel.table.pointee.top_k(x.pointer, Int64(size), Int64(k), values.pointer, indices.pointer)
          #expect(indices.values == order.prefix(k).map(Int32.init), "\(k) of \(size)")
          #expect(values.doubles == order.prefix(k).map { ranked[$0] })
          #expect(values.isIntact && indices.isIntact)
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func theFirstNonfiniteElementIsFound(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      func found(_ numbers: [Double]) -> Int64 {
        withExtendedLifetime(Guarded<T>(numbers)) {
          kernel.table.pointee.find_nonfinite($0.pointer, Int64(numbers.count))
        }
      }
      for size in oddSizes {
        let a = numbers(size, seed: 71)
        #expect(found(a) == -1)
        for bad in [Double.nan, .infinity, -.infinity] where size > 0 {
          for place in Set([0, size / 2, size - 1]) {
            var b = a
            b[place] = bad
            b[size - 1] = .nan
            #expect(found(b) == Int64(place))
          }
        }
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
