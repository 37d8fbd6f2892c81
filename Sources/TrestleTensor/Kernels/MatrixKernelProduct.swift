internal import CTrestleKernels

/// One product `c[m, n] = alpha · op(a) op(b) (+ c)` and the ways to compute it.
struct KernelProduct {
  let a: trestle_operand
  let b: trestle_operand
  let m: Int
  let n: Int
  let k: Int
  let alpha: Double
  let accumulate: Bool
  let c: UnsafeMutableRawPointer
  let ldc: Int
  let isDouble: Bool
  let arithmetic: Arithmetic
  let table: UnsafePointer<trestle_matrix_kernels>

  init(
    a: trestle_operand, b: trestle_operand, cType: DType, m: Int, n: Int, k: Int, alpha: Double,
    accumulate: Bool,
    c: UnsafeMutableRawPointer, ldc: Int, arithmetic: Arithmetic
  ) {
    isDouble = cType == .float64
    precondition(isDouble || cType == .float32, "matrix product: a result of type \(cType)")
    let double = Int32(TRESTLE_F64.rawValue)
    precondition(
      (a.storage == double) == isDouble && (b.storage == double) == isDouble,
      "matrix product: float64 beside another type")
    precondition(m >= 0 && n >= 0 && k >= 0, "matrix product: a negative size in m \(m), n \(n), k \(k)")
    self.a = a
    self.b = b
    self.m = m
    self.n = n
    self.k = k
    self.alpha = alpha
    self.accumulate = accumulate
    self.c = c
    self.ldc = ldc
    self.arithmetic = arithmetic
    table = Self.table
  }

  /// The kernels of the current instruction set.
  static var table: UnsafePointer<trestle_matrix_kernels> {
    guard let table = trestle_matrix_table(Int32(InstructionSet.current.level.rawValue)) else {
      preconditionFailure("matrix product: no kernels for \(InstructionSet.current)")
    }
    return table
  }

  /// Computes the product, sharing it among the pool's threads if it is large enough.
  func run() {
    if m == 0 || n == 0 { return }
    if k == 0 {
      if !accumulate { clear() }
    } else if isGEMV {
      runGEMV()
    } else if !hasBlocks && n <= 4 {
      runFewColumns()
    } else {
      runTiled()
    }
  }

  var hasBlocks: Bool { b.storage >= TRESTLE_Q8_0.rawValue }

  /// Whether it is computed by GEMV, for up to eight rows.
  var isGEMV: Bool {
    if hasBlocks { return b.k_is_contiguous != 0 && m <= QuantizedKernel.gemvRows }
    return m <= 4 || m <= 8 && n * k >= 1 << 14
  }

  private func clear() {
    for row in 0..<m {
      (c + row * ldc * scalarBytes).initializeMemory(as: UInt8.self, repeating: 0, count: n * scalarBytes)
    }
  }

  private var scalarBytes: Int { isDouble ? 8 : 4 }

  // MARK: Tiles

  private static let float32 = Int32(TRESTLE_F32.rawValue)
  static let bfloat16 = Int32(TRESTLE_BF16.rawValue)

  private var kernels: trestle_product_kernels {
    if isDouble { return table.pointee.f64 }
    let bothNarrow = a.storage == Self.bfloat16 && b.storage == Self.bfloat16
    return bothNarrow || arithmetic == .bfloat16 ? table.pointee.bf16 : table.pointee.f32
  }

  private func runTiled() {
    let plan = TilePlan(product: self, kernels: kernels)
    // Safe to share: each task packs panels, or writes a block of c, of its own; `plan` only reads.
    nonisolated(unsafe) let shared = plan
    MatrixWorkspace.withBytes(plan.workspaceBytes) { workspace in
      if let slab = plan.onlySlab {
        // Too small to share: without the lists of tasks, which would take longer than the product.
        plan.packAll(slab, workspace)
        plan.multiply(slab, rows: slab.rows, columns: slab.columns, workspace)
        return
      }
      nonisolated(unsafe) let workspace = workspace
      for columns in plan.columnSlabs {
        for ks in plan.kBlocks {
          for rows in plan.rowSlabs {
            let slab = TilePlan.Slab(rows: rows, columns: columns, ks: ks)
            let packsColumns = rows.lowerBound == 0
            let packing = plan.packTasks(slab, columns: packsColumns)
            ThreadPool.shared.run(packing.count) { shared.pack(slab, packing[$0], workspace) }
            let (rowStep, columnStep) = plan.blockSize(slab)
            let across = (columns.count + columnStep - 1) / columnStep
            let down = (rows.count + rowStep - 1) / rowStep
            ThreadPool.shared.run(across * down) { task in
              let row = task / across * rowStep
              let column = task % across * columnStep
              shared.multiply(
                slab, rows: row..<min(rows.count, row + rowStep),
                columns: column..<min(columns.count, column + columnStep), workspace)
            }
          }
        }
      }
    }
  }

  // MARK: GEMV

  /// `x` is op(a), copied unless it is already a row-major matrix of the result's type; b streams by.
  private func runGEMV() {
    stream(x: a, rows: m, w: b, lines: n, cRow: ldc, cColumn: 1)
  }

  /// The transposed product: `x` is op(b) transposed, and a streams by.
  private func runFewColumns() {
    stream(x: b, rows: n, w: a, lines: m, cRow: 1, cColumn: ldc)
  }

