import Testing
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  /// What arrays are expected to do beside arithmetic: types, memory, creation, order, printing.
  @Suite struct ArrayOperationTests {
    // MARK: Types

    @Test func everyTypeConvertsToEveryOther() {
      let numbers = [0.0, 1, 3, 200]
      for from in DType.allCases {
        for to in DType.allCases {
          let x = Tensor(numbers).converted(to: from).converted(to: to)
          #expect(x.dtype == to)
          let isTruth = from == .bool || to == .bool
          let expected = isTruth ? [0.0, 1, 1, 1] : numbers
          #expect(x.doubles == expected, "\(from) to \(to): \(x)")
        }
      }
    }

    @Test func conversionsSaturateAndTruncateAsTheyPromise() {
      let x = Tensor([1e20, -1e20, .nan, 2.9, -2.9, .infinity])
      #expect(x.converted(to: .int32).scalars(as: Int32.self) == [.max, .min, 0, 2, -2, .max])
      #expect(x.converted(to: .int64).scalars(as: Int64.self) == [.max, .min, 0, 2, -2, .max])
      #expect(x.converted(to: .uint8).scalars(as: UInt8.self) == [255, 0, 0, 2, 0, 255])
      #expect(Tensor([300, -1] as [Int64]).converted(to: .uint8).scalars(as: UInt8.self) == [44, 255])
      let large = Int64(1) << 62 + 1
      #expect(Tensor([large]).scalars(as: Int64.self) == [large])
    }

    @Test func smallTypesAreRearrangedLikeOthers() {
      let x = Tensor((0..<24).map { UInt8($0) }, shape: [2, 3, 4])
      #expect(x.permuted([2, 0, 1]).scalars(as: UInt8.self)[..<7] == [0, 4, 8, 12, 16, 20, 1])
      #expect(x[Axis.all, -1, Axis.stride(by: -2)].scalars(as: UInt8.self) == [11, 9, 23, 21])
      let rows = x.reshaped(to: [6, 4] as Shape)
      #expect(
        rows.gatheredRows(Tensor([5, 0] as [Int32])).scalars(as: UInt8.self) == [20, 21, 22, 23, 0, 1, 2, 3])
      let wide = Tensor([1, -2, 3] as [Int64])
      #expect(
        Tensor.concatenated([wide, wide.flipped(along: [0])], along: 0).scalars(as: Int64.self) == [
          1, -2, 3, 3, -2, 1,
        ])
      #expect(Tensor.full([2], 1, dtype: .bool).scalars(as: Bool.self) == [true, true])
      #expect(Tensor([true]).item == 1 && Tensor([7] as [Int64]).item == 7)
    }

    // MARK: Memory

    @Test func memoryIsReadAndWrittenWhereItIs() {
      var x = Tensor([1, 2, 3] as [Float])
      let alias = x
      x.withUnsafeMutableBytes { $0.storeBytes(of: 9, toByteOffset: 4, as: Float.self) }
      #expect(x.floats == [1, 9, 3])
      #expect(alias.floats == [1, 2, 3], "another holder keeps its values")
      let transposed = Tensor([1, 2, 3, 4] as [Float], shape: [2, 2]).transposed()
      #expect(transposed.withUnsafeScalars(as: Float.self) { Array($0) } == [1, 3, 2, 4])
      #expect(Tensor.zeros([0, 3]).withUnsafeBytes { $0.count } == 0)
    }

    @Test func borrowedMemoryIsNotCopiedAndNotWritten() {
      final class Owner {
        let numbers = UnsafeMutablePointer<Double>.allocate(capacity: 4)
        init() { numbers.initialize(to: 0); for index in 0..<4 { numbers[index] = Double(index) } }
        deinit { numbers.deallocate() }
      }
      let owner = Owner()
      var x = Tensor(
        borrowing: UnsafeRawBufferPointer(start: owner.numbers, count: 32), shape: [2, 2], dtype: .float64,
        owner: owner)
      #expect(x.withUnsafeBytes { $0.baseAddress == UnsafeRawPointer(owner.numbers) })
      x.withUnsafeMutableBytes { $0.storeBytes(of: 7.0, as: Double.self) }
      #expect(x.scalars(as: Double.self) == [7, 1, 2, 3])
      #expect(owner.numbers[0] == 0, "a change goes to a copy")
    }

    // MARK: Creation

    @Test func tensorsAreMadeByRule() {
      #expect(Tensor.range(to: 4).floats == [0, 1, 2, 3])
      #expect(Tensor.range(from: 5, to: 0, by: -2, dtype: .int32).scalars(as: Int32.self) == [5, 3, 1])
      #expect(Tensor.range(from: 3, to: 3).elementCount == 0)
      #expect(Tensor.linearlySpaced(from: 0, to: 1, count: 5).floats == [0, 0.25, 0.5, 0.75, 1])
      #expect(Tensor.identity(2, columns: 3, diagonal: 1).floats == [0, 1, 0, 0, 0, 1])
      #expect(Tensor.lowerTriangle(2).scalars(as: Bool.self) == [true, false, true, true])
      #expect(
        Tensor.upperTriangle(2, columns: 3, diagonal: 1).scalars(as: Bool.self) == [
          false, true, true, false, false, true,
        ])
      #expect(Tensor.oneHot(Tensor([2, 0] as [Int32]), count: 3).floats == [0, 0, 1, 1, 0, 0])
    }

    // MARK: Order and truth

    @Test func nanAndEqualElementsHaveAPlace() {
      let x = Tensor([3, .nan, 1, 3, 1] as [Float])
      #expect(x.sortedIndices().scalars(as: Int32.self) == [2, 4, 0, 3, 1])
      #expect(x.sortedIndices(isDescending: true).scalars(as: Int32.self) == [1, 0, 3, 2, 4])
      let unique = x.unique()
      #expect(unique.values.floats[..<2] == [1, 3] && unique.values.floats[2].isNaN)
      #expect(unique.positions.scalars(as: Int32.self) == [1, 2, 0, 1, 0])
      #expect(unique.counts.scalars(as: Int32.self) == [2, 2, 1])
      #expect(Tensor([5, -1, 5] as [Int32]).unique().values.scalars(as: Int32.self) == [-1, 5])
      #expect(x.isNaN.scalars(as: Bool.self) == [false, true, false, false, false])
      #expect(Tensor([1, .infinity, .nan]).isFinite.scalars(as: Bool.self) == [true, false, false])
      #expect(x.isNaN.any() && !x.isNaN.all() && x.isNaN.nonzeroPositions.scalars(as: Int32.self) == [1])
      #expect(Tensor.zeros([0]).all() && !Tensor.zeros([0]).any())
    }

    // MARK: Algebra

    @Test func matricesWithoutASolutionAreReported() {
      let good = Tensor.identity(2, dtype: .float64)
      let bad = Tensor([1, 2, 2, 4] as [Double], shape: [2, 2])
      let both = Tensor.stacked([good, bad])
      #expect(throws: TensorError.notPositiveDefinite(operation: "cholesky", matrix: 1)) {
        try both.cholesky()
      }
      #expect(throws: TensorError.singularMatrix(operation: "solving", matrix: 1)) {
        try both.solving(.ones([2, 2, 1], dtype: .float64))
      }
    }

    @Test func float32FactorsAreFloat32() throws {
      let matrix = Tensor([4, 2, 2, 3] as [Float], shape: [2, 2])
      let factor = try matrix.cholesky()
      #expect(factor.dtype == .float32)
      #expect(factor.floats == [2, 0, 1, Float(2).squareRoot()])
      #expect(try matrix.solving(Tensor([2, 3] as [Float], shape: [2, 1])).floats == [0, 1])
    }

    // MARK: Printing

    @Test func tensorsPrintAsArrays() {
      #expect(Tensor(2.5).description == "2.5 float32 []")
      #expect(Tensor([1, -20] as [Int32]).description == "[  1, -20] int32 [2]")
      #expect(
        Tensor([true, false, false, true], shape: [2, 2]).description
          == "[[ true, false],\n [false,  true]] bool [2, 2]")
      #expect(
        Tensor.range(to: 8, dtype: .int32).reshaped(to: [2, 2, 2] as Shape).description
          == "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]] int32 [2, 2, 2]")
      let long = Tensor.range(to: 2000, dtype: .int32).description
      #expect(long == "[   0,    1,    2, …, 1997, 1998, 1999] int32 [2000]")
      #expect(Tensor.zeros([0, 2]).description == "[] float32 [0, 2]")
    }
  }
}
