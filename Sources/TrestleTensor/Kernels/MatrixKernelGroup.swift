internal import CTrestleKernels

/// GEMV, for up to eight rows, with several matrices, as one job of the thread pool where each alone would be one.
///
/// Every element has the bits that its product alone gives it: a job's division into tasks changes none of them.
struct KernelProductGroup {
  /// Products with one `a` of float32 rows, which lie one after the other, and results of one type.
  private let products: [KernelProduct]
  private let isInt8: Bool

  /// The group of some products; `nil` if they are not all GEMV of float32 rows with the lines of a matrix.
  init?(_ products: [KernelProduct]) {
    guard let first = products.first, first.m > 0, first.k > 0 else { return nil }
    let isFit = products.allSatisfy { product in
      product.isGEMV && product.m == first.m && product.k == first.k && !product.isDouble
        && product.a.data == first.a.data && product.a.storage == Int32(TRESTLE_F32.rawValue)
        && product.a.k_is_contiguous != 0 && product.arithmetic == first.arithmetic
    }
    guard isFit else { return nil }
    self.products = products
    let blocks = products.allSatisfy(\.hasBlocks)
    isInt8 = blocks && first.arithmetic == .int8
    if first.arithmetic == .int8 && !blocks && products.contains(where: \.hasBlocks) { return nil }
  }

  /// Computes the products, sharing their lines among the pool's threads.
  func run() {
    isInt8 ? runInt8() : runFloat()
  }

  private func runFloat() {
    let first = products[0]
    let (rows, k) = (first.m, first.k)
    let values = first.a.data.assumingMemoryBound(to: Float.self)
    let hasBlocks = products.contains(where: \.hasBlocks)
    MatrixWorkspace.withBytes(hasBlocks ? rows * k / 16 * 4 : 0) { workspace in
      let sums = workspace.bindMemory(to: Float.self, capacity: hasBlocks ? rows * k / 16 : 0)
      if hasBlocks { first.table.pointee.sum_halves(values, first.a.stride, Int64(rows), Int64(k), sums) }
      let requests = products.map { product in
        product.gemvRequest(
          x: first.a.data, ldx: first.a.stride, w: product.b, cRow: product.ldc, cColumn: 1, rows: rows,
          halfSums: product.hasBlocks ? UnsafePointer(sums) : nil)
      }
      let kernel = first.table.pointee.gemv_f32
      share(requests) { request, line, lines in kernel(request, line, lines) }
    }
  }

  private func runInt8() {
    let first = products[0]
    let (rows, k) = (first.m, first.k)
    let groups = rows * k / 32
    MatrixWorkspace.withBytes(groups * 44) { workspace in
      let scales = workspace.bindMemory(to: Float.self, capacity: groups * 3)
      let values = (workspace + groups * 12).bindMemory(to: Int8.self, capacity: groups * 32)
      first.table.pointee.quantize_rows(
        first.a.data.assumingMemoryBound(to: Float.self), first.a.stride, Int64(rows), Int64(k), values,
        scales, scales + groups)
      // Safe to share: it is only read.
      nonisolated(unsafe) let x = trestle_int8_rows(
        values: values, scales: scales, half_sums: scales + groups)
      let requests = products.map {
        $0.gemvRequest(x: first.a.data, ldx: first.a.stride, w: $0.b, cRow: $0.ldc, cColumn: 1, rows: rows)
      }
      let kernel = first.table.pointee.gemv_int8
      share(requests) { request, line, lines in
        withUnsafePointer(to: x) { kernel(request, $0, line, lines) }
      }
    }
  }

  /// Calls `body` with ranges of lines of every request, as the tasks of one job.
  private func share(
    _ requests: [trestle_gemv],
    _ body: (UnsafePointer<trestle_gemv>, _ line: Int64, _ lines: Int64) -> Void
  ) {
    let step = products[0].lineStep(rows: products[0].m, lines: products.reduce(0) { $0 + $1.n })
    // Where the tasks of each product end.
    var ends: [Int] = []
    for product in products { ends.append((ends.last ?? 0) + (product.n + step - 1) / step) }
    // Safe to share: the requests are only read, and every task writes the results of its own lines.
    nonisolated(unsafe) let shared = requests
    ThreadPool.shared.run(ends.last ?? 0) { task in
      var index = 0
      while task >= ends[index] { index += 1 }
      let line = (task - (index == 0 ? 0 : ends[index - 1])) * step
      shared.withUnsafeBufferPointer { requests in
        guard let base = requests.baseAddress else { return }
        body(base + index, Int64(line), Int64(min(step, products[index].n - line)))
      }
    }
  }
}
