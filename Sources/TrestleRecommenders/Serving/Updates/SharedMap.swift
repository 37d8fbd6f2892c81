/// A map from whole numbers, 0 and up, to values, of which each version shares with the one before it what is the same: a value
/// is set by copying the path to it in a tree of 32 branches, at a cost that hangs on the values that there are by their
/// logarithm alone.
package struct SharedMap<Value: Sendable>: Sendable {
  private final class Node: Sendable {
    /// The next level; empty at the lowest.
    let children: [Node?]
    /// The values at the lowest level; empty above.
    let values: [Value?]

    init(children: [Node?] = [], values: [Value?] = []) { (self.children, self.values) = (children, values) }

    /// A copy in which a value is another.
    static func setting(_ value: Value, _ key: Int, in node: Node?, level: Int) -> Node {
      let place = (key >> (5 * level)) & 31
      if level == 0 {
        var values = node?.values ?? Array(repeating: nil, count: 32)
        values[place] = value
        return Node(values: values)
      }
      var children = node?.children ?? Array(repeating: nil, count: 32)
      children[place] = setting(value, key, in: children[place], level: level - 1)
      return Node(children: children)
    }

    func forEach(_ body: (Int, Value) -> Void, from base: Int, level: Int) {
      for (place, value) in values.enumerated() { if let value { body(base + place, value) } }
      for (place, child) in children.enumerated() {
        child?.forEach(body, from: base + place << (5 * level), level: level - 1)
      }
    }
  }

  private var root: Node?
  /// The levels above the lowest.
  private var height = 0

  /// Without values.
  package init() {}

  /// Whether there is no value.
  package var isEmpty: Bool { root == nil }

  /// The value of a key; setting one leaves all other copies of the map as they are.
  package subscript(key: Int) -> Value? {
    guard var node = root, key >> (5 * (height + 1)) == 0 else { return nil }
    for level in stride(from: height, to: 0, by: -1) {
      guard let next = node.children[(key >> (5 * level)) & 31] else { return nil }
      node = next
    }
    return node.values[key & 31]
  }

  /// Sets the value of a key.
  package mutating func set(_ value: Value, at key: Int) {
    precondition(key >= 0, "SharedMap: the key \(key)")
    while key >> (5 * (height + 1)) != 0 {
      if let root {
        self.root = Node(children: [root] + Array(repeating: nil, count: 31))
      }
      height += 1
    }
    root = .setting(value, key, in: root, level: height)
  }

  /// Calls `body` with every key, ascending, and its value.
  package func forEach(_ body: (Int, Value) -> Void) {
    root?.forEach(body, from: 0, level: height)
  }
}

/// An array of which some elements have been changed or added, and which shares the rest with the versions before it.
package struct SharedArray<Element: Sendable>: Sendable {
  private let base: [Element]
  private var changes = SharedMap<Element>()
  /// The number of elements.
  package private(set) var count: Int

  /// An array without changes.
  package init(_ base: [Element]) { (self.base, count) = (base, base.count) }

  /// An element.
  package subscript(place: Int) -> Element {
    get { changes.isEmpty ? base[place] : changes[place] ?? base[place] }
    set {
      precondition(place >= 0 && place < count, "SharedArray[\(place)]: \(count) elements")
      changes.set(newValue, at: place)
    }
  }

  /// Adds an element at the end.
  package mutating func append(_ element: Element) {
    changes.set(element, at: count)
    count += 1
  }

  /// All elements; put together if some have changed.
  package var array: [Element] {
    guard !changes.isEmpty else { return base }
    var array = base
    array.reserveCapacity(count)
    changes.forEach { place, element in
      if place < array.count { array[place] = element } else { array.append(element) }
    }
    return array
  }
}
