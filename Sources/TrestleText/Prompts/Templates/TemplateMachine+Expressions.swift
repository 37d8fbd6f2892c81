extension TemplateMachine {
  /// The value of an expression.
  func evaluate(_ expression: TemplateExpression) throws(TextError) -> TemplateValue {
    let place = expression.place
    try spend(1, at: place)
    switch expression.form {
    case .literal(let value): return value
    case .name(let name): return value(of: name)
    case .list(let items, let isTuple):
      return try list(try evaluateAll(items), isTuple: isTuple, at: place)
    case .object(let members): return try object(members, at: place)
    case .arithmetic(let first, let rest):
      var value = try evaluate(first)
      for (symbol, operand) in rest {
        value = try arithmetic(value, symbol, try evaluate(operand), at: operand.place)
      }
      return value
    case .comparison(let first, let rest): return .bool(try compare(first, rest))
    case .all(let operands):
      var value = TemplateValue.none
      for operand in operands {
        value = try evaluate(operand)
        if !value.isTrue { break }
      }
      return value
    case .any(let operands):
      var value = TemplateValue.none
      for operand in operands {
        value = try evaluate(operand)
        if value.isTrue { break }
      }
      return value
    case .not(let operand): return .bool(try !evaluate(operand).isTrue)
    case .sign(let operand, let isNegative):
      let value = try evaluate(operand)
      return isNegative ? try arithmetic(.int(0), "-", value, at: place) : value
    case .choice(let value, let condition, let otherwise):
      if try evaluate(condition).isTrue { return try evaluate(value) }
      return try otherwise.map { (other) throws(TextError) in try evaluate(other) } ?? .undefined("")
    case .chain(let base, let links): return try evaluate(base, links)
    }
  }

  private func evaluateAll(_ items: [TemplateExpression]) throws(TextError) -> [TemplateValue] {
    var values: [TemplateValue] = []
    for item in items { values.append(try evaluate(item)) }
    return values
  }

  private func object(
    _ members: [(key: TemplateExpression, value: TemplateExpression)], at place: Int
  ) throws(TextError) -> TemplateValue {
    var object = TemplateObject()
    for (key, value) in members {
      guard case .text(let name) = try evaluate(key) else {
        throw source.error(key.place, expected: "a string as the key", found: try evaluate(key).kind)
      }
      try spend(name.count, at: place)
      object.set(name, try evaluate(value))
    }
    try checkDepth(object.depth, at: place)
    return .object(object)
  }

  func evaluate(_ arguments: TemplateExpression.Arguments) throws(TextError) -> TemplateCall {
    var call = TemplateCall(values: try evaluateAll(arguments.values))
    for (name, value) in arguments.named { call.named[name] = try evaluate(value) }
    return call
  }

  // MARK: Chains

  private func evaluate(
    _ base: TemplateExpression, _ links: [TemplateExpression.Link]
  ) throws(TextError) -> TemplateValue {
    var value = try evaluate(base)
    var index = 0
    while index < links.count {
      let link = links[index]
      try spend(1, at: link.place)
      switch link.form {
      case .attribute(let name):
        if index + 1 < links.count, case .call(let arguments) = links[index + 1].form {
          value = try callMethod(name, of: value, try evaluate(arguments), at: link.place)
          index += 1
        } else {
          value = try attribute(name, of: value, at: link.place)
        }
      case .subscripted(let key): value = try item(try evaluate(key), of: value, at: link.place)
      case .sliced(let parts): value = try slice(value, parts, at: link.place)
      case .call(let arguments): value = try call(value, try evaluate(arguments), at: link.place)
      case .filter(let name, let arguments):
        value = try filter(name, value, try evaluate(arguments), at: link.place)
      case .test(let name, let arguments, let isNegated):
        let isTrue = try test(name, value, try evaluate(arguments), at: link.place)
        value = .bool(isTrue != isNegated)
      }
      index += 1
    }
    return value
  }

  func attribute(_ name: String, of value: TemplateValue, at place: Int) throws(TextError) -> TemplateValue {
    switch value {
    case .object(let object): object[name] ?? .undefined(name)
    case .namespace(let index): namespaces[index][name] ?? .undefined(name)
    case .loop(let loop): loop.attribute(name)
    case .undefined:
      throw source.error(place, expected: "a value whose \"\(name)\" is asked for", found: value.kind)
    default: .undefined(name)
    }
  }

  func item(_ key: TemplateValue, of value: TemplateValue, at place: Int) throws(TextError) -> TemplateValue {
    switch (value, key) {
    case (.object(let object), .text(let name)):
      try spend(name.count, at: place)
      return object[name] ?? .undefined(name.string)
    case (.namespace, .text(let name)), (.loop, .text(let name)):
      return try attribute(name.string, of: value, at: place)
    case (.list(let list), .int(let index)):
      let place = index < 0 ? index + list.items.count : index
      return list.items.indices.contains(place) ? list.items[place] : .undefined("[\(index)]")
    case (.text(let text), .int(let index)):
      let place = index < 0 ? index + text.count : index
      return text.units.indices.contains(place)
        ? .text(TemplateText([text.units[place]])) : .undefined("[\(index)]")
    case (.undefined, _):
      throw source.error(place, expected: "a value with items", found: value.kind)
    default: return .undefined("")
    }
  }

  /// Python's slices of lists and strings.
  private func slice(
    _ value: TemplateValue, _ parts: [TemplateExpression?], at place: Int
  ) throws(TextError) -> TemplateValue {
    var numbers: [Int?] = []
    for part in parts {
      guard let part else {
        numbers.append(nil)
        continue
      }
      let value = try evaluate(part)
      if case .none = value {
        numbers.append(nil)
      } else {
        guard let number = value.int else {
          throw source.error(part.place, expected: "a whole number", found: value.kind)
        }
        numbers.append(number)
      }
    }
    numbers += [Int?](repeating: nil, count: 3 - numbers.count)
    let step = numbers[2] ?? 1
    guard step != 0 else { throw source.error(place, expected: "a step that is not 0", found: "0") }
    switch value {
    case .list(let list):
      let places = Self.places(numbers[0], numbers[1], step, count: list.items.count)
      return try self.list(places.map { list.items[$0] }, isTuple: list.isTuple, at: place)
    case .text(let text):
      let places = Self.places(numbers[0], numbers[1], step, count: text.count)
      try spend(places.count, at: place)
      return .text(TemplateText(places.map { text.units[$0] }))
    default: throw source.error(place, expected: "a list or a string to cut", found: value.kind)
    }
  }

  private static func places(_ first: Int?, _ last: Int?, _ step: Int, count: Int) -> [Int] {
    func bounded(_ place: Int, _ range: ClosedRange<Int>) -> Int {
      let fromStart = place < 0 ? max(place, -count - 1) + count : place
      return min(max(fromStart, range.lowerBound), range.upperBound)
    }
    if step > 0 {
      let start = bounded(first ?? 0, 0...count)
      return Array(stride(from: start, to: bounded(last ?? count, 0...count), by: step))
    }
    let range = -1...(count - 1)
    guard count > 0 else { return [] }
    let start = first.map { bounded($0, range) } ?? count - 1
    return Array(stride(from: start, to: last.map { bounded($0, range) } ?? -1, by: step))
  }

  private func call(
    _ value: TemplateValue, _ arguments: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue {
    switch value {
    case .macro(let index): return try call(index, arguments, at: place)
    case .function(.raiseException):
      let message = try arguments.values.first.map { (value) throws(TextError) in
        try text(of: value, at: place).string
      }
      throw source.error(
        place, expected: "a conversation that the template accepts", found: message ?? "another")
    case .function(.namespace), .function(.dict):
      var object = TemplateObject()
      if case .object(let first)? = arguments.values.first { object = first }
      for (name, value) in arguments.named.sorted(by: { $0.key < $1.key }) {
        object.set(TemplateText(name), value)
      }
      try checkDepth(object.depth, at: place)
      if case .function(.dict) = value { return .object(object) }
      var names: [String: TemplateValue] = [:]
      for (key, value) in zip(object.keys, object.values) { names[key.string] = value }
      namespaces.append(names)
      return .namespace(namespaces.count - 1)
    case .function(.range): return try range(arguments.values, at: place)
    default: throw source.error(place, expected: "a macro or a function", found: value.kind)
    }
  }

  private func range(_ values: [TemplateValue], at place: Int) throws(TextError) -> TemplateValue {
    let numbers = values.compactMap(\.int)
    let limit = 1 << 32
    guard numbers.count == values.count, (1...3).contains(numbers.count),
      numbers.allSatisfy({ abs($0.clamped) < limit }), numbers.count < 3 || numbers[2] != 0
    else { throw source.error(place, expected: "one to three whole numbers", found: "others") }
    let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
    let step = numbers.count == 3 ? numbers[2] : 1
    try spend(max(0, (end - start) / step), at: place)
    return try list(stride(from: start, to: end, by: step).map { .int($0) }, at: place)
  }
}

extension Int {
  /// The number, or the next one whose magnitude is a number too.
  fileprivate var clamped: Int { Swift.max(self, -Int.max) }
}
