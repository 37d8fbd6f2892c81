import TrestleFormats

/// Finds the longest token that begins at each place of a word, in one pass: linear time, whatever the tokens.
///
/// The automaton of Aho and Corasick over the reversed tokens reads the word from its end. Its state is the longest
/// reversed token's beginning that ends here; the longest token among that state and those it falls back to begins here.
///
/// States are numbered level by level, so that the ones that follow a state are neighbours, sorted by their byte: they are made and
/// linked in the order in which they lie in memory.
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
    /// The first of the states that follow this one; those of the next node begin where they end.
    var firstChild: Int32 = 0
  }

  /// The states, and one more, at which the last one's children end.
  private var nodes: [Node]
  /// The byte by which each state is reached.
  private var bytes: [UInt8]
  /// The states after one byte; 0 for none.
  private var first: [Int32]

  /// The automaton of the tokens `bytes[id]` for which `isIncluded` holds; empty ones are left out.
  package init(_ tokens: [[UInt8]], where isIncluded: (Int) -> Bool) {
    let reversed = ReversedTokens(tokens, where: isIncluded)
    (nodes, bytes, first) = ([], [], [Int32](repeating: 0, count: 256))
    nodes.reserveCapacity(reversed.byteCount + 2)
    bytes.reserveCapacity(reversed.byteCount + 2)
    makeStates(reversed)
    linkFallbacks()
  }

  /// Makes the states level by level. A state is a stretch of the sorted tokens: those that begin like it.
  private mutating func makeStates(_ tokens: ReversedTokens) {
    var level = [0..<tokens.count]
    nodes.append(Node())
    bytes.append(0)
    var depth = 0
    var node = 0
    while !level.isEmpty {
      var next: [Range<Int>] = []
      for stretch in level {
        nodes[node].firstChild = Int32(nodes.count)
        var place = stretch.lowerBound
        // Those that end here come first; of equals the one with the smallest id.
        while place < stretch.upperBound, tokens.length(place) == depth {
          if nodes[node].token < 0, depth > 0 {
            (nodes[node].token, nodes[node].length) = (tokens.ids[place], Int32(depth))
          }
          place += 1
        }
        while place < stretch.upperBound {
          let byte = tokens.byte(place, depth)
          let begin = place
          while place < stretch.upperBound, tokens.byte(place, depth) == byte { place += 1 }
          next.append(begin..<place)
          nodes.append(Node())
          bytes.append(byte)
        }
        node += 1
      }
      level = next
      depth += 1
    }
    nodes.append(Node(firstChild: Int32(nodes.count)))
    for child in children(of: 0) { first[Int(bytes[child])] = Int32(child) }
  }

  /// Sets fallbacks in the order of the states: a state's parent, and all that is shorter, is done before it.
  private mutating func linkFallbacks() {
    for parent in 0..<nodes.count - 1 {
      for node in children(of: parent) {
        if parent != 0 { nodes[node].fallback = next(nodes[parent].fallback, bytes[node]) }
        let fallback = nodes[Int(nodes[node].fallback)]
        if nodes[node].token < 0 {
          (nodes[node].token, nodes[node].length) = (fallback.token, fallback.length)
        }
      }
    }
  }

  private func children(of node: Int) -> Range<Int> {
    Int(nodes[node].firstChild)..<Int(nodes[node + 1].firstChild)
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
    while state != 0 {
      let child = child(of: Int(state), byte)
      if child != 0 { return child }
      state = nodes[Int(state)].fallback
    }
    return first[Int(byte)]
  }

  /// The state that follows one by a byte; 0 for none.
  @inline(__always)
  private func child(of node: Int, _ byte: UInt8) -> Int32 {
    var (low, high) = (Int(nodes[node].firstChild), Int(nodes[node + 1].firstChild))
    while high - low > 8 {
      let middle = (low + high) / 2
      if bytes[middle] <= byte { low = middle } else { high = middle }
    }
    while low < high {
      if bytes[low] == byte { return Int32(low) }
      low += 1
    }
    return 0
  }
}

/// Tokens from their last byte to their first, in order of these bytes, one beginning before what goes on from it.
private struct ReversedTokens {
  /// The token's number in the vocabulary, for each place in the order.
  private(set) var ids: [Int32] = []
  /// Where each token's bytes begin, and where the last one's end.
  private var starts: [Int] = [0]
  private var bytes: [UInt8] = []

  init(_ tokens: [[UInt8]], where isIncluded: (Int) -> Bool) {
    let chosen = tokens.indices.filter { isIncluded($0) && !tokens[$0].isEmpty }.sorted { a, b in
      let (x, y) = (tokens[a], tokens[b])
      var (i, j) = (x.count - 1, y.count - 1)
      while i >= 0, j >= 0 {
        if x[i] != y[j] { return x[i] < y[j] }
        i -= 1
        j -= 1
      }
      return (i, a) < (j, b)
    }
    bytes.reserveCapacity(chosen.reduce(0) { $0 + tokens[$1].count })
    for id in chosen {
      ids.append(Int32(id))
      bytes.append(contentsOf: tokens[id].reversed())
      starts.append(bytes.count)
    }
  }

  var count: Int { ids.count }
  var byteCount: Int { bytes.count }

  func length(_ place: Int) -> Int { starts[place + 1] - starts[place] }
  func byte(_ place: Int, _ depth: Int) -> UInt8 { bytes[starts[place] + depth] }
}
