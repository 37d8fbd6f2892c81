/// A value of a chat template's language.
enum TemplateValue: Sendable {
  case undefined(String)
  case none
  case bool(Bool)
  case int(Int)
  case float(Double)
  case text(TemplateText)
  case list(TemplateList)
  case object(TemplateObject)
  case namespace(Int)
  case macro(Int)
  case function(TemplateFunction)
  case loop(TemplateLoop)

  /// What Python takes for true.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let flag): flag
    case .int(let number): number != 0
    case .float(let number): number != 0
    case .text(let text): !text.isEmpty
    case .list(let list): !list.items.isEmpty
    case .object(let object): !object.keys.isEmpty
    case .namespace, .macro, .function, .loop: true
    }
  }

  /// How deep lists and mappings stand in one another.
  var depth: Int {
    switch self {
    case .list(let list): list.depth
    case .object(let object): object.depth
    case .loop(let loop): loop.depth
    default: 0
    }
  }

  /// The kind in words, for errors.
  var kind: String {
    switch self {
    case .undefined(let name): name.isEmpty ? "an undefined value" : "\"\(name)\", which is undefined"
    case .none: "none"
    case .bool: "a Boolean"
    case .int: "a whole number"
    case .float: "a number"
    case .text: "a string"
    case .list: "a list"
    case .object: "a mapping"
    case .namespace: "a namespace"
    case .macro: "a macro"
    case .function(let function): "the function \(function.rawValue)"
    case .loop: "a loop"
    }
  }

  /// The number, if it is one; Booleans count as 0 and 1, as in Python.
  var number: Double? {
    switch self {
    case .bool(let flag): flag ? 1 : 0
    case .int(let number): Double(number)
    case .float(let number): number
    default: nil
    }
  }

  var int: Int? {
    switch self {
    case .bool(let flag): flag ? 1 : 0
    case .int(let number): number
    default: nil
    }
  }
}

/// The functions that templates call by name.
enum TemplateFunction: String, Sendable {
  case range
  case namespace
  case dict
  case raiseException = "raise_exception"
}

/// A list or tuple.
struct TemplateList: Sendable {
  let items: [TemplateValue]
  let depth: Int
  let isTuple: Bool

  init(_ items: [TemplateValue], isTuple: Bool = false) {
    self.items = items
    self.isTuple = isTuple
    depth = 1 + (items.lazy.map(\.depth).max() ?? 0)
  }
}

/// A mapping in the order of its keys.
struct TemplateObject: Sendable {
  private(set) var keys: [TemplateText] = []
  private(set) var values: [TemplateValue] = []
  private(set) var depth = 1
  private var places: [TemplateText: Int] = [:]

  init() {}

  subscript(key: TemplateText) -> TemplateValue? { places[key].map { values[$0] } }

  subscript(key: String) -> TemplateValue? { self[TemplateText(key)] }

  mutating func set(_ key: TemplateText, _ value: TemplateValue) {
    depth = max(depth, 1 + value.depth)
    if let place = places[key] {
      values[place] = value
    } else {
      places[key] = keys.count
      keys.append(key)
      values.append(value)
    }
  }

  /// The pairs of key and value.
  var items: [TemplateValue] {
    zip(keys, values).map { .list(TemplateList([.text($0), $1], isTuple: true)) }
  }
}

/// What a loop knows of itself: `loop.index` and its like.
struct TemplateLoop: Sendable {
  let items: [TemplateValue]
  let index: Int
  /// That of its items: looked up where the loop begins.
  let depth: Int

  func attribute(_ name: String) -> TemplateValue {
    switch name {
    case "index": .int(index + 1)
    case "index0": .int(index)
    case "revindex": .int(items.count - index)
    case "revindex0": .int(items.count - index - 1)
    case "first": .bool(index == 0)
    case "last": .bool(index == items.count - 1)
    case "length": .int(items.count)
    // How often a recursive loop has called itself; there are none.
    case "depth": .int(1)
    case "depth0": .int(0)
    case "previtem": index > 0 ? items[index - 1] : .undefined("loop.previtem")
    case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("loop.nextitem")
    default: .undefined("loop.\(name)")
    }
  }
}
