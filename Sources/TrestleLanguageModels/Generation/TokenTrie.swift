/// A set of token sequences, walked token by token: what constrained generation may say.
///
/// Nodes lie in one array; a walk never recurses.
public struct TokenTrie: Sendable {
  private struct Node: Sendable {
    var children: [Int32: Int] = [:]
    /// The indices of the sequences that end here.
    var ends: [Int] = []
  }

  private var nodes = [Node()]
  /// The number of sequences.
  public private(set) var count = 0

  /// A trie of the given sequences; the index of each is its identity. Empty ones are kept but never reached.
  public init(_ sequences: some Sequence<[Int32]> = []) {
    for sequence in sequences { insert(sequence) }
  }

  /// Adds a sequence, and returns its index.
  @discardableResult
  public mutating func insert(_ sequence: [Int32]) -> Int {
    var node = 0
    for token in sequence {
      if let next = nodes[node].children[token] {
        node = next
      } else {
        nodes.append(Node())
        nodes[node].children[token] = nodes.count - 1
        node = nodes.count - 1
      }
    }
    nodes[node].ends.append(count)
    count += 1
    return count - 1
  }

  /// A place in the trie: what has been said so far.
  public struct Position: Sendable, Hashable {
    fileprivate var node: Int
  }

  /// Where nothing has been said.
  public var root: Position { Position(node: 0) }

  /// The tokens that may come next, in ascending order.
  public func allowed(at position: Position) -> [Int32] { nodes[position.node].children.keys.sorted() }

  /// The place after one more token; `nil` if it may not come.
  public func position(after token: Int32, from position: Position) -> Position? {
    nodes[position.node].children[token].map(Position.init(node:))
  }

  /// The indices of the sequences that end here.
  public func sequences(endingAt position: Position) -> [Int] { nodes[position.node].ends }
}
