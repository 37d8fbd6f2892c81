extension Prompt {
  /// The prompt without the white space that its text begins and ends with.
  func trimmed(atStart: Bool = true) -> Prompt {
    var segments = segments
    while atStart, let first = segments.first, let text = first.textContent {
      let rest = text.unicodeScalars.drop { $0.properties.isWhitespace }
      segments[0] = first.withText(String(rest))
      if !rest.isEmpty { break }
      segments.removeFirst()
    }
    while let last = segments.last, let text = last.textContent {
      var rest = text.unicodeScalars
      while let scalar = rest.last, scalar.properties.isWhitespace { rest.removeLast() }
      segments[segments.count - 1] = last.withText(String(rest))
      if !rest.isEmpty { break }
      segments.removeLast()
    }
    return Prompt(segments)
  }

  /// The prompt with text in front, inside its first segment if that is text.
  func preceded(by prefix: String) -> Prompt {
    guard let first = segments.first, let text = first.textContent else {
      return Prompt([.trusted(prefix)] + segments)
    }
    return Prompt([first.withText(prefix + text)] + segments.dropFirst())
  }
}

extension Prompt.Segment {
  /// The text of a text segment.
  fileprivate var textContent: String? {
    switch self {
    case .control: nil
    case .trusted(let text), .untrusted(let text): text
    }
  }

  /// The segment with another text, as trusted as before.
  fileprivate func withText(_ text: String) -> Prompt.Segment {
    switch self {
    case .control: self
    case .trusted: .trusted(text)
    case .untrusted: .untrusted(text)
    }
  }
}
