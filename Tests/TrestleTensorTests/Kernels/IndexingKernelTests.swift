import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// Strided copies, rows by index, sparse products and the rotary embedding.
struct IndexingKernelTests {
  @Test(arguments: KernelCase.all) func stridedCopiesMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let shapes: [[Int]] = [
        [1, 1, 1, 1], [2, 3, 4, 5], [1, 2, 33, 17], [3, 1, 65, 2], [1, 1, 0, 4], [2, 2, 16, 16],
      ]
      for shape in shapes {
        let count = shape.reduce(1, *)
        let x = Guarded<T>(numbers(count, seed: 121))
        let dense = (0..<4).map { shape[($0 + 1)...].reduce(1, *) }
        for order in [[0, 1, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0], [1, 0, 2, 3], [0, 3, 1, 2]] {
          let view = order.map { shape[$0] }, strides = order.map { dense[$0] }
          var expected: [T] = []
          for a in 0..<view[0] {
            for b in 0..<view[1] {
              for c in 0..<view[2] {
                for d in 0..<view[3] {
                  expected.append(
                    x.pointer[a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]])
                }
              }
            }
          }
          let out = Guarded<T>(garbage: count)
          kernel.table.pointee.copy_strided(
            x.pointer, out.pointer, view.map(Int64.init), strides.map(Int64.init))
          #expect(out.values == expected, "\(shape) \(order)")
          #expect(out.isIntact)
        }
      }
      let x = Guarded<T>([1, 2, 3])
      let out = Guarded<T>(garbage: 6)
      kernel.table.pointee.copy_strided(x.pointer, out.pointer, [1, 1, 2, 3], [0, 0, 0, 1])
      #expect(out.doubles == [1, 2, 3, 1, 2, 3])
      kernel.table.pointee.copy_strided(x.pointer + 2, out.pointer, [1, 1, 3, 2], [0, 0, -1, 0])
      #expect(out.doubles == [3, 3, 2, 2, 1, 1])
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all) func rowsAreGatheredAndAdded(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let table = kernel.table.pointee
      let (height, n) = (29, 83)
      let index = numbers(n, seed: 131, from: 0, to: Double(height)).map { Int32($0) }
      let indices = Guarded(index, guardedBy: 7)
      for cols in oddSizes where cols > 0 && cols < 200 {
        let step = cols + 3
        let source = Guarded<T>(numbers(height * step, seed: 132))
        let out = Guarded<T>(garbage: n * cols)
        table.gather_rows(source.pointer, Int64(step), indices.pointer, out.pointer, Int64(n), Int64(cols))
        let expected = (0..<n * cols).map { source.values[Int(index[$0 / cols]) * step + $0 % cols] }
        #expect(out.values == expected && out.isIntact)

        let added = numbers(n * cols, seed: 133), before = numbers(height * cols, seed: 134)
        let x = Guarded<T>(added)
        var sums = before
        for i in 0..<n { for c in 0..<cols { sums[Int(index[i]) * cols + c] += 0.5 * added[i * cols + c] } }
        let whole = Guarded<T>(before), parts = Guarded<T>(before), ordered = Guarded<T>(before)
        let (count, width) = (Int64(n), Int64(cols))
        table.scatter_add_rows(
          x.pointer, indices.pointer, 0.5, whole.pointer, count, width, 0, Int64(height))
        #expect(firstMismatch(whole.values, sums, absolute: 20 * T.precision) == nil)
        for (begin, end) in [(0, 4), (4, 5), (5, 5), (5, height)] {
          table.scatter_add_rows(
            x.pointer, indices.pointer, 0.5, parts.pointer, count, width, Int64(begin), Int64(end))
        }
        #expect(parts.values == whole.values)
        let (order, starts) = Self.buckets(indices, rows: 10, count: 3)
        for bucket in 0..<3 {
          table.scatter_add_ordered(
            x.pointer, indices.pointer, order.pointer, 0.5, ordered.pointer, starts[bucket],
            starts[bucket + 1],
            width)
        }
        #expect(ordered.values == whole.values)
        #expect(whole.isIntact && parts.isIntact && ordered.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  static func buckets(_ index: Guarded<Int32>, rows: Int, count: Int) -> (Guarded<Int32>, [Int64]) {
    let order = Guarded<Int32>(Array(repeating: -1, count: index.count), guardedBy: 7)
    let starts = Guarded<Int64>(Array(repeating: -1, count: count + 1), guardedBy: 7)
    trestle_bucket_positions(
      index.pointer, Int64(index.count), Int64(rows), Int64(count), order.pointer, starts.pointer)
    #expect(order.isIntact && starts.isIntact)
    return (order, starts.values)
  }

  @Test func positionsAreGroupedInTheirOrder() {
    let index: [Int32] = [7, 0, 3, 9, 2, 2, 8, 0]
    let (order, starts) = Self.buckets(Guarded(index, guardedBy: 7), rows: 3, count: 4)
    #expect(starts == [0, 4, 5, 7, 8])
    #expect(order.values == [1, 4, 5, 7, 2, 0, 6, 3])
  }

  @Test(arguments: KernelCase.all) func sparseProductsMatch(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let counts = [0, 3, 17, 1, 0, 60, 2, 5]
      let starts = counts.reduce(into: [Int64(0)]) { $0.append($0[$0.count - 1] + Int64($1)) }
      let total = counts.reduce(0, +)
      let width = 41
      let columns = numbers(total, seed: 141, from: 0, to: Double(width)).map { Int32($0) }
      let values = numbers(total, seed: 142)
      for cols in oddSizes where cols > 0 && cols < 200 {
        let dense = numbers(width * cols, seed: 143), before = numbers(counts.count * cols, seed: 144)
        let (x, value) = (Guarded<T>(dense), Guarded<T>(values))
        var product = Array(repeating: 0.0, count: before.count)
        for row in counts.indices {
          for p in Int(starts[row])..<Int(starts[row + 1]) {
            for c in 0..<cols { product[row * cols + c] += values[p] * dense[Int(columns[p]) * cols + c] }
          }
        }
        let out = Guarded<T>(before), parts = Guarded<T>(before)
        let tolerance = 100 * T.precision
        kernel.table.pointee.csr_times_dense(
          starts, columns, value.pointer, x.pointer, out.pointer, 0, Int64(counts.count), Int64(cols), 1)
        #expect(firstMismatch(out.values, zip(before, product).map(+), absolute: tolerance) == nil)
        kernel.table.pointee.csr_times_dense(
          starts, columns, value.pointer, x.pointer, out.pointer, 0, Int64(counts.count), Int64(cols), 0)
        #expect(firstMismatch(out.values, product, absolute: tolerance) == nil)
        for (begin, end) in [(0, 3), (3, 4), (4, 8)] as [(Int64, Int64)] {
          kernel.table.pointee.csr_times_dense(
            starts, columns, value.pointer, x.pointer, parts.pointer, begin, end, Int64(cols), 0)
        }
        #expect(parts.values == out.values && out.isIntact && parts.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }

  @Test(arguments: KernelCase.all, [false, true]) func rotationsMatchAndUndoThemselves(
    _ kernel: KernelCase, isHalfSplit: Bool
  ) {
    func check<T: KernelScalar>(_: T.Type) {
      for (tokens, heads, size, rotated) in [(1, 1, 2, 2), (3, 2, 64, 64), (5, 3, 40, 34), (2, 1, 10, 4)] {
        let step = heads * size + 5
        let a = numbers(tokens * step, seed: 151)
        let angles = numbers(tokens * rotated / 2, seed: 152)
        let (x, cosines, sines) = (Guarded<T>(a), Guarded<T>(angles.map(cos)), Guarded<T>(angles.map(sin)))
        var expected = a
        for token in 0..<tokens {
          for head in 0..<heads {
            for pair in 0..<rotated / 2 {
              let start = token * step + head * size
              let i = start + (isHalfSplit ? pair : 2 * pair)
              let j = start + (isHalfSplit ? pair + rotated / 2 : 2 * pair + 1)
              let angle = angles[token * rotated / 2 + pair]
              expected[i] = a[i] * cos(angle) - a[j] * sin(angle)
              expected[j] = a[i] * sin(angle) + a[j] * cos(angle)
            }
          }
        }
        let y = Guarded<T>(a)
        func rotate(_ from: Guarded<T>, _ to: Guarded<T>, _ direction: Int32) {
          kernel.table.pointee.rotary(
            from.pointer, Int64(step), cosines.pointer, sines.pointer, to.pointer, Int64(step), Int64(tokens),
            Int64(heads), Int64(size), Int64(rotated), isHalfSplit ? 1 : 0, direction)
        }
        rotate(x, y, 1)
        #expect(firstMismatch(y.values, expected, absolute: 10 * T.precision) == nil)
        rotate(y, y, -1)
        #expect(firstMismatch(y.values, a, absolute: 10 * T.precision) == nil)
        #expect(y.isIntact)
      }
    }
    kernel.isDouble ? check(Double.self) : check(Float.self)
  }
}
