extension TemplateMachine {
  /// The result of an operator on two values.
  func arithmetic(
    _ left: TemplateValue, _ symbol: String, _ right: TemplateValue, at place: Int
  ) throws(TextError) -> TemplateValue {
    switch (symbol, left, right) {
    case ("~", _, _):
      let (first, second) = (try text(of: left, at: place), try text(of: right, at: place))
      try spend(first.count + second.count, at: place)
      return .text(first + second)
    case ("+", .text(let first), .text(let second)):
      try spend(first.count + second.count, at: place)
      return .text(first + second)
    case ("+", .list(let first), .list(let second)):
      return try list(first.items + second.items, isTuple: first.isTuple, at: place)
    case ("*", .text(let text), .int(let count)), ("*", .int(let count), .text(let text)):
      let (size, isOverflow) = max(0, count).multipliedReportingOverflow(by: text.count)
      try spend(isOverflow ? .max / 2 : size, at: place)
      return .text(TemplateText(Array(repeatElement(text.units, count: max(0, count)).joined())))
    default: break
    }
    if let first = left.int, let second = right.int, symbol != "/" {
      return .int(try whole(first, symbol, second, at: place))
    }
    guard let first = left.number, let second = right.number else {
      throw source.error(
        place, expected: "two numbers, strings or lists for \"\(symbol)\"",
        found: "\(left.kind) and \(right.kind)")
    }
    guard second != 0 || !["/", "//", "%"].contains(symbol) else {
      throw source.error(place, expected: "a divisor that is not 0", found: "0")
    }
    switch symbol {
    case "+": return .float(first + second)
    case "-": return .float(first - second)
    case "*": return .float(first * second)
    case "/": return .float(first / second)
    case "//": return .float((first / second).rounded(.down))
    default: return .float(first - second * (first / second).rounded(.down))
    }
  }

  private func whole(_ first: Int, _ symbol: String, _ second: Int, at place: Int) throws(TextError) -> Int {
    var result: (partialValue: Int, overflow: Bool)
    switch symbol {
    case "+": result = first.addingReportingOverflow(second)
    case "-": result = first.subtractingReportingOverflow(second)
    case "*": result = first.multipliedReportingOverflow(by: second)
    case "//", "%":
      guard second != 0 else {
        throw source.error(place, expected: "a divisor that is not 0", found: "0")
      }
      let rest = first.remainderReportingOverflow(dividingBy: second)
      // Python rounds down, and the rest has the divisor's sign.
      let isShort = rest.partialValue != 0 && (rest.partialValue < 0) != (second < 0)
      if symbol == "%" {
        result = (rest.partialValue + (isShort ? second : 0), false)
      } else {
        result = first.dividedReportingOverflow(by: second)
        if isShort { result.partialValue -= 1 }
      }
    default:
      throw source.error(place, expected: "+, -, *, /, // or %", found: "\"\(symbol)\"")
    }
    guard !result.overflow else {
      throw source.error(place, expected: "a number of 64 bits", found: "a larger one")
    }
    return result.partialValue
  }

  // MARK: Comparison

  func compare(
    _ first: TemplateExpression, _ rest: [(symbol: String, operand: TemplateExpression)]
  ) throws(TextError) -> Bool {
    var left = try evaluate(first)
    for (symbol, operand) in rest {
      let right = try evaluate(operand)
      let holds: Bool
      switch symbol {
      case "==": holds = try areEqual(left, right, at: operand.place)
      case "!=": holds = try !areEqual(left, right, at: operand.place)
      case "in": holds = try contains(right, left, at: operand.place)
      case "not in": holds = try !contains(right, left, at: operand.place)
      case "<": holds = try isLess(left, right, at: operand.place)
      case ">": holds = try isLess(right, left, at: operand.place)
      case "<=": holds = try !isLess(right, left, at: operand.place)
      default: holds = try !isLess(left, right, at: operand.place)
      }
      if !holds { return false }
      left = right
    }
    return true
  }

  func areEqual(_ left: TemplateValue, _ right: TemplateValue, at place: Int) throws(TextError) -> Bool {
    try spend(1, at: place)
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.text(let first), .text(let second)):
      try spend(min(first.count, second.count), at: place)
      return first == second
    case (.list(let first), .list(let second)):
      guard first.items.count == second.items.count else { return false }
      for (one, other) in zip(first.items, second.items) where try !areEqual(one, other, at: place) {
        return false
      }
      return true
    case (.object(let first), .object(let second)):
      guard first.keys.count == second.keys.count else { return false }
      for (key, value) in zip(first.keys, first.values) {
        guard let other = second[key], try areEqual(value, other, at: place) else { return false }
      }
      return true
    case (.namespace(let first), .namespace(let second)): return first == second
    case (.macro(let first), .macro(let second)): return first == second
    default:
      if let first = left.int, let second = right.int { return first == second }
      if let first = left.number, let second = right.number { return first == second }
      return false
    }
  }

  func isLess(_ left: TemplateValue, _ right: TemplateValue, at place: Int) throws(TextError) -> Bool {
    if case .text(let first) = left, case .text(let second) = right {
      try spend(min(first.count, second.count), at: place)
      return first.units.lexicographicallyPrecedes(second.units) { $0.scalar.value < $1.scalar.value }
    }
    if let first = left.int, let second = right.int { return first < second }
    guard let first = left.number, let second = right.number else {
      throw source.error(
        place, expected: "two numbers or two strings to compare", found: "\(left.kind) and \(right.kind)")
    }
    return first < second
  }

  func contains(_ whole: TemplateValue, _ part: TemplateValue, at place: Int) throws(TextError) -> Bool {
    switch (whole, part) {
    case (.text(let text), .text(let piece)):
      try spend(text.count + piece.count, at: place)
      return text.firstIndex(of: piece) != nil
    case (.object(let object), .text(let key)):
      try spend(key.count, at: place)
      return object[key] != nil
    case (.object, _): return false
    case (.list(let list), _):
      for item in list.items where try areEqual(item, part, at: place) { return true }
      return false
    case (.undefined, _): return false
    default:
      throw source.error(
        place, expected: "a string, list or mapping to look in", found: "\(whole.kind) for \(part.kind)")
    }
  }
}
