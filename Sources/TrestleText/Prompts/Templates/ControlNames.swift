/// Finds control tokens by name in what a template writes.
struct ControlNames {
  /// The names, longest first, by their first two scalars.
  private var names: [[Unicode.Scalar]: [[Unicode.Scalar]]] = [:]

  init(_ specialTokens: SpecialTokens) {
    for name in specialTokens.ids.keys where !name.isEmpty {
      let scalars = Array(name.unicodeScalars)
      names[Array(scalars.prefix(2)), default: []].append(scalars)
    }
    for key in names.keys { names[key]?.sort { $0.count > $1.count } }
  }

  /// The longest name that the template wrote at a place, `nil` if there is none.
  private func name(in units: [TemplateText.Unit], at place: Int) -> [Unicode.Scalar]? {
    func isWritten(_ name: [Unicode.Scalar]) -> Bool {
      guard place + name.count <= units.count else { return false }
      for (offset, scalar) in name.enumerated() {
        let unit = units[place + offset]
        guard unit.scalar == scalar, case .template = unit.origin else { return false }
      }
      return true
    }
    let start = units[place..<min(place + 2, units.count)].map(\.scalar)
    if let name = names[start]?.first(where: isWritten) { return name }
    return names[Array(start.prefix(1))]?.first(where: isWritten)
  }

  /// A rendered template as a prompt: names that the template itself wrote are control tokens, everything else is text.
  ///
  /// A space between the template's text and a message goes with the message, so that segments have the tokens that they
  /// have in the whole.
  func prompt(_ text: TemplateText, controls: [Prompt.ControlToken]) -> Prompt {
    var builder = PromptBuilder()
    let units = text.units
    var place = 0
    while place < units.count {
      switch units[place].origin {
      case .control(let index): builder.append(.control(controls[Int(index)]))
      case .trusted: builder.append(units[place].scalar, isTrusted: true)
      case .untrusted: builder.append(units[place].scalar, isTrusted: false)
      case .template:
        if let name = name(in: units, at: place) {
          var view = String.UnicodeScalarView()
          view.append(contentsOf: name)
          builder.append(.control(.name(String(view))))
          place += name.count - 1
        } else {
          var isTrusted = true
          if units[place].scalar == " ", place + 1 < units.count, case .untrusted = units[place + 1].origin {
            isTrusted = false
          }
          builder.append(units[place].scalar, isTrusted: isTrusted)
        }
      }
      place += 1
    }
    return builder.finished()
  }
}

/// Joins scalars of one kind to segments.
private struct PromptBuilder {
  private var prompt = Prompt()
  private var scalars = String.UnicodeScalarView()
  private var isTrusted = true

  mutating func append(_ segment: Prompt.Segment) {
    flush()
    prompt.append(segment)
  }

  mutating func append(_ scalar: Unicode.Scalar, isTrusted: Bool) {
    if isTrusted != self.isTrusted { flush() }
    self.isTrusted = isTrusted
    scalars.append(scalar)
  }

  private mutating func flush() {
    guard !scalars.isEmpty else { return }
    let text = String(scalars)
    prompt.append(isTrusted ? .trusted(text) : .untrusted(text))
    scalars = String.UnicodeScalarView()
  }

  mutating func finished() -> Prompt {
    flush()
    return prompt
  }
}
