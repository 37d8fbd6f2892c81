import TrestleFormats

/// Finds the longest token that begins at each place of a word, in one pass: linear time, whatever the tokens.
///
/// The automaton of Aho and Corasick over the reversed tokens reads the word from its end. Its state is the longest
/// reversed token's beginning that ends here; the longest token among that state and those it falls back to begins here.
///
/// Source: Aho and Corasick, *Efficient string matching* (1975).
package struct TokenAutomaton: Sendable {
  private struct Node: Sendable {
    /// The state to fall back to: the longest proper suffix that is a state too.
    var fallback: Int32 = 0
    /// The token that ends here, or else in the nearest fallback; -1 for none.
    var token: Int32 = -1
    /// That token's length in bytes.
    var length: Int32 = 0
  }

  private var nodes = [Node()]
  /// Edges by `node << 8 | byte`, in open addressing.
  private var keys: [UInt64]
  private var children: [Int32]
  private let seed: UInt64
  private let multiplier: UInt64

  /// The automaton of the tokens `bytes[id]` for which `isIncluded` holds; empty ones are left out.
  package init(_ tokens: [[UInt8]], where isIncluded: (Int) -> Bool) {
    (seed, multiplier) = SeededHash.integerKeys()
    var size = 16
    let bytes = tokens.indices.reduce(0) { $0 + (isIncluded($1) ? tokens[$1].count : 0) }
    while size < bytes * 2 { size *= 2 }
    keys = [UInt64](repeating: .max, count: size)
    children = [Int32](repeating: 0, count: size)
    var order: [(node: Int32, parent: Int32, byte: UInt8)] = []
    for (id, token) in tokens.enumerated() where isIncluded(id) && !token.isEmpty {
      var node: Int32 = 0
      for byte in token.reversed() {
        let slot = slot(node, byte)
        if keys[slot] == .max {
          nodes.append(Node())
          keys[slot] = Self.key(node, byte)
          children[slot] = Int32(nodes.count - 1)
          order.append((Int32(nodes.count - 1), node, byte))
        }
        node = children[slot]
      }
      // The first of equals counts.
      if nodes[Int(node)].token < 0 {
        nodes[Int(node)].token = Int32(id)
        nodes[Int(node)].length = Int32(token.count)
      }
    }
    linkFallbacks(order)
  }

  /// Sets fallbacks level by level: a node's parent is always done before it.
  private mutating func linkFallbacks(_ edges: [(node: Int32, parent: Int32, byte: UInt8)]) {
    var depths = [Int32](repeating: 0, count: nodes.count)
    var counts: [Int] = [0]
    for edge in edges {
      let depth = depths[Int(edge.parent)] + 1
      depths[Int(edge.node)] = depth
      while counts.count <= Int(depth) + 1 { counts.append(0) }
      counts[Int(depth) + 1] += 1
    }
    for level in counts.indices.dropFirst() { counts[level] += counts[level - 1] }
    var order = [Int](repeating: 0, count: edges.count)
    for (index, edge) in edges.enumerated() {
      let level = Int(depths[Int(edge.node)])
      order[counts[level]] = index
      counts[level] += 1
    }
    for index in order {
      let edge = edges[index]
      let node = Int(edge.node)
      if edge.parent != 0 { nodes[node].fallback = next(nodes[Int(edge.parent)].fallback, edge.byte) }
      let fallback = nodes[Int(nodes[node].fallback)]
      if nodes[node].token < 0 { (nodes[node].token, nodes[node].length) = (fallback.token, fallback.length) }
    }
  }

  /// Writes for each place of `bytes[start..<end]` the longest token that begins there: its id, -1 for none, and its
  /// length.
  package func longestTokens(
    in bytes: [UInt8], from start: Int, to end: Int, _ found: inout [(id: Int32, length: Int32)]
  ) {
    found.removeAll(keepingCapacity: true)
    found.append(contentsOf: repeatElement((id: -1, length: 0), count: end - start))
    var state: Int32 = 0
    var place = end - 1
    while place >= start {
      state = next(state, bytes[place])
      let node = nodes[Int(state)]
      found[place - start] = (node.token, node.length)
      place -= 1
    }
  }

  /// The state after one more byte. Each step down was a step up before, so a word of n bytes takes at most 2n steps.
  @inline(__always)
  private func next(_ state: Int32, _ byte: UInt8) -> Int32 {
    var state = state
    while true {
      let slot = slot(state, byte)
      if keys[slot] != .max { return children[slot] }
      if state == 0 { return 0 }
      state = nodes[Int(state)].fallback
    }
  }

  @inline(__always)
  private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 {
    UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte)
  }

  /// The slot that holds the edge, or the free one where it would go.
  @inline(__always)
  private func slot(_ node: Int32, _ byte: UInt8) -> Int {
    let key = Self.key(node, byte)
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: SeededHash.fold(key ^ seed, multiplier)) & mask
    while keys[slot] != .max && keys[slot] != key { slot = (slot + 1) & mask }
    return slot
  }
}
