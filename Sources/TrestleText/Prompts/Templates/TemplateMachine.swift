/// Runs a template's statements, within bounds.
///
/// Work is counted: one for each step, and one for each scalar or item that a step makes or looks at. So time and memory
/// are bounded whatever the template does; depth is bounded by the parser, by macro calls and by ``TemplateList/depth``.
final class TemplateMachine {
  /// What goes on after a statement.
  enum Flow {
    case onward
    case leave
    case skip
  }

  /// How deep lists may stand in one another, and calls of macros.
  static let maximumNesting = 32

  let source: TemplateSource
  let macros: [TemplateMacro]
  /// What is left of the work.
  private var budget: Int
  private let workLimit: Int
  private let outputLimit: Int
  /// Names by scope; the first holds the template's own, those below ``floor`` are a macro's callers'.
  private var scopes: [[String: TemplateValue]]
  private var floor = 0
  private var callDepth = 0
  var namespaces: [[String: TemplateValue]] = []
  private var output = TemplateText()

  init(
    _ source: TemplateSource, macros: [TemplateMacro], variables: [String: TemplateValue], workLimit: Int,
    outputLimit: Int
  ) {
    self.source = source
    self.macros = macros
    budget = workLimit
    self.workLimit = workLimit
    self.outputLimit = outputLimit
    scopes = [variables]
  }

  /// What the statements render.
  func render(_ body: [TemplateStatement]) throws(TextError) -> TemplateText {
    _ = try run(body)
    return output
  }

  /// Takes work off what is left.
  func spend(_ work: Int, at place: Int) throws(TextError) {
    budget -= work
    guard budget >= 0 else {
      throw source.error(place, expected: "a template that takes at most \(workLimit) steps", found: "more")
    }
  }

  /// A list that is not nested too deeply.
  func list(_ items: [TemplateValue], isTuple: Bool = false, at place: Int) throws(TextError) -> TemplateValue
  {
    try spend(items.count, at: place)
    let list = TemplateList(items, isTuple: isTuple)
    try checkDepth(list.depth, at: place)
    return .list(list)
  }

  func checkDepth(_ depth: Int, at place: Int) throws(TextError) {
    guard depth <= Self.maximumNesting else {
      throw source.error(
        place, expected: "at most \(Self.maximumNesting) lists or mappings in one another", found: "more")
    }
  }

  // MARK: Names

  func value(of name: String) -> TemplateValue {
    var index = scopes.count - 1
    while index >= floor {
      if let value = scopes[index][name] { return value }
      index -= 1
    }
    if let value = scopes[0][name] { return value }
    return TemplateFunction(rawValue: name).map { .function($0) } ?? .undefined(name)
  }

  private func set(_ target: TemplateStatement.Target, _ value: TemplateValue) throws(TextError) {
    guard let attribute = target.attribute else {
      scopes[scopes.count - 1][target.name] = value
      return
    }
    guard case .namespace(let index) = self.value(of: target.name) else {
      throw source.error(
        target.place, expected: "a namespace whose attribute is set", found: self.value(of: target.name).kind)
    }
    namespaces[index][attribute] = value
  }

  private func set(
    _ targets: [TemplateStatement.Target], _ value: TemplateValue, at place: Int
  ) throws(TextError) {
    if targets.count == 1 { return try set(targets[0], value) }
    let items = try self.items(of: value, at: place)
    guard items.count == targets.count else {
      throw source.error(place, expected: "\(targets.count) values to name", found: "\(items.count)")
    }
    for (target, item) in zip(targets, items) { try set(target, item) }
  }

  // MARK: Statements

  private func run(_ body: [TemplateStatement]) throws(TextError) -> Flow {
    for statement in body {
      try spend(1, at: statement.place)
      let flow = try run(statement)
      if case .onward = flow { continue }
      return flow
    }
    return .onward
  }

