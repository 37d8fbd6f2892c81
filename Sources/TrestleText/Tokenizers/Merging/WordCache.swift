import Synchronization

/// The tokens of words seen before: a table of fixed size, in which a new word takes the place of the old one.
///
/// Words longer than ``maximumBytes`` or with more than ``maximumTokens`` tokens are not kept.
struct WordCache: Sendable {
  static let maximumBytes = 31
  private static let maximumTokens = 12
  private static let slotBits: UInt64 = 14

  /// A word's bytes, zero-filled, with its length in the last: equal keys are equal words.
  struct Key: Sendable, Equatable {
    var words: (UInt64, UInt64, UInt64, UInt64)

    /// The key of `bytes[start..<end]`, which has 1 to ``WordCache/maximumBytes`` bytes.
    @inline(__always)
    init(_ bytes: [UInt8], from start: Int, to end: Int) {
      words = (0, 0, 0, 0)
      words.0 = Self.load(bytes, start, min(end, start + 8))
      if end > start + 8 {
        words.1 = Self.load(bytes, start + 8, min(end, start + 16))
        if end > start + 16 {
          words.2 = Self.load(bytes, start + 16, min(end, start + 24))
          if end > start + 24 { words.3 = Self.load(bytes, start + 24, end) }
        }
      }
      words.3 |= UInt64(end - start) << 56
    }

    /// The key of no word.
    init() { words = (0, 0, 0, 0) }

    @inline(__always)
    private static func load(_ bytes: [UInt8], _ start: Int, _ end: Int) -> UInt64 {
      var word: UInt64 = 0
      for index in start..<end { word = word << 8 | UInt64(bytes[index]) }
      return word
    }

    @inline(__always)
    static func == (left: Key, right: Key) -> Bool { left.words == right.words }

    @inline(__always)
    var slot: Int {
      var hash = words.0 &* 0x9E37_79B9_7F4A_7C15
      hash = (hash ^ hash >> 32 ^ words.1) &* 0xD6E8_FEB8_6659_FD93
      hash = (hash ^ hash >> 32 ^ words.2) &* 0xD6E8_FEB8_6659_FD93
      hash = (hash ^ hash >> 32 ^ words.3) &* 0x9E37_79B9_7F4A_7C15
      return Int(truncatingIfNeeded: hash >> (64 - WordCache.slotBits))
    }
  }

  private var keys = [Key](repeating: Key(), count: 1 << slotBits)
  private var counts = [UInt8](repeating: 0, count: 1 << slotBits)
  private var tokens = [Int32](repeating: 0, count: maximumTokens << slotBits)

  /// Appends the word's tokens to `ids` if they are known.
  @inline(__always)
  func append(_ key: Key, to ids: inout [Int32]) -> Bool {
    let slot = key.slot
    guard keys[slot] == key else { return false }
    let first = slot * Self.maximumTokens
    for index in first..<first + Int(counts[slot]) { ids.append(tokens[index]) }
    return true
  }

  /// Keeps the tokens of a word.
  mutating func insert(_ key: Key, _ word: [Int32]) {
    guard word.count <= Self.maximumTokens else { return }
    let slot = key.slot
    keys[slot] = key
    counts[slot] = UInt8(word.count)
    for (index, token) in word.enumerated() { tokens[slot * Self.maximumTokens + index] = token }
  }
}

/// What one call of `encode` works with.
struct EncodingWorkspace: Sendable {
  var cache = WordCache()
  var merger = WordMerger()
}

/// The workspaces of a tokenizer: each call takes one and gives it back, so that calls on several threads do not
/// wait for each other and words stay cached from call to call.
final class WorkspacePool: Sendable {
  private let free = Mutex<[EncodingWorkspace]>([])
  private static let retained = 4

  func withWorkspace(_ body: (inout EncodingWorkspace) -> Void) {
    var workspace = free.withLock { $0.popLast() } ?? EncodingWorkspace()
    body(&workspace)
    workspace.merger.releaseExcess()
    free.withLock { [workspace] in
      if $0.count < Self.retained { $0.append(workspace) }
    }
  }
}
