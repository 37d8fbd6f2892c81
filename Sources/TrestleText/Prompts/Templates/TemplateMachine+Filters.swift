extension TemplateMachine {
  /// What a filter makes of a value.
  func filter(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue {
    switch name {
    case "default", "d":
      let isReplaced: Bool
      if case .undefined = value {
        isReplaced = true
      } else {
        isReplaced = call.argument(1, "boolean")?.isTrue == true && !value.isTrue
      }
      return isReplaced ? call.argument(0, "default_value") ?? .text(TemplateText()) : value
    case "safe", "string": return .text(try text(of: value, at: place))
    case "length", "count": return .int(try length(value, at: place))
    case "tojson":
      let indent = call.argument(0, "indent")?.int.map { min(max($0, 0), 16) }
      return .text(try json(value, indent: indent, at: place))
    case "items":
      if case .undefined = value { return try list([], at: place) }
      return try callMethod("items", of: value, call, at: place)
    case "int": return .int(try wholeNumber(value, call, at: place))
    case "float":
      if let number = value.number { return .float(number) }
      guard case .text(let text) = value, let number = Double(text.stripped().string) else {
        return .float(0)
      }
      return .float(number)
    case "abs":
      guard let number = value.number else { break }
      return number < 0 ? try arithmetic(.int(0), "-", value, at: place) : value
    case "list": return try list(try items(of: value, at: place), at: place)
    case "first", "last":
      let items = try items(of: value, at: place)
      return (name == "first" ? items.first : items.last) ?? .undefined("the \(name) item")
    case "join", "reverse", "unique", "sort", "map", "select", "reject", "selectattr", "rejectattr",
      "dictsort":
      return try listFilter(name, value, call, at: place)
    case "trim", "upper", "lower", "capitalize", "title", "replace", "indent":
      return try textFilter(name, .text(try text(of: value, at: place)), call, at: place)
    default: break
    }
    throw source.error(place, expected: "a filter that templates of chats use", found: "\"\(name)\"")
  }

  func length(_ value: TemplateValue, at place: Int) throws(TextError) -> Int {
    switch value {
    case .text(let text): text.count
    case .list(let list): list.items.count
    case .object(let object): object.keys.count
    case .undefined: 0
    default: throw source.error(place, expected: "something with a length", found: value.kind)
    }
  }

  private func wholeNumber(
    _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> Int {
    if let number = value.int { return number }
    let standard = call.argument(0, "default")?.int ?? 0
    switch value {
    case .float(let number): return Int(exactly: number.rounded(.towardZero)) ?? standard
    case .text(let text): return text.count <= 32 ? Int(text.stripped().string) ?? standard : standard
    default: return standard
    }
  }

  // MARK: Strings

  private func textFilter(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue {
    guard name == "trim" || name == "indent" else { return try callMethod(name, of: value, call, at: place) }
    if name == "trim" { return try callMethod("strip", of: value, call, at: place) }
    guard case .text(let text) = value else { return value }
    var prefix = TemplateText(
      String(repeating: " ", count: min(max(call.argument(0, "width")?.int ?? 4, 0), 64)))
    if case .text(let given)? = call.argument(0, "width") { prefix = given }
    let (first, blank) = (
      call.argument(1, "first")?.isTrue == true, call.argument(2, "blank")?.isTrue == true
    )
    let lines = text.split(TemplateText("\n"))
    var result = TemplateText()
    for (index, line) in lines.enumerated() {
      try spend(prefix.count + line.count + 1, at: place)
      if index > 0 { append("\n", to: &result) }
      if index == 0 ? first : blank || !line.isEmpty { result.units += prefix.units }
      result.units += line.units
    }
    return .text(result)
  }

  // MARK: Lists

  private func listFilter(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue {
    if name == "reverse", case .text(let text) = value {
      try spend(text.count, at: place)
      return .text(TemplateText(text.units.reversed()))
    }
    let items = name == "dictsort" ? [] : try items(of: value, at: place)
    switch name {
    case "join": return .text(try joined(items, call, at: place))
    case "reverse": return try list(items.reversed(), at: place)
    case "sort": return try list(try sorted(items, call, at: place), at: place)
    case "dictsort":
      guard case .object(let object) = value else {
        throw source.error(place, expected: "a mapping to sort", found: value.kind)
      }
      return try list(try sorted(object.items, .init(named: ["attribute": .int(0)]), at: place), at: place)
    case "unique":
      var kept: [TemplateValue] = []
      for item in items where try !contains(.list(TemplateList(kept)), item, at: place) { kept.append(item) }
      return try list(kept, at: place)
    case "map": return try list(try mapped(items, call, at: place), at: place)
    default:
      var kept: [TemplateValue] = []
      for item in items where try isSelected(item, name, call, at: place) { kept.append(item) }
      return try list(kept, at: place)
    }
  }

  /// The items' texts with a separator between them.
  private func joined(
    _ items: [TemplateValue], _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateText {
    let separator = try call.argument(0, "d").map { (value) throws(TextError) in
      try text(of: value, at: place)
    }
    var result = TemplateText()
    for (index, item) in items.enumerated() {
      let piece = try text(of: try attribute(call.argument(1, "attribute"), of: item, at: place), at: place)
      try spend(piece.count + (separator?.count ?? 0) + 1, at: place)
      if index > 0, let separator { result.units += separator.units }
      result.units += piece.units
    }
    return result
  }

  /// The item itself, or what an attribute's name or place picks.
  private func attribute(
    _ key: TemplateValue?, of value: TemplateValue, at place: Int
  ) throws(TextError) -> TemplateValue {
    guard let key else { return value }
    guard case .text(let path) = key else { return try item(key, of: value, at: place) }
    var value = value
    for name in path.split(TemplateText(".")) { value = try item(.text(name), of: value, at: place) }
    return value
  }

  private func sorted(
    _ items: [TemplateValue], _ call: TemplateCall, at place: Int
  ) throws(TextError) -> [TemplateValue] {
    var keyed: [(key: TemplateValue, item: TemplateValue)] = []
    for item in items {
      var key = try attribute(call.argument(2, "attribute"), of: item, at: place)
      if case .text = key, call.argument(1, "case_sensitive")?.isTrue != true {
        key = try callMethod("lower", of: key, .init(), at: place)
      }
      keyed.append((key, item))
    }
    // A merge sort: stable, and its comparisons may fail.
    var width = 1
    while width < keyed.count {
      var merged: [(key: TemplateValue, item: TemplateValue)] = []
      for start in stride(from: 0, to: keyed.count, by: 2 * width) {
        var (left, right) = (start, min(start + width, keyed.count))
        let (middle, end) = (right, min(start + 2 * width, keyed.count))
        while left < middle || right < end {
          try spend(1, at: place)
          var takesRight = left == middle
          if !takesRight, right < end {
            takesRight = try isLess(keyed[right].key, keyed[left].key, at: place)
          }
          merged.append(keyed[takesRight ? right : left])
          if takesRight { right += 1 } else { left += 1 }
        }
      }
      keyed = merged
      width *= 2
    }
    let result = keyed.map(\.item)
    return call.argument(0, "reverse")?.isTrue == true ? result.reversed() : result
  }

  private func mapped(
    _ items: [TemplateValue], _ call: TemplateCall, at place: Int
  ) throws(TextError) -> [TemplateValue] {
    var results: [TemplateValue] = []
    for item in items {
      try spend(1, at: place)
      if let key = call.named["attribute"] {
        let value = try attribute(key, of: item, at: place)
        if case .undefined = value, let standard = call.named["default"] {
          results.append(standard)
        } else {
          results.append(value)
        }
      } else {
        guard case .text(let name)? = call.values.first, name.count < 32 else {
          throw source.error(place, expected: "a filter's name or an attribute for map", found: "neither")
        }
        let rest = TemplateCall(values: Array(call.values.dropFirst()), named: call.named)
        results.append(try filter(name.string, item, rest, at: place))
      }
    }
    return results
  }

  private func isSelected(
    _ item: TemplateValue, _ name: String, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> Bool {
    try spend(1, at: place)
    var (value, values) = (item, call.values)
    if name.hasSuffix("attr"), !values.isEmpty {
      value = try attribute(values.removeFirst(), of: item, at: place)
    }
    var holds = value.isTrue
    if case .text(let testName)? = values.first, testName.count < 32 {
      holds = try test(testName.string, value, .init(values: Array(values.dropFirst())), at: place)
    }
    return holds != name.hasPrefix("reject")
  }
}
