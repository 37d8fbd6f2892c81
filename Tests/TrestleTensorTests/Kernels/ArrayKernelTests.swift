import CTrestleKernels
import Testing
import TrestleTensor

/// The kernels of array libraries' operations, bit by bit where their order of arithmetic is promised.
@Suite struct ArrayKernelTests {
  private func each(_ kernel: KernelCase, _ double: () -> Void, _ float: () -> Void) {
    kernel.isDouble ? double() : float()
  }

  @Test(arguments: KernelCase.all) func runningSumsAreAddedUpInOrder(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for (rows, length) in [
        (1, 100), (3, 17), (4, 16), (16, 33), (19, 7), (33, 64), (2, 0), (0, 5), (17, 1),
      ] {
        for reversed in [false, true] {
          let x = Guarded<T>(numbers(rows * length, seed: UInt64(length), from: -1, to: 2))
          var byRow = x.values
          var byColumn = x.values
          for (outer, inner, isRow) in [(rows, length, true), (length, rows, false)] {
            for line in 0..<outer {
              var total = 0.0
              for step in reversed ? Array((0..<inner).reversed()) : Array(0..<inner) {
                let place = isRow ? line * length + step : step * length + line
                total += Double(x.values[place])
                if isRow { byRow[place] = T(total) } else { byColumn[place] = T(total) }
              }
            }
          }
          let out = Guarded<T>(garbage: rows * length)
          kernel.table.pointee.cumulative_sum(
            x.pointer, out.pointer, Int64(rows), Int64(length), reversed ? 1 : 0)
          #expect(out.values == byRow && out.isIntact, "\(rows)x\(length) reversed \(reversed)")
          kernel.table.pointee.cumulative_sum_columns(
            x.pointer, out.pointer, Int64(length), Int64(rows), Int64(length), reversed ? 1 : 0)
          #expect(out.values == byColumn && out.isIntact, "down \(rows)x\(length) reversed \(reversed)")
        }
      }
      let wide = Guarded<T>(numbers(2 * 1100, seed: 4))
      let out = Guarded<T>(garbage: 2 * 1100)
      kernel.table.pointee.cumulative_sum_columns(wide.pointer, out.pointer, 1100, 2, 1100, 0)
      #expect(out.values[..<1100] == wide.values[..<1100])
      #expect(
        (0..<1100).allSatisfy {
          out.values[1100 + $0] == T(Double(wide.values[$0]) + Double(wide.values[1100 + $0]))
        })
    }
    each(kernel, { check(Double.self) }, { check(Float.self) })
  }

  @Test(arguments: KernelCase.all) func theLargestOfAWindowIsTheFirstOfEqualOnes(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for (height, width) in [(7, 9), (12, 35), (5, 40), (9, 70), (3, 3)] {
        var plane = numbers(height * width, seed: UInt64(width), from: -2, to: 2).map { T($0.rounded()) }
        for place in stride(from: 5, to: plane.count, by: 11) { plane[place] = place % 2 == 0 ? .nan : -0.0 }
        let x = Guarded<T>(plane, guardedBy: .infinity)
        for (kernelHeight, kernelWidth, rowStep, columnStep) in [
          (2, 2, 2, 2), (3, 3, 1, 1), (3, 3, 2, 2), (1, 1, 1, 1), (1, 1, 2, 2), (2, 3, 1, 3), (3, 2, 3, 2),
        ] {
          let rows = (height - kernelHeight) / rowStep + 1
          let columns = (width - kernelWidth) / columnStep + 1
          var places: [Int32] = []
          for row in 0..<rows {
            for column in 0..<columns {
              var best = row * rowStep * width + column * columnStep
              for y in 0..<kernelHeight {
                for x in 0..<kernelWidth {
                  let place = (row * rowStep + y) * width + column * columnStep + x
                  if plane[place] > plane[best] || (plane[place].isNaN && !plane[best].isNaN) { best = place }
                }
              }
              places.append(Int32(best))
            }
          }
          let out = Guarded<T>(garbage: rows * columns)
          let found = Guarded<Int32>(Array(repeating: -1, count: rows * columns), guardedBy: 77)
          for target in [nil, found.pointer] {
            kernel.table.pointee.max_pool(
              x.pointer, Int64(width), out.pointer, target, Int64(rows), Int64(columns), Int64(kernelHeight),
              Int64(kernelWidth), Int64(rowStep), Int64(columnStep))
            let isRight = zip(out.values, places).allSatisfy { value, place in
              let expected = plane[Int(place)]
              return value.isNaN ? expected.isNaN : value == expected && value.sign == expected.sign
            }
            #expect(isRight && out.isIntact, "\(height)x\(width) by \(kernelHeight)x\(kernelWidth)")
          }
          #expect(
            found.values == places && found.isIntact, "\(height)x\(width) by \(kernelHeight)x\(kernelWidth)")
        }
      }
    }
    each(kernel, { check(Double.self) }, { check(Float.self) })
  }

  @Test(arguments: KernelCase.all) func elementsMoveWhereTheyAreTold(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      for size in oddSizes where size > 0 {
        let x = Guarded<T>(numbers(3 * size, seed: 2))
        let back = Guarded<T>(garbage: size)
        kernel.table.pointee.copy_strided(
          x.pointer + size - 1, back.pointer, [1, 1, 1, Int64(size)], [0, 0, 0, -1])
        #expect(back.values == Array(x.values[..<size].reversed()) && back.isIntact, "\(size)")
        let indices = (0..<3 * 5).map { Int32($0 * 7 % size) }
        let index = Guarded<Int32>(indices, guardedBy: -1)
        let picked = Guarded<T>(garbage: 15)
        kernel.table.pointee.gather_along(x.pointer, index.pointer, picked.pointer, 3, Int64(size), 5)
        #expect(
          picked.values == (0..<15).map { x.values[$0 / 5 * size + Int(indices[$0])] } && picked.isIntact)
        let sums = Guarded<T>(garbage: 3 * size)
        kernel.table.pointee.scatter_add_along(picked.pointer, index.pointer, sums.pointer, 3, Int64(size), 5)
        var expected = [T](repeating: 0, count: 3 * size)
        for place in 0..<15 { expected[place / 5 * size + Int(indices[place])] += picked.values[place] }
        #expect(sums.values == expected && sums.isIntact, "\(size)")
      }
    }
    each(kernel, { check(Double.self) }, { check(Float.self) })
  }

  @Test(arguments: KernelCase.all) func panelsHoldTheirWindows(_ kernel: KernelCase) {
    func check<T: KernelScalar>(_: T.Type) {
      let image = Guarded<T>(numbers(400, seed: 3))
      let steps: [Int64] = [0, 1, 2, 20, 21, 22, 200]
      for (lines, width) in [(16, 16), (48, 48), (5, 8), (1, 16), (24, 32), (8, 8)] {
        let row: [Int64] = (0..<lines).map { line in Int64(line) }
        let rows: [Int64] = (0..<lines).map { line in Int64(line / 5 * 20 + line % 5) }
        for places in [row, rows] {
          let panel = Guarded<T>(garbage: steps.count * width)
          kernel.table.pointee.unfold(
            image.pointer, steps, Int64(steps.count), places, Int64(lines), panel.pointer, Int64(width))
          var expected = [T](repeating: 0, count: steps.count * width)
          for (step, start) in steps.enumerated() {
            for line in 0..<lines { expected[step * width + line] = image.values[Int(start + places[line])] }
          }
          #expect(panel.values == expected && panel.isIntact, "\(lines) of \(width)")
        }
      }
    }
    each(kernel, { check(Double.self) }, { check(Float.self) })
  }

  @Test(arguments: KernelCase.all) func systemsOfEverySizeAreSolved(_ kernel: KernelCase) {
    let table = kernel.table.pointee
    guard kernel.isDouble else {
      #expect(table.cholesky == nil && table.solve == nil && table.solve_triangular == nil)
      return
    }
    for size in [0, 1, 2, 3, 5, 8, 9, 16, 17, 31, 64] {
      let root = numbers(size * size, seed: UInt64(size) + 1, from: -1, to: 1)
      var definite = [Double](repeating: 0, count: size * size)
      for place in definite.indices {
        let (row, column) = (place / size, place % size)
        for k in 0..<size { definite[place] += root[row * size + k] * root[column * size + k] }
        if row == column { definite[place] += 1 }
      }
      let factor = Guarded<Double>(definite)
      #expect(table.cholesky(factor.pointer, Int64(size)) == 1 && factor.isIntact)
      let isRight = definite.indices.allSatisfy { place in
        let (row, column) = (place / size, place % size)
        let total = (0..<size).reduce(0.0) {
          $0 + factor.pointer[row * size + $1] * factor.pointer[column * size + $1]
        }
        return abs(total - definite[place]) < 1e-11 && (column <= row || factor.pointer[place] == 0)
      }
      #expect(isRight, "cholesky of \(size)")
      for columns in [1, 3, 8, 17] {
        let right = numbers(size * columns, seed: 8)
        for (name, matrix) in [("A", root), ("L", factor.values), ("Lᵀ", factor.values)] {
          let x = Guarded<Double>(right)
          let a = Guarded<Double>(matrix)
          if name == "A" {
            #expect(table.solve(a.pointer, x.pointer, Int64(size), Int64(columns)) == 1)
          } else {
            table.solve_triangular(a.pointer, x.pointer, Int64(size), Int64(columns), name == "L" ? 0 : 1)
          }
          var worst = 0.0
          for place in right.indices {
            let (row, column) = (place / columns, place % columns)
            let total = (0..<size).reduce(0.0) {
              let element = name == "Lᵀ" ? matrix[$1 * size + row] : matrix[row * size + $1]
              return $0 + element * x.pointer[$1 * columns + column]
            }
            worst = max(worst, abs(total - right[place]))
          }
          #expect(
            worst < 1e-9 && x.isIntact && a.isIntact, "\(name) of \(size), \(columns) columns: \(worst)")
        }
      }
    }
    var singular = [0.0, 1, 0, 2], right = [1.0, 1]
    #expect(table.solve(&singular, &right, 2, 1) == 0)
    var unordered = [Double.nan]
    #expect(table.cholesky(&unordered, 1) == 0)
  }
}
