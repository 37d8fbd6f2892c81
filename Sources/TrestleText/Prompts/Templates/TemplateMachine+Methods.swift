extension TemplateMachine {
  /// What a method of a string, mapping or loop gives.
  func callMethod(
    _ name: String, of value: TemplateValue, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue {
    switch value {
    case .text(let text):
      try spend(text.count, at: place)
      if let result = try textMethod(name, text, call, at: place) { return result }
    case .object(let object):
      if let result = try objectMethod(name, object, call, at: place) { return result }
    case .loop(let loop) where name == "cycle" && !call.values.isEmpty:
      return call.values[loop.index % call.values.count]
    case .namespace(let index):
      if case .macro(let macro)? = namespaces[index][name] { return try self.call(macro, call, at: place) }
    case .undefined: _ = try attribute(name, of: value, at: place)
    default: break
    }
    throw source.error(
      place, expected: "a method that templates of chats use", found: "\"\(name)\" of \(value.kind)")
  }

  private func objectMethod(
    _ name: String, _ object: TemplateObject, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue? {
    switch name {
    case "items": return try list(object.items, at: place)
    case "keys": return try list(object.keys.map { .text($0) }, at: place)
    case "values": return try list(object.values, at: place)
    case "get":
      guard case .text(let key)? = call.argument(0) else { return call.argument(1) ?? TemplateValue.none }
      try spend(key.count, at: place)
      return object[key] ?? call.argument(1) ?? TemplateValue.none
    default: return nil
    }
  }

  private func textMethod(
    _ name: String, _ text: TemplateText, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateValue? {
    switch name {
    case "strip", "lstrip", "rstrip": return .text(try stripped(name, text, call, at: place))
    case "upper": return .text(text.mapped { $0.properties.uppercaseMapping })
    case "lower": return .text(text.mapped { $0.properties.lowercaseMapping })
    case "capitalize", "title": return .text(Self.capitalized(text, everyWord: name == "title"))
    case "startswith", "endswith":
      return .bool(try hasEnd(text, call.argument(0), atStart: name == "startswith", at: place))
    case "removeprefix", "removesuffix":
      let (isPrefix, part) = (name == "removeprefix", try string(call.argument(0), at: place))
      guard try hasEnd(text, .text(part), atStart: isPrefix, at: place) else { return .text(text) }
      return .text(
        TemplateText(isPrefix ? text.units.dropFirst(part.count) : text.units.dropLast(part.count)))
    case "replace": return .text(try replaced(text, call, at: place))
    case "split", "rsplit": return try split(text, call, fromEnd: name == "rsplit", at: place)
    case "splitlines":
      var lines = text.split(TemplateText("\n"))
      if lines.last?.isEmpty == true { lines.removeLast() }
      return try list(lines.map { .text($0) }, at: place)
    case "find":
      let part = try string(call.argument(0), at: place)
      try spend(part.count, at: place)
      return .int(text.firstIndex(of: part) ?? -1)
    case "count":
      let part = try string(call.argument(0), at: place)
      try spend(part.count, at: place)
      return .int(part.isEmpty ? text.count + 1 : text.split(part).count - 1)
    case "join":
      guard let items = call.argument(0) else { return nil }
      return try filter("join", items, .init(values: [.text(text)]), at: place)
    case "isdigit", "isnumeric":
      return .bool(!text.isEmpty && text.units.allSatisfy { $0.scalar.properties.numericType != nil })
    case "isspace": return .bool(!text.isEmpty && text.units.allSatisfy(\.isSpace))
    case "isupper", "islower":
      let other = text.mapped {
        name == "isupper" ? $0.properties.uppercaseMapping : $0.properties.lowercaseMapping
      }
      return .bool(other == text && text.units.contains { $0.scalar.properties.isCased })
    default: return nil
    }
  }

  private func string(_ value: TemplateValue?, at place: Int) throws(TextError) -> TemplateText {
    guard case .text(let text)? = value else {
      throw source.error(place, expected: "a string", found: value?.kind ?? "nothing")
    }
    return text
  }

  private func stripped(
    _ name: String, _ text: TemplateText, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateText {
    let (atStart, atEnd) = (name != "rstrip", name != "lstrip")
    guard case .text(let characters)? = call.argument(0, "chars") else {
      return text.stripped(atStart: atStart, atEnd: atEnd)
    }
    try spend(characters.count, at: place)
    let set = Set(characters.units)
    return text.stripped(atStart: atStart, atEnd: atEnd) { set.contains($0) }
  }

  private static func capitalized(_ text: TemplateText, everyWord: Bool) -> TemplateText {
    var isFirst = true
    return text.mapped { scalar in
      defer { isFirst = everyWord && !scalar.properties.isAlphabetic }
      return isFirst ? scalar.properties.titlecaseMapping : scalar.properties.lowercaseMapping
    }
  }

  /// Whether the text begins or ends with a string, or one of several.
  private func hasEnd(
    _ text: TemplateText, _ value: TemplateValue?, atStart: Bool, at place: Int
  ) throws(TextError) -> Bool {
    if case .list(let list)? = value {
      for item in list.items where try hasEnd(text, item, atStart: atStart, at: place) { return true }
      return false
    }
    let part = try string(value, at: place)
    try spend(part.count, at: place)
    guard part.count <= text.count else { return false }
    return atStart
      ? text.units.prefix(part.count).elementsEqual(part.units)
      : text.units.suffix(part.count).elementsEqual(part.units)
  }

  private func replaced(
    _ text: TemplateText, _ call: TemplateCall, at place: Int
  ) throws(TextError) -> TemplateText {
    let (old, new) = (
      try string(call.argument(0, "s"), at: place), try string(call.argument(1, "new"), at: place)
    )
    let limit = call.argument(2, "count")?.int.flatMap { $0 < 0 ? nil : $0 } ?? .max
    try spend(old.count, at: place)
    // An empty string stands before each character and at the end.
    let parts =
      old.isEmpty
      ? [TemplateText()] + text.units.map { TemplateText([$0]) } + [TemplateText()]
      : text.split(old, limit: limit)
    try spend(parts.count, at: place)
    var result = TemplateText()
    for (index, part) in parts.enumerated() {
      if index > 0, index <= limit {
        try spend(new.count, at: place)
        result.units += new.units
      }
      result.units += part.units
    }
    return result
  }

  private func split(
    _ text: TemplateText, _ call: TemplateCall, fromEnd: Bool, at place: Int
  ) throws(TextError) -> TemplateValue {
    let limit = call.argument(1, "maxsplit")?.int.flatMap { $0 < 0 ? nil : $0 } ?? .max
    func parts(_ text: TemplateText, _ separator: TemplateText?) -> [TemplateText] {
      separator.map { text.split($0, limit: limit) } ?? text.words(limit: limit)
    }
    var separator: TemplateText?
    if case .text(let given)? = call.argument(0, "sep") { separator = given }
    guard separator?.isEmpty != true else {
      throw source.error(place, expected: "a separator that is not empty", found: "an empty one")
    }
    guard fromEnd else { return try list(parts(text, separator).map { .text($0) }, at: place) }
    // The same from the end: with everything turned round.
    func turned(_ text: TemplateText) -> TemplateText { TemplateText(text.units.reversed()) }
    let found = parts(turned(text), separator.map(turned)).map(turned)
    return try list(found.reversed().map { .text($0) }, at: place)
  }
}
