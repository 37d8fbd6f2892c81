/// Bounds that keep the cost of a hostile JSON text in proportion.
public struct JSONLimits: Sendable, Equatable {
  /// The deepest nesting of arrays and objects.
  public var depth: Int
  /// The longest text in bytes, at most 4 GB.
  public var byteCount: Int
  /// The most values and keys together; each takes 24 bytes of memory.
  public var nodeCount: Int

  /// The defaults hold the largest tokenizer files published so far several times over.
  public init(depth: Int = 64, byteCount: Int = 128 << 20, nodeCount: Int = 8_000_000) {
    self.depth = depth
    self.byteCount = byteCount
    self.nodeCount = nodeCount
  }
}

/// One value or key of a parsed text. Children follow their container: values in an array, key and value in turn
/// in an object.
struct JSONNode {
  enum Kind: UInt8 { case null, no, yes, number, string, array, object }

  /// The first byte of a string's or number's characters, in the text or among the unescaped bytes.
  var start: UInt32
  /// The bytes of a string or number; the members of a container.
  var length: UInt32
  /// The container's index; the root is its own parent.
  var parent: UInt32
  /// The index after the last descendant.
  var next: UInt32
  /// For an object with a hash table: one more than the table's number; otherwise 0.
  var table: UInt32 = 0
  var kind: Kind
  /// Whether the string had escapes, so that its characters are among the unescaped bytes.
  var isUnescaped = false
}

/// Bytes owned by a document, ending in a zero that is not counted.
///
/// Safety of `@unchecked Sendable`: the memory is written by the initializer only and freed in `deinit`.
final class JSONText: @unchecked Sendable {
  let base: UnsafePointer<UInt8>
  let count: Int

  init(copying bytes: UnsafeRawBufferPointer) {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count + 1)
    if let source = bytes.baseAddress {
      UnsafeMutableRawPointer(memory).copyMemory(from: source, byteCount: bytes.count)
    }
    memory[bytes.count] = 0
    base = UnsafePointer(memory)
    count = bytes.count
  }

  deinit { base.deallocate() }
}

/// A parsed JSON text: the bytes, a flat array of nodes, and hash tables for objects with many members.
final class JSONDocument: Sendable {
  /// Objects with more members than this have a hash table.
  static let scannedMembers = 8

  let source: String
  let text: JSONText
  let nodes: [JSONNode]
  let unescaped: [UInt8]
  let tables: [[UInt32]]

  init(source: String, text: JSONText, nodes: [JSONNode], unescaped: [UInt8], tables: [[UInt32]]) {
    self.source = source
    self.text = text
    self.nodes = nodes
    self.unescaped = unescaped
    self.tables = tables
  }

  /// Calls `body` with the characters of a string or number node.
  @inline(__always)
  func withCharacters<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let node = nodes[index]
    let (start, length) = (Int(node.start), Int(node.length))
    if node.isUnescaped {
      return unescaped.withUnsafeBytes {
        body(UnsafeRawBufferPointer(rebasing: $0[start..<(start + length)]))
      }
    }
    // The parser recorded ranges inside the text only, and `self` holds the text during the call.
    return withExtendedLifetime(text) {
      body(UnsafeRawBufferPointer(start: text.base + start, count: length))
    }
  }

  /// The characters as text whose runs of combining marks are bounded, see `String.init(streamSafe:)`.
  func string(_ index: Int) -> String {
    withCharacters(of: index) { String(streamSafe: $0) }
  }

  /// The index of the value that `key` has in the object at `index`.
  func value(of key: UnsafeRawBufferPointer, in index: Int) -> Int? {
    let node = nodes[index]
    if node.table == 0 {
      var child = index + 1
      while child < Int(node.next) {
        if withCharacters(of: child, { $0.hasSameBytes(as: key) }) { return child + 1 }
        child = Int(nodes[child + 1].next)
      }
      return nil
    }
    let slots = tables[Int(node.table) - 1]
    var slot = Int(truncatingIfNeeded: SeededHash.hash(key)) & (slots.count - 1)
    while slots[slot] != 0 {
      let child = Int(slots[slot])
      if withCharacters(of: child, { $0.hasSameBytes(as: key) }) { return child + 1 }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }
}

extension UnsafeRawBufferPointer {
  @inline(__always)
  func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    var index = 0
    while index + 8 <= count {
      if loadUnaligned(fromByteOffset: index, as: UInt64.self)
        != other.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      {
        return false
      }
      index += 8
    }
    while index < count {
      if self[index] != other[index] { return false }
      index += 1
    }
    return true
  }
}
