internal import CTrestleKernels

/// How a large product is cut: slabs whose panels fit the caches, and the tasks of a slab.
///
/// For every slab of columns and every block of k, the columns of b, then slab by slab the rows of a, are packed into
/// panels by all threads together, and then multiplied block by block. Blocks of k depend on k alone, and every element
/// is summed in the order of k, so the cuts in rows and columns leave no trace in the result.
struct TilePlan {
  /// Rows, columns and the range of k of one step.
  struct Slab {
    let rows: Range<Int>
    let columns: Range<Int>
    let ks: Range<Int>
  }

  /// A part of a slab's packing: lines of one side over a range of k, both relative to the slab.
  struct PackTask {
    let side: Int
    let lines: Range<Int>
    let ks: Range<Int>
  }

  private let product: KernelProduct
  private let kernels: trestle_product_kernels
  private let kStep: Int
  private let rowStep: Int
  private let columnStep: Int
  private let readsRowsInPlace: Bool
  private let panelBytesOfRows: Int
  private let threadCount: Int

  init(product: KernelProduct, kernels: trestle_product_kernels) {
    self.product = product
    self.kernels = kernels
    threadCount = ThreadPool.shared.threadCount
    let blockSize = Self.blockSize(product.b.storage)
    let longest = max(blockSize, Int(kernels.longest_k) / blockSize * blockSize)
    kStep = Self.roundUp(Self.share(product.k, Self.divideUp(product.k, longest)), blockSize)
    // Multiples of every panel's width.
    let group = Int(TRESTLE_LINE_GROUP)
    rowStep = min(Self.roundUp(product.m, Int(kernels.tile_rows)), 3 * group)
    columnStep = min(Self.roundUp(product.n, Int(kernels.tile_columns)), 4 * group)
    readsRowsInPlace = Self.readsInPlace(product, kernels)
    let steps = Self.divideUp(min(kStep, product.k), Int(kernels.k_per_step))
    // Whole cache lines, so that the vectors of b's panels do not straddle them.
    panelBytesOfRows = readsRowsInPlace ? 0 : Self.roundUp(rowStep * steps * Int(kernels.bytes_per_step), 64)
    workspaceBytes = panelBytesOfRows + columnStep * steps * Int(kernels.bytes_per_step)
  }

  /// The panels of a slab: first those of a, then those of b.
  let workspaceBytes: Int

  var rowSlabs: [Range<Int>] { Self.ranges(product.m, rowStep) }
  var columnSlabs: [Range<Int>] { Self.ranges(product.n, columnStep) }
  var kBlocks: [Range<Int>] { Self.ranges(product.k, kStep) }

  /// The slab that is the whole of a small product, `nil` for a large one.
  var onlySlab: Slab? {
    guard product.m * product.n * product.k <= 1 << 18, product.k <= kStep else { return nil }
    guard product.m <= rowStep, product.n <= columnStep else { return nil }
    return Slab(rows: 0..<product.m, columns: 0..<product.n, ks: 0..<product.k)
  }

  // MARK: Packing

  /// Packs both sides at once.
  func packAll(_ slab: Slab, _ workspace: UnsafeMutableRawPointer) {
    pack(slab, PackTask(side: 1, lines: slab.columns, ks: slab.ks), workspace)
    if !readsRowsInPlace { pack(slab, PackTask(side: 0, lines: slab.rows, ks: slab.ks), workspace) }
  }

  func packTasks(_ slab: Slab, columns: Bool) -> [PackTask] {
    var tasks: [PackTask] = []
    if columns {
      append(side: 1, slab.columns.count, slab.ks.count, product.b, Int(kernels.tile_columns), &tasks)
    }
    if !readsRowsInPlace {
      append(side: 0, slab.rows.count, slab.ks.count, product.a, Int(kernels.tile_rows), &tasks)
    }
    return tasks
  }

  private func append(
    side: Int, _ lines: Int, _ k: Int, _ operand: trestle_operand, _ panel: Int, _ tasks: inout [PackTask]
  ) {
    // Some ten microseconds to a task; along whichever direction is contiguous.
    let group = Int(TRESTLE_LINE_GROUP)
    let lineStep = operand.k_is_contiguous != 0 ? Self.roundUp(64, panel) : group
    let kStep = operand.k_is_contiguous != 0 ? k : 64
    if threadCount == 1 || lines * k <= 8192 {
      tasks.append(PackTask(side: side, lines: 0..<lines, ks: 0..<k))
      return
    }
    for lines in Self.ranges(lines, lineStep) {
      for ks in Self.ranges(k, kStep) { tasks.append(PackTask(side: side, lines: lines, ks: ks)) }
    }
  }

