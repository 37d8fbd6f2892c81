import TrestleFormats

/// The tokens of a vocabulary, numbered from 0, and the ids by spelling.
///
/// The spellings lie in one array, the index is a hash table with open addressing: loading fifty thousand tokens
/// takes milliseconds. Its hash is seeded, so that no file's tokens all collide.
package struct Vocabulary: Sendable {
  private var storage: [UInt8] = []
  private var starts: [Int] = [0]
  private var slots: [Int32]
  /// The length in bytes of the longest token.
  private(set) var maximumLength = 0

  package var count: Int { starts.count - 1 }

  /// Indexes the tokens by spelling.
  ///
  /// - Parameter isIndexed: whether an id can be found by its spelling.
  /// - Returns: the vocabulary and the first pair of ids that share a spelling, if any.
  package static func indexed(
    _ tokens: [[UInt8]], where isIndexed: (Int) -> Bool = { _ in true }
  ) -> (vocabulary: Vocabulary, duplicate: (Int, Int)?) {
    var vocabulary = Vocabulary(capacity: tokens.count, bytes: tokens.reduce(0) { $0 + $1.count })
    var duplicate: (Int, Int)?
    for (id, token) in tokens.enumerated() {
      vocabulary.storage.append(contentsOf: token)
      vocabulary.starts.append(vocabulary.storage.count)
      guard isIndexed(id) else { continue }
      vocabulary.maximumLength = max(vocabulary.maximumLength, token.count)
      let slot = vocabulary.slot(of: token, from: 0, to: token.count)
      if vocabulary.slots[slot] >= 0 {
        duplicate = duplicate ?? (Int(vocabulary.slots[slot]), id)
      } else {
        vocabulary.slots[slot] = Int32(id)
      }
    }
    return (vocabulary, duplicate)
  }

  private init(capacity: Int, bytes: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    storage.reserveCapacity(bytes)
    starts.reserveCapacity(capacity + 1)
  }

  /// The spelling of a token inside the vocabulary.
  subscript(id: Int) -> ArraySlice<UInt8> { storage[starts[id]..<starts[id + 1]] }

  /// The id of `bytes[start..<end]`, `nil` if there is no such token.
  func id(of bytes: [UInt8], from start: Int, to end: Int) -> Int32? {
    let id = slots[slot(of: bytes, from: start, to: end)]
    return id < 0 ? nil : id
  }

  /// The id of a token by its spelling.
  func id(of token: [UInt8]) -> Int32? { id(of: token, from: 0, to: token.count) }

  /// The slot that holds the spelling, or the free one where it would go.
  private func slot(of bytes: [UInt8], from start: Int, to end: Int) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: SeededHash.hash(bytes, from: start, to: end)) & mask
    while slots[slot] >= 0 {
      if isSpelled(Int(slots[slot]), as: bytes, from: start, to: end) { break }
      slot = (slot + 1) & mask
    }
    return slot
  }

  private func isSpelled(_ id: Int, as bytes: [UInt8], from start: Int, to end: Int) -> Bool {
    let offset = starts[id]
    guard starts[id + 1] - offset == end - start else { return false }
    for index in start..<end where storage[offset + index - start] != bytes[index] { return false }
    return true
  }
}
