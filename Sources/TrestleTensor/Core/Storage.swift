import Foundation
import Synchronization

/// The reference-counted bytes behind tensors: a block of the caching allocator, or borrowed from an owner.
///
/// `@unchecked Sendable`: the bytes are written only before a tensor that shows them is published, or through
/// ``Parameter`` after the check that no one else holds the storage; everything after that only reads.
package final class Storage: @unchecked Sendable {
  /// The first byte, 64-byte aligned when allocated here.
  package let pointer: UnsafeMutableRawPointer
  /// The bytes in use.
  package let byteCount: Int
  /// Keeps borrowed bytes (a memory-mapped file, say) alive; `nil` for allocated blocks.
  private let owner: AnyObject?
  private let sizeClass: Int

  /// A block of `byteCount` bytes with unspecified content (filled with NaN patterns in debug builds).
  package init(byteCount: Int) {
    self.byteCount = byteCount
    owner = nil
    (pointer, sizeClass) = BlockCache.shared.allocate(byteCount)
    #if DEBUG
      memset(pointer, 0xFF, byteCount)
    #endif
  }

  /// Bytes that belong to `owner`, which is kept alive. They are never written through the storage.
  package init(borrowing pointer: UnsafeRawPointer, byteCount: Int, owner: AnyObject) {
    self.pointer = UnsafeMutableRawPointer(mutating: pointer)
    self.byteCount = byteCount
    self.owner = owner
    sizeClass = -1
  }

  /// Whether the bytes belong to someone else and must not be written.
  package var isBorrowed: Bool { owner != nil }

  deinit {
    if owner == nil { BlockCache.shared.release(pointer, sizeClass: sizeClass) }
  }
}

/// Blocks kept for reuse, by size class: a fresh large block costs a page fault for every 4 KiB of it.
///
/// Size classes are powers of two split in four, so at most a quarter of a block is unused.
package final class BlockCache: Sendable {
  package static let shared = BlockCache()

  private static let alignment = 64

  private struct State {
    var free: [[UInt]] = Array(repeating: [], count: 256)
    /// When a block of the class was last wanted or given back.
    var lastUse: [UInt64] = Array(repeating: 0, count: 256)
    var clock: UInt64 = 0
    var kept = 0
  }

  /// Bytes kept at most; beyond that, blocks of the classes that were not used for longest go back to the system.
  private let capacity: Int
  private let state = Mutex(State())

  /// An empty cache; without a capacity, an eighth of the memory that the machine and the container allow, at most 4 GiB.
  package init(capacity: Int? = nil) {
    self.capacity = capacity ?? min(4 << 30, MachineLimits.memoryByteCount / 8)
  }

  /// The bytes that are kept for reuse.
  package var keptByteCount: Int { state.withLock { $0.kept } }

  /// The size class of `byteCount`: four steps an octave, from 64 bytes on.
  private static func sizeClass(_ byteCount: Int) -> (index: Int, byteCount: Int) {
    let size = max(byteCount, 64)
    let octave = Int.bitWidth - 1 - (size - 1).leadingZeroBitCount
    if octave < 6 { return (0, 64) }
    let quarter = 1 << (octave - 2)
    let steps = (size - (1 << octave) + quarter - 1) / quarter
    return ((octave - 6) * 4 + steps, (1 << octave) + steps * quarter)
  }

  package func allocate(_ byteCount: Int) -> (UnsafeMutableRawPointer, Int) {
    let (index, size) = Self.sizeClass(byteCount)
    let address = state.withLock { state -> UInt? in
      state.clock += 1
      state.lastUse[index] = state.clock
      guard let address = state.free[index].popLast() else { return nil }
      state.kept -= size
      return address
    }
    if let address, let pointer = UnsafeMutableRawPointer(bitPattern: address) { return (pointer, index) }
    // Pages of 2 MiB instead of 4 KiB where the system has them: fewer address translations when streaming.
    let isLarge = size >= 4 << 20
    let pointer = UnsafeMutableRawPointer.allocate(
      byteCount: size, alignment: isLarge ? 2 << 20 : Self.alignment)
    #if os(Linux)
      if isLarge { _ = madvise(pointer, size, 14 /* MADV_HUGEPAGE */) }
    #endif
    return (pointer, index)
  }

  package func release(_ pointer: UnsafeMutableRawPointer, sizeClass index: Int) {
    let size = Self.byteCount(ofClass: index)
    let surplus = state.withLock { state -> [UInt] in
      guard size <= capacity else { return [UInt(bitPattern: pointer)] }
      state.clock += 1
      state.lastUse[index] = state.clock
      state.kept += size
      state.free[index].append(UInt(bitPattern: pointer))
      var evicted: [UInt] = []
      while state.kept > capacity, let oldest = Self.oldestClass(state) {
        evicted.append(state.free[oldest].removeLast())
        state.kept -= Self.byteCount(ofClass: oldest)
      }
      return evicted
    }
    for address in surplus { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
  }

  private static func byteCount(ofClass index: Int) -> Int {
    let octave = index / 4 + 6
    return (1 << octave) + (index % 4) * (1 << (octave - 2))
  }

  /// The class with blocks that was not used for longest.
  private static func oldestClass(_ state: State) -> Int? {
    state.free.indices.filter { !state.free[$0].isEmpty }.min { state.lastUse[$0] < state.lastUse[$1] }
  }
}