  func pack(_ slab: Slab, _ task: PackTask, _ workspace: UnsafeMutableRawPointer) {
    let steps = Self.divideUp(slab.ks.count, Int(kernels.k_per_step))
    var operand = task.side == 0 ? product.a : product.b
    let origin = task.side == 0 ? slab.rows.lowerBound : slab.columns.lowerBound
    let panels = workspace + (task.side == 0 ? 0 : panelBytesOfRows)
    kernels.pack(
      &operand, Int64(origin + task.lines.lowerBound), Int64(task.lines.count),
      Int64(slab.ks.lowerBound + task.ks.lowerBound), Int64(task.ks.count), Int32(task.side),
      panels + task.lines.lowerBound * steps * Int(kernels.bytes_per_step), Int64(steps),
      Int64(task.ks.lowerBound / Int(kernels.k_per_step)))
  }

  // MARK: Multiplying

  /// The rows and columns of a task's block: about square and in the caches, but several tasks to a thread.
  func blockSize(_ slab: Slab) -> (rows: Int, columns: Int) {
    let tileRows = Int(kernels.tile_rows)
    let tileColumns = Int(kernels.tile_columns)
    var rows = Self.roundUp(min(slab.rows.count, 128), tileRows)
    var columns = Self.roundUp(min(slab.columns.count, 8 * tileColumns), tileColumns)
    // A task should take several microseconds, or sharing costs more than it gives.
    let work = slab.rows.count * slab.columns.count * slab.ks.count
    let wanted = min(threadCount == 1 ? 1 : 4 * threadCount, max(1, work >> 19))
    while Self.divideUp(slab.rows.count, rows) * Self.divideUp(slab.columns.count, columns) < wanted {
      if rows > columns / 2 && rows >= 2 * tileRows {
        rows = Self.roundUp(rows / 2, tileRows)
      } else if columns >= 2 * tileColumns {
        columns = Self.roundUp(columns / 2, tileColumns)
      } else if rows >= 2 * tileRows {
        rows = Self.roundUp(rows / 2, tileRows)
      } else {
        break
      }
    }
    return (rows, columns)
  }

  /// Multiplies a block; `rows` and `columns` are relative to the slab and start on a panel.
  func multiply(_ slab: Slab, rows: Range<Int>, columns: Range<Int>, _ workspace: UnsafeMutableRawPointer) {
    let steps = Self.divideUp(slab.ks.count, Int(kernels.k_per_step))
    let lineBytes = steps * Int(kernels.bytes_per_step)
    let row = slab.rows.lowerBound + rows.lowerBound
    let column = slab.columns.lowerBound + columns.lowerBound
    let c = product.c + (row * product.ldc + column) * (product.isDouble ? 8 : 4)
    let accumulate: Int32 = product.accumulate || slab.ks.lowerBound > 0 ? 1 : 0
    let bPanels = workspace + panelBytesOfRows + columns.lowerBound * lineBytes
    if readsRowsInPlace {
      var a = product.a
      kernels.multiply_in_place(
        &a, Int64(row), Int64(slab.ks.lowerBound), bPanels, Int64(rows.count), Int64(columns.count),
        Int64(steps),
        product.alpha, accumulate, c, Int64(product.ldc))
    } else {
      kernels.multiply(
        workspace + rows.lowerBound * lineBytes, bPanels, Int64(rows.count), Int64(columns.count),
        Int64(steps),
        product.alpha, accumulate, c, Int64(product.ldc))
    }
  }

  // MARK: Arithmetic of cuts

  /// Whether the tiles read a where it lies. With few panels of b packing does not pay; rows that are contiguous in k are
  /// read as fast as panels, unless they are so many bytes apart that they share their places in the cache.
  private static func readsInPlace(_ product: KernelProduct, _ kernels: trestle_product_kernels) -> Bool {
    guard canReadInPlace(product, kernels) else { return false }
    let (columns, panel) = (product.n, Int(kernels.tile_columns))
    if columns <= 2 * panel { return true }
    let rowBytes = Int(product.a.stride * kernels.bytes_per_step / kernels.k_per_step)
    return product.a.k_is_contiguous != 0 && columns <= max(1024, 32 * panel) && rowBytes % 4096 != 0
  }

  /// Whether the tiles can read a where it lies: it has the panels' storage, and steps are whole and aligned.
  private static func canReadInPlace(_ product: KernelProduct, _ kernels: trestle_product_kernels) -> Bool {
    let a = product.a
    guard Int64(a.storage) == kernels.storage else { return false }
    if kernels.k_per_step == 1 { return true }
    return a.k_is_contiguous != 0 && a.stride % 2 == 0 && product.k % 2 == 0
      && UInt(bitPattern: a.data) % 4 == 0
  }

  /// Blocks of k end where blocks of the quantised formats end; 32 suits every other storage.
  private static func blockSize(_ storage: Int32) -> Int {
    storage >= TRESTLE_Q4_K.rawValue ? 256 : 32
  }

  private static func ranges(_ count: Int, _ step: Int) -> [Range<Int>] {
    stride(from: 0, to: count, by: step).map { $0..<min(count, $0 + step) }
  }

  private static func divideUp(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }
  private static func share(_ count: Int, _ parts: Int) -> Int { divideUp(count, max(1, parts)) }
  private static func roundUp(_ a: Int, _ unit: Int) -> Int { divideUp(a, unit) * unit }
}
