extension TemplateMachine {
  /// Whether a test holds: what stands after `is`.
  func test(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> Bool {
    switch name {
    case "defined": return if case .undefined = value { false } else { true }
    case "undefined": return if case .undefined = value { true } else { false }
    case "none": return if case .none = value { true } else { false }
    case "string": return if case .text = value { true } else { false }
    case "mapping": return if case .object = value { true } else { false }
    case "boolean": return if case .bool = value { true } else { false }
    case "integer": return if case .int = value { true } else { false }
    case "float": return if case .float = value { true } else { false }
    case "number": return value.number != nil
    case "true": return if case .bool(true) = value { true } else { false }
    case "false": return if case .bool(false) = value { true } else { false }
    case "callable":
      switch value {
      case .macro, .function: return true
      default: return false
      }
    case "iterable", "sequence":
      switch value {
      case .text, .list, .object, .undefined: return true
      default: return false
      }
    case "even", "odd", "divisibleby": return try divisibility(name, value, call, at: place)
    default: break
    }
    guard let other = call.argument(0) else {
      throw source.error(place, expected: "a test that templates of chats use", found: "\"\(name)\"")
    }
    switch name {
    case "eq", "equalto", "==", "sameas": return try areEqual(value, other, at: place)
    case "ne", "!=": return try !areEqual(value, other, at: place)
    case "in": return try contains(other, value, at: place)
    case "lt", "lessthan", "<": return try isLess(value, other, at: place)
    case "gt", "greaterthan", ">": return try isLess(other, value, at: place)
    case "le", "<=": return try !isLess(other, value, at: place)
    case "ge", ">=": return try !isLess(value, other, at: place)
    default: throw source.error(place, expected: "a test that templates of chats use", found: "\"\(name)\"")
    }
  }

  private func divisibility(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> Bool {
    let divisor = name == "divisibleby" ? call.argument(0, "num") : .int(2)
    guard let number = value.int, let divisor = divisor?.int, divisor != 0 else {
      throw source.error(place, expected: "two whole numbers, the second not 0", found: value.kind)
    }
    let isDivided = number.remainderReportingOverflow(dividingBy: divisor).partialValue == 0
    return name == "odd" ? !isDivided : isDivided
  }
}
