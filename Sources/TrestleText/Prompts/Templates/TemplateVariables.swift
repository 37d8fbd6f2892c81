import TrestleFormats

/// The values that a template starts with: the conversation, the special tokens' names, and what the program adds.
struct TemplateVariables {
  private(set) var values: [String: TemplateValue] = [:]
  /// The control tokens that stand in messages, by their places.
  private(set) var controls: [Prompt.ControlToken] = []
  /// The number of scalars in all of them.
  private(set) var size = 0

  init(_ messages: [ChatMessage], _ specialTokens: SpecialTokens, addsAnswer: Bool) {
    var list: [TemplateValue] = []
    for message in messages {
      var object = TemplateObject()
      object.set(TemplateText("role"), .text(TemplateText(message.role.rawValue, .trusted)))
      object.set(TemplateText("content"), .text(text(of: message.content)))
      list.append(.object(object))
    }
    values["messages"] = .list(TemplateList(list))
    values["add_generation_prompt"] = .bool(addsAnswer)
    var names: [Int32: String] = [:]
    for (name, id) in specialTokens.ids where names[id].map({ name < $0 }) ?? true { names[id] = name }
    let roles = [
      "bos_token": specialTokens.beginning, "eos_token": specialTokens.end,
      "pad_token": specialTokens.padding, "unk_token": specialTokens.unknown,
    ]
    for (role, id) in roles {
      guard let id, let name = names[id] else { continue }
      values[role] = .text(TemplateText(name))
    }
  }

  private mutating func text(of prompt: Prompt) -> TemplateText {
    var text = TemplateText()
    for segment in prompt.segments {
      switch segment {
      case .trusted(let piece): text.units += TemplateText(piece, .trusted).units
      case .untrusted(let piece): text.units += TemplateText(piece, .untrusted).units
      case .control(let token):
        text.units.append(.init(scalar: "\u{FFFC}", origin: .control(Int32(controls.count))))
        controls.append(token)
      }
    }
    size += text.count
    return text
  }

  /// Adds a value of the program's; its strings are text of others.
  mutating func add(_ name: String, _ value: JSONValue, path: String) throws(TextError) {
    values[name] = try converted(value, name: name, depth: 1, path: path)
  }

  private mutating func converted(
    _ json: JSONValue, name: String, depth: Int, path: String
  ) throws(TextError) -> TemplateValue {
    guard depth < TemplateMachine.maximumNesting else {
      throw Source(path: path).error(
        "the variable \(name)", expected: "fewer than \(TemplateMachine.maximumNesting) levels",
        found: "more")
    }
    size += 1
    switch json.kind {
    case .string:
      let text = TemplateText(
        try TextError.converting { () throws(FormatError) in try json.string() }, .untrusted)
      size += text.count
      return .text(text)
    case .array:
      var items: [TemplateValue] = []
      for item in try TextError.converting({ () throws(FormatError) in try json.array() }) {
        items.append(try converted(item, name: name, depth: depth + 1, path: path))
      }
      return .list(TemplateList(items))
    case .object:
      var object = TemplateObject()
      for (key, value) in try TextError.converting({ () throws(FormatError) in try json.object() }) {
        size += key.unicodeScalars.count
        object.set(
          TemplateText(key, .untrusted), try converted(value, name: name, depth: depth + 1, path: path))
      }
      return .object(object)
    default: return try scalar(json)
    }
  }

  private func scalar(_ json: JSONValue) throws(TextError) -> TemplateValue {
    if json.isNull { return TemplateValue.none }
    if let flag = try? json.bool() { return .bool(flag) }
    if let number = try? json.int() { return .int(number) }
    return .float(try TextError.converting { () throws(FormatError) in try json.double() })
  }
}
