/// Pieces that a text holds as they are: each is found before anything is merged, and no merge crosses it.
///
/// SentencePiece calls them user-defined symbols. Of those that begin at one place the longest counts.
struct WholePieces: Sendable {
  /// Longer pieces are never found, so that a hostile vocabulary cannot make every place of a text expensive.
  static let longestPiece = 128

  /// One byte of a piece: where its last byte's node has the piece's id, and the nodes of the bytes that may follow.
  private struct Node: Sendable {
    var id: Int32 = -1
    var children: [UInt8: Int32] = [:]
  }

  private var nodes = [Node()]
  private var beginnings = [Bool](repeating: false, count: 256)

  /// The pieces by their bytes as a prepared text spells them.
  init(_ pieces: some Sequence<(bytes: [UInt8], id: Int32)>) {
    for piece in pieces where !piece.bytes.isEmpty && piece.bytes.count <= Self.longestPiece {
      beginnings[Int(piece.bytes[0])] = true
      var node = 0
      for byte in piece.bytes {
        if let next = nodes[node].children[byte] {
          node = Int(next)
        } else {
          nodes[node].children[byte] = Int32(nodes.count)
          node = nodes.count
          nodes.append(Node())
        }
      }
      nodes[node].id = piece.id
    }
  }

  var isEmpty: Bool { nodes.count == 1 }

  /// The longest piece that begins at `start`, and where it ends.
  func longest(in bytes: [UInt8], at start: Int) -> (id: Int32, end: Int)? {
    guard beginnings[Int(bytes[start])] else { return nil }
    var (node, index) = (0, start)
    var found: (id: Int32, end: Int)?
    while index < bytes.count, let next = nodes[node].children[bytes[index]] {
      node = Int(next)
      index += 1
      if nodes[node].id >= 0 { found = (nodes[node].id, index) }
    }
    return found
  }
}