  private func run(_ statement: TemplateStatement) throws(TextError) -> Flow {
    let place = statement.place
    switch statement.form {
    case .text(let text): try write(text, at: place)
    case .output(let expression):
      try write(try text(of: try evaluate(expression), at: place), at: place)
    case .choice(let branches):
      for branch in branches {
        if let condition = branch.condition, try !evaluate(condition).isTrue { continue }
        return try run(branch.body)
      }
    case .loop(let loop): try run(loop, at: place)
    case .assignment(let targets, let expression): try set(targets, try evaluate(expression), at: place)
    case .capture(let target, let body):
      let text = try captured { () throws(TextError) in _ = try run(body) }
      try set(target, .text(text))
    case .macro(let index): scopes[scopes.count - 1][macros[index].name] = .macro(index)
    case .leave: return .leave
    case .skip: return .skip
    }
    return .onward
  }

  private func write(_ text: TemplateText, at place: Int) throws(TextError) {
    try spend(text.count, at: place)
    guard output.count + text.count <= outputLimit else {
      throw source.error(
        place, expected: "a text of at most \(outputLimit) characters", found: "a longer one")
    }
    output.units += text.units
  }

  /// What is written meanwhile.
  private func captured(_ body: () throws(TextError) -> Void) throws(TextError) -> TemplateText {
    let before = output
    output = TemplateText()
    try body()
    defer { output = before }
    return output
  }

  private func run(_ loop: TemplateStatement.Loop, at place: Int) throws(TextError) {
    var items = try self.items(of: try evaluate(loop.items), at: place)
    scopes.append([:])
    defer { scopes.removeLast() }
    if let condition = loop.condition {
      var kept: [TemplateValue] = []
      for item in items {
        try spend(1, at: place)
        try set(loop.targets, item, at: place)
        if try evaluate(condition).isTrue { kept.append(item) }
      }
      items = kept
    }
    guard !items.isEmpty else {
      scopes[scopes.count - 1] = [:]
      _ = try run(loop.otherwise)
      return
    }
    let depth = items.lazy.map(\.depth).max() ?? 0
    for index in items.indices {
      try spend(1, at: place)
      let state = TemplateLoop(items: items, index: index, depth: depth)
      scopes[scopes.count - 1] = ["loop": .loop(state)]
      try set(loop.targets, items[index], at: place)
      if case .leave = try run(loop.body) { break }
    }
  }

  /// What a loop goes through: items, keys or characters; nothing if the value is undefined.
  func items(of value: TemplateValue, at place: Int) throws(TextError) -> [TemplateValue] {
    switch value {
    case .list(let list):
      try spend(list.items.count, at: place)
      return list.items
    case .object(let object):
      try spend(object.keys.count, at: place)
      return object.keys.map { .text($0) }
    case .text(let text):
      try spend(text.count, at: place)
      return text.units.map { .text(TemplateText([$0])) }
    case .undefined: return []
    default: throw source.error(place, expected: "something to go through", found: value.kind)
    }
  }

  // MARK: Macros

  /// What a macro renders.
  func call(_ index: Int, _ arguments: TemplateCall, at place: Int) throws(TextError) -> TemplateValue {
    guard callDepth < Self.maximumNesting else {
      throw source.error(
        place, expected: "at most \(Self.maximumNesting) macros that call one another", found: "more")
    }
    let macro = macros[index]
    guard arguments.values.count <= macro.parameters.count else {
      throw source.error(
        place, expected: "at most \(macro.parameters.count) arguments for the macro \(macro.name)",
        found: "\(arguments.values.count)")
    }
    let formerFloor = floor
    floor = scopes.count
    callDepth += 1
    scopes.append([:])
    defer {
      callDepth -= 1
      scopes.removeLast()
      floor = formerFloor
    }
    for (position, parameter) in macro.parameters.enumerated() {
      var value = TemplateValue.undefined(parameter.name)
      if position < arguments.values.count {
        value = arguments.values[position]
      } else if let named = arguments.named[parameter.name] {
        value = named
      } else if let standard = parameter.standard {
        value = try evaluate(standard)
      }
      scopes[scopes.count - 1][parameter.name] = value
    }
    return .text(try captured { () throws(TextError) in _ = try run(macro.body) })
  }
}

/// The arguments of a call, evaluated.
struct TemplateCall {
  var values: [TemplateValue] = []
  var named: [String: TemplateValue] = [:]

  /// The argument at a position, or of a name.
  func argument(_ position: Int, _ name: String = "") -> TemplateValue? {
    position < values.count ? values[position] : named[name]
  }
}
