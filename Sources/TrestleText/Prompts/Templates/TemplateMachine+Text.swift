extension TemplateMachine {
  /// A value as Python's `str` writes it; nothing for an undefined one.
  func text(of value: TemplateValue, at place: Int) throws(TextError) -> TemplateText {
    switch value {
    case .undefined: return TemplateText()
    case .text(let text): return text
    default:
      var result = TemplateText()
      try describe(value, into: &result, at: place)
      return result
    }
  }

  /// Appends what Python's `repr` writes.
  private func describe(
    _ value: TemplateValue, into result: inout TemplateText, at place: Int
  ) throws(TextError) {
    try spend(1, at: place)
    switch value {
    case .undefined: append("Undefined", to: &result)
    case .none: append("None", to: &result)
    case .bool(let flag): append(flag ? "True" : "False", to: &result)
    case .int(let number): append("\(number)", to: &result)
    case .float(let number): append(Self.spelled(number), to: &result)
    case .text(let text): try quote(text, into: &result, at: place)
    case .list(let list):
      append(list.isTuple ? "(" : "[", to: &result)
      for (index, item) in list.items.enumerated() {
        if index > 0 { append(", ", to: &result) }
        try describe(item, into: &result, at: place)
      }
      if list.isTuple && list.items.count == 1 { append(",", to: &result) }
      append(list.isTuple ? ")" : "]", to: &result)
    case .object(let object):
      append("{", to: &result)
      for (index, key) in object.keys.enumerated() {
        if index > 0 { append(", ", to: &result) }
        try quote(key, into: &result, at: place)
        append(": ", to: &result)
        try describe(object.values[index], into: &result, at: place)
      }
      append("}", to: &result)
    case .namespace, .macro, .function, .loop: append("<\(value.kind)>", to: &result)
    }
  }

  /// A number as Python spells it.
  private static func spelled(_ number: Double) -> String {
    if number.isNaN { return "nan" }
    if number.isInfinite { return number < 0 ? "-inf" : "inf" }
    return "\(number)"
  }

  func append(_ text: String, to result: inout TemplateText) {
    for scalar in text.unicodeScalars { result.units.append(.init(scalar: scalar, origin: .template)) }
  }

  /// A string in quotes, as Python's `repr` has it.
  private func quote(
    _ text: TemplateText, into result: inout TemplateText, at place: Int
  ) throws(TextError) {
    try spend(text.count, at: place)
    let hasSingle = text.units.contains { $0.scalar == "'" }
    let quote: Unicode.Scalar = hasSingle && !text.units.contains { $0.scalar == "\"" } ? "\"" : "'"
    result.units.append(.init(scalar: quote, origin: .template))
    result.units +=
      text.mapped { scalar in
        switch scalar {
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case quote: "\\" + String(quote)
        default:
          scalar.value < 0x20 || scalar.value == 0x7F
            ? "\\x" + Self.hexadecimal(scalar.value, 2) : String(scalar)
        }
      }.units
    result.units.append(.init(scalar: quote, origin: .template))
  }

  private static func hexadecimal(_ number: UInt32, _ digits: Int) -> String {
    let text = String(number, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  // MARK: JSON

  /// A value as Hugging Face's `tojson` writes it: Python's `json.dumps` without escapes for what is not ASCII.
  ///
  /// - Parameter indent: spaces to a level; `nil` for one line.
  func json(_ value: TemplateValue, indent: Int?, at place: Int) throws(TextError) -> TemplateText {
    var result = TemplateText()
    try writeJSON(value, indent: indent, level: 0, into: &result, at: place)
    return result
  }

  private func writeJSON(
    _ value: TemplateValue, indent: Int?, level: Int, into result: inout TemplateText, at place: Int
  ) throws(TextError) {
    try spend(1, at: place)
    switch value {
    case .none: append("null", to: &result)
    case .bool(let flag): append(flag ? "true" : "false", to: &result)
    case .int(let number): append("\(number)", to: &result)
    case .float(let number):
      append(number.isFinite ? "\(number)" : number.isNaN ? "NaN" : "Infinity", to: &result)
    case .text(let text): try writeJSON(text, into: &result, at: place)
    case .list(let list):
      append("[", to: &result)
      for (index, item) in list.items.enumerated() {
        if index > 0 { append(indent == nil ? ", " : ",", to: &result) }
        try breakLine(indent, level + 1, &result, at: place)
        try writeJSON(item, indent: indent, level: level + 1, into: &result, at: place)
      }
      if !list.items.isEmpty { try breakLine(indent, level, &result, at: place) }
      append("]", to: &result)
    case .object(let object):
      append("{", to: &result)
      for (index, key) in object.keys.enumerated() {
        if index > 0 { append(indent == nil ? ", " : ",", to: &result) }
        try breakLine(indent, level + 1, &result, at: place)
        try writeJSON(key, into: &result, at: place)
        append(": ", to: &result)
        try writeJSON(object.values[index], indent: indent, level: level + 1, into: &result, at: place)
      }
      if !object.keys.isEmpty { try breakLine(indent, level, &result, at: place) }
      append("}", to: &result)
    case .undefined, .namespace, .macro, .function, .loop:
      throw source.error(place, expected: "a value that JSON has", found: value.kind)
    }
  }

  private func breakLine(
    _ indent: Int?, _ level: Int, _ result: inout TemplateText, at place: Int
  ) throws(TextError) {
    guard let indent else { return }
    try spend(indent * level, at: place)
    append("\n" + String(repeating: " ", count: indent * level), to: &result)
  }

  private func writeJSON(
    _ text: TemplateText, into result: inout TemplateText, at place: Int
  ) throws(TextError) {
    try spend(text.count, at: place)
    append("\"", to: &result)
    result.units +=
      text.mapped { scalar in
        switch scalar {
        case "\\": "\\\\"
        case "\"": "\\\""
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{8}": "\\b"
        case "\u{C}": "\\f"
        default: scalar.value < 0x20 ? "\\u" + Self.hexadecimal(scalar.value, 4) : String(scalar)
        }
      }.units
    append("\"", to: &result)
  }
}