  private func stream(x: trestle_operand, rows: Int, w: trestle_operand, lines: Int, cRow: Int, cColumn: Int)
  {
    let ready = x.k_is_contiguous != 0 && x.storage != Self.bfloat16
    let copyBytes = ready ? 0 : rows * k * scalarBytes
    let sumBytes = hasBlocks ? rows * k / 16 * 4 : 0
    MatrixWorkspace.withBytes(copyBytes + sumBytes) { copy in
      if !ready { copyLines(of: x, count: rows, to: copy) }
      var halfSums: UnsafeMutablePointer<Float>?
      if hasBlocks {
        let sums = (copy + copyBytes).bindMemory(to: Float.self, capacity: rows * k / 16)
        let values = (ready ? x.data : UnsafeRawPointer(copy)).assumingMemoryBound(to: Float.self)
        table.pointee.sum_halves(values, ready ? x.stride : Int64(k), Int64(rows), Int64(k), sums)
        halfSums = sums
      }
      let request = gemvRequest(
        x: ready ? x.data : UnsafeRawPointer(copy), ldx: ready ? x.stride : Int64(k), w: w, cRow: cRow,
        cColumn: cColumn, rows: rows, halfSums: halfSums)
      // Safe to share: the request is only read, and every task writes the results of its own lines.
      nonisolated(unsafe) let shared = request
      let kernel = isDouble ? table.pointee.gemv_f64 : table.pointee.gemv_f32
      let step = lineStep(rows: rows, lines: lines)
      ThreadPool.shared.run((lines + step - 1) / step) { task in
        withUnsafePointer(to: shared) { request in
          kernel(request, Int64(task * step), Int64(min(step, lines - task * step)))
        }
      }
    }
  }

  /// GEMV with blocks, with a's rows quantised to 8 bits.
  func runGEMVInt8() {
    let groups = m * k / 32
    MatrixWorkspace.withBytes(groups * 44) { workspace in
      let scales = workspace.bindMemory(to: Float.self, capacity: groups * 3)
      let values = (workspace + groups * 12).bindMemory(to: Int8.self, capacity: groups * 32)
      let rows = a.data.assumingMemoryBound(to: Float.self)
      table.pointee.quantize_rows(rows, a.stride, Int64(m), Int64(k), values, scales, scales + groups)
      // Safe to share: both are only read, and every task writes the results of its own lines.
      nonisolated(unsafe) let x = trestle_int8_rows(
        values: values, scales: scales, half_sums: scales + groups)
      nonisolated(unsafe) let request = gemvRequest(
        x: a.data, ldx: a.stride, w: b, cRow: ldc, cColumn: 1, rows: m)
      let kernel = table.pointee.gemv_int8
      let step = lineStep(rows: m, lines: n)
      ThreadPool.shared.run((n + step - 1) / step) { task in
        withUnsafePointer(to: request) { request in
          withUnsafePointer(to: x) { x in
            kernel(request, x, Int64(task * step), Int64(min(step, n - task * step)))
          }
        }
      }
    }
  }

  func gemvRequest(
    x: UnsafeRawPointer, ldx: Int64, w: trestle_operand, cRow: Int, cColumn: Int, rows: Int,
    halfSums: UnsafePointer<Float>? = nil
  ) -> trestle_gemv {
    trestle_gemv(
      x: x, ldx: ldx, half_sums: halfSums, rows: Int64(rows), k: Int64(k), w: w, alpha: alpha,
      accumulate: accumulate ? 1 : 0,
      c: c,
      c_row: Int64(cRow), c_column: Int64(cColumn))
  }

  /// Lines to a task: enough work to be worth sharing, a multiple of what the kernel takes at once.
  func lineStep(rows: Int, lines: Int) -> Int {
    let enough = (1 << 14) / max(1, rows * k)
    let share = (lines + 4 * ThreadPool.shared.threadCount - 1) / (4 * ThreadPool.shared.threadCount)
    // Small enough a multiple that a narrow layer still splits evenly.
    return (max(enough, min(share, 1024)) + 15) / 16 * 16
  }

  /// Copies op(x), at most a few lines, to `[count, k]` of the result's type.
  private func copyLines(of x: trestle_operand, count: Int, to copy: UnsafeMutableRawPointer) {
    let stride = Int(x.stride)
    let (lineStride, kStride) = x.k_is_contiguous != 0 ? (stride, 1) : (1, stride)
    for line in 0..<count {
      for p in 0..<k {
        let source = line * lineStride + p * kStride
        if isDouble {
          let value = x.data.load(fromByteOffset: source * 8, as: Double.self)
          copy.storeBytes(of: value, toByteOffset: (line * k + p) * 8, as: Double.self)
        } else if x.storage == Self.bfloat16 {
          let bits = UInt32(x.data.load(fromByteOffset: source * 2, as: UInt16.self)) << 16
          copy.storeBytes(of: bits, toByteOffset: (line * k + p) * 4, as: UInt32.self)
        } else {
          let value = x.data.load(fromByteOffset: source * 4, as: Float.self)
          copy.storeBytes(of: value, toByteOffset: (line * k + p) * 4, as: Float.self)
        }
      }
    }
  }
}
