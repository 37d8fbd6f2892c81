import CTrestleKernels
import Foundation
import Testing
import TrestleTensor

/// Conversions between element types, and the choice of an instruction set.
struct ConversionKernelTests {
  /// Numbers of every magnitude, their neighbours' midpoints (ties) and the special ones.
  private func samples() -> [Float] {
    var result: [Float] = [
      0, -0.0, .infinity, -.infinity, .nan, 65504, 65519.996, 65520, 65536, 1e38, 3.4e38,
      -Float.leastNormalMagnitude / 8,
    ]
    for pattern in stride(from: UInt32(0), to: UInt32.max - 0x0001_0000, by: 0x0000_7fff) {
      result.append(Float(bitPattern: pattern))
    }
    for pattern in stride(from: UInt32(0x3300_0000), to: 0x4780_0000, by: 0x0000_1000) {
      result.append(Float(bitPattern: pattern))
    }
    return result
  }

  /// The nearest bfloat16, ties to even.
  private func nearestBFloat16(_ x: Float) -> Float {
    if x.isNaN || x.isInfinite { return x }
    let low = Float(bitPattern: x.bitPattern & 0xffff_0000)
    let next = (x.bitPattern & 0xffff_0000) &+ 0x0001_0000
    let rest = x.bitPattern & 0xffff
    if rest == 0x8000 { return next & 0x0001_0000 == 0 ? Float(bitPattern: next) : low }
    return rest > 0x8000 ? Float(bitPattern: next) : low
  }

  private func same(_ a: Float, _ b: Float) -> Bool {
    a.isNaN ? b.isNaN : a.bitPattern == b.bitPattern
  }

  @Test(arguments: InstructionSet.available) func sixteenBitTypesRoundToTheNearest(_ set: InstructionSet)
    throws
  {
    let table = try #require(trestle_conversions_table(set.level)).pointee
    let x = samples()
    let narrow = Guarded<UInt16>(Array(repeating: 0, count: x.count), guardedBy: 7)
    let wide = Guarded<Float>(Array(repeating: 0, count: x.count), guardedBy: 7)
    table.float_to_bf16(x, narrow.pointer, Int64(x.count))
    table.bf16_to_float(narrow.pointer, wide.pointer, Int64(x.count))
    #expect(zip(x, wide.values).first { !same(nearestBFloat16($0), $1) } == nil)
    table.float_to_half(x, narrow.pointer, Int64(x.count))
    table.half_to_float(narrow.pointer, wide.pointer, Int64(x.count))
    #if !arch(x86_64) || os(Linux)
      #expect(zip(x, wide.values).first { !same(Float(Float16($0)), $1) } == nil)
    #endif
    #expect(narrow.isIntact && wide.isIntact)
  }

  @Test(arguments: InstructionSet.available) func everySixteenBitPatternWidensAndReturns(
    _ set: InstructionSet
  ) throws {
    let table = try #require(trestle_conversions_table(set.level)).pointee
    let patterns = Array(UInt16.min...UInt16.max)
    var wide = [Float](repeating: 0, count: patterns.count)
    var back = [UInt16](repeating: 0, count: patterns.count)
    table.bf16_to_float(patterns, &wide, Int64(patterns.count))
    #expect(zip(patterns, wide).allSatisfy { UInt32($0) << 16 == $1.bitPattern })
    table.float_to_bf16(wide, &back, Int64(patterns.count))
    #expect(zip(zip(patterns, wide), back).allSatisfy { $0.1.isNaN ? $1 & 0x7fff > 0x7f80 : $0.0 == $1 })
    table.half_to_float(patterns, &wide, Int64(patterns.count))
    table.float_to_half(wide, &back, Int64(patterns.count))
    #expect(zip(zip(patterns, wide), back).allSatisfy { $0.1.isNaN ? $1 & 0x7fff > 0x7c00 : $0.0 == $1 })
  }

  @Test(arguments: InstructionSet.available) func conversionsMatchAtEverySize(_ set: InstructionSet) throws {
    let table = try #require(trestle_conversions_table(set.level)).pointee
    for size in oddSizes {
      let a = numbers(size, seed: 191)
      let x = Guarded<Float>(a), out = Guarded<Float>(garbage: size)
      let wide = Guarded<Double>(garbage: size)
      table.float_to_double(x.pointer, wide.pointer, Int64(size))
      #expect(wide.values == a)
      table.double_to_float(wide.pointer, out.pointer, Int64(size))
      #expect(out.values == x.values)
      let narrow = Guarded<UInt16>(Array(repeating: 0, count: size), guardedBy: 7)
      table.float_to_bf16(x.pointer, narrow.pointer, Int64(size))
      table.bf16_to_float(narrow.pointer, out.pointer, Int64(size))
      #expect(zip(x.values, out.values).allSatisfy { same(nearestBFloat16($0), $1) })
      table.float_to_half(x.pointer, narrow.pointer, Int64(size))
      table.half_to_float(narrow.pointer, out.pointer, Int64(size))
      #expect(firstMismatch(out.values, a, relative: 5e-4, absolute: 1e-4) == nil)
      #expect(out.isIntact && wide.isIntact && narrow.isIntact)
    }
  }

  @Test(arguments: InstructionSet.available) func bfloat16RowsAreGathered(_ set: InstructionSet) throws {
    let table = try #require(trestle_conversions_table(set.level)).pointee
    let index: [Int32] = [3, 0, 3, 1]
    for cols in oddSizes where cols > 0 {
      let patterns = numbers(4 * (cols + 2), seed: 201).map { UInt16(Float($0).bitPattern >> 16) }
      let out = Guarded<Float>(garbage: 4 * cols)
      table.gather_rows_bf16(patterns, Int64(cols + 2), index, out.pointer, 4, Int64(cols))
      let expected = (0..<4 * cols).map {
        UInt32(patterns[Int(index[$0 / cols]) * (cols + 2) + $0 % cols]) << 16
      }
      #expect(out.values.map(\.bitPattern) == expected && out.isIntact)
    }
  }

  @Test func unavailableInstructionSetsAreRefused() {
    for set in InstructionSet.allCases where !set.isAvailable {
      #expect(throws: InstructionSetError.unavailable(requested: set, available: InstructionSet.available)) {
        try InstructionSet.select(set)
      }
    }
    #expect(InstructionSet.available.contains(.portable))
    #expect(InstructionSet.available.contains(InstructionSet.current))
  }

  @Test func namesAgreeWithTheLibrarys() {
    for set in InstructionSet.allCases {
      #expect(String(cString: trestle_level_name(set.level)) == set.rawValue)
      #expect((trestle_kernels_table(set.level, 0) != nil) == set.isAvailable)
    }
    #expect(InstructionSet.available.last?.level == trestle_best_level())
  }
}
