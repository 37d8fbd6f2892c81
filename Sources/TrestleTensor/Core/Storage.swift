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

  /// Bytes kept at most; blocks beyond that go back to the system.
  private static let capacity = 4 << 30
  private static let alignment = 64

  private struct State {
    var free: [[UInt]] = Array(repeating: [], count: 256)
    var kept = 0
  }

  private let state = Mutex(State())

  /// The size class of `byteCount`: four steps an octave, from 64 bytes on.
  private static func sizeClass(_ byteCount: Int) -> (index: Int, byteCount: Int) {
    let size = max(byteCount, 64)
    let octave = Int.bitWidth - 1 - (size - 1).leadingZeroBitCount
    if octave < 6 { return (0, 64) }
    let quarter = 1 << (octave - 2)
    let steps = (size - (1 << octave) + quarter - 1) / quarter
    return ((octave - 6) * 4 + steps, (1 << octave) + steps * quarter)
  }

  fileprivate func allocate(_ byteCount: Int) -> (UnsafeMutableRawPointer, Int) {
    let (index, size) = Self.sizeClass(byteCount)
    let address = state.withLock { state -> UInt? in
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

  fileprivate func release(_ pointer: UnsafeMutableRawPointer, sizeClass index: Int) {
    let octave = index / 4 + 6
    let size = (1 << octave) + (index % 4) * (1 << (octave - 2))
    let kept = state.withLock { state -> Bool in
      guard state.kept + size <= Self.capacity else { return false }
      state.kept += size
      state.free[index].append(UInt(bitPattern: pointer))
      return true
    }
    if !kept { pointer.deallocate() }
  }

  /// Gives every cached block back to the system.
  package func removeAll() {
    let blocks = state.withLock { state -> [[UInt]] in
      let blocks = state.free
      state.free = Array(repeating: [], count: blocks.count)
      state.kept = 0
      return blocks
    }
    for address in blocks.joined() { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
  }
}
