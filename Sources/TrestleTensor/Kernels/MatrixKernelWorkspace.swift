import Synchronization

/// Scratch memory that matrix products borrow and give back, so that no product allocates.
enum MatrixWorkspace {
  /// Calls `body` with `byteCount` bytes of uninitialised memory, aligned to 64 bytes.
  static func withBytes<Result>(_ byteCount: Int, _ body: (UnsafeMutableRawPointer) -> Result) -> Result {
    let buffer = take(byteCount)
    defer { give(buffer) }
    return body(buffer.pointer)
  }

  private struct Buffer {
    let pointer: UnsafeMutableRawPointer
    let byteCount: Int
  }

  /// Buffers that nobody uses, the last given back at the end. As many as there were products at the same time.
  // Safe to share: a buffer is in this list or in the hands of one product, never both.
  nonisolated(unsafe) private static var idle: [Buffer] = []
  private static let lock = Mutex<Void>(())
  private static let maximumIdleCount = 16

  private static func take(_ byteCount: Int) -> Buffer {
    let found: Buffer? = lock.withLock { _ in
      guard let index = idle.lastIndex(where: { $0.byteCount >= byteCount }) else { return nil }
      return idle.remove(at: index)
    }
    if let found { return found }
    // Powers of two keep the number of sizes, and so of allocations, small.
    var size = 1 << 16
    while size < byteCount { size *= 2 }
    return Buffer(pointer: .allocate(byteCount: size, alignment: 64), byteCount: size)
  }

  private static func give(_ buffer: Buffer) {
    let surplus: Buffer? = lock.withLock { _ in
      idle.append(buffer)
      guard idle.count > maximumIdleCount else { return nil }
      return idle.removeFirst()
    }
    surplus?.pointer.deallocate()
  }
}
