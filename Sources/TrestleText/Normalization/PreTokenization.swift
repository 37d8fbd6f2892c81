/// How a family splits text into words before byte-pair encoding; merges never cross words.
///
/// The rules are regular expressions in the families' files. Here they are scanners, equal to the expression's
/// leftmost matches with the Unicode categories of Unicode 16.0.
public enum PreTokenization: String, Sendable, CaseIterable {
  /// GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
  case gpt2
  /// SmolLM: every digit (`\p{N}`) apart, then GPT-2's expression on what is between.
  case smolLM
  /// Llama 3: contractions in either case, a word with the character before it, digits in groups of up to three,
  /// line breaks apart.
  case llama3
  /// Qwen2: as Llama 3, with every digit apart.
  case qwen2
}

/// Finds the ends of words by a ``PreTokenization``.
struct WordScanner: Sendable {
  let rule: PreTokenization
  private let classes = ScalarClasses.shared

  init(_ rule: PreTokenization) { self.rule = rule }

  /// The end of the word that begins at `start`, which is before the end of `bytes` (valid UTF-8).
  @inline(__always)
  func wordEnd(in bytes: [UInt8], from start: Int) -> Int {
    switch rule {
    case .gpt2: wordEndGPT2(in: bytes, from: start, isolatingDigits: false)
    case .smolLM: wordEndGPT2(in: bytes, from: start, isolatingDigits: true)
    case .llama3: wordEndLlama3(in: bytes, from: start, digits: 3)
    case .qwen2: wordEndLlama3(in: bytes, from: start, digits: 1)
    }
  }

  /// With `isolatingDigits`, the text between two digits is matched by itself: a space does not join the digit
  /// after it, and white space before a digit is white space at the end of the text.
  @inline(__always)
  private func wordEndGPT2(in bytes: [UInt8], from start: Int, isolatingDigits: Bool) -> Int {
    if bytes[start] == UInt8(ascii: "'"),
      let end = contractionEnd(in: bytes, from: start, ignoringCase: false)
    {
      return end
    }
    var scalar = classes.scalar(at: start, in: bytes)
    if bytes[start] == UInt8(ascii: " "), scalar.end < bytes.count {
      let following = classes.scalar(at: scalar.end, in: bytes)
      if !following.kind.isWhitespace && !(isolatingDigits && following.kind == .number) {
        scalar = following
      }
    }
    switch scalar.kind {
    case .number where isolatingDigits: return scalar.end
    case .letter, .number, .other: return runEnd(of: scalar.kind, in: bytes, from: scalar.end)
    case .space, .newline:
      return whitespaceEnd(in: bytes, from: start, digitEndsText: isolatingDigits)
    }
  }

  @inline(__always)
  private func wordEndLlama3(in bytes: [UInt8], from start: Int, digits: Int) -> Int {
    if bytes[start] == UInt8(ascii: "'"), let end = contractionEnd(in: bytes, from: start, ignoringCase: true)
    {
      return end
    }
    let scalar = classes.scalar(at: start, in: bytes)
    switch scalar.kind {
    case .letter: return runEnd(of: .letter, in: bytes, from: scalar.end)
    case .number:
      var end = scalar.end
      for _ in 1..<max(digits, 2) where digits > 1 && end < bytes.count {
        let following = classes.scalar(at: end, in: bytes)
        guard following.kind == .number else { break }
        end = following.end
      }
      return end
    case .other, .space:
      if scalar.end < bytes.count {
        let following = classes.scalar(at: scalar.end, in: bytes)
        if following.kind == .letter { return runEnd(of: .letter, in: bytes, from: following.end) }
        if scalar.kind == .space && bytes[start] == UInt8(ascii: " ") && following.kind == .other {
          return symbolsEnd(in: bytes, from: following.end)
        }
      }
      if scalar.kind == .other { return symbolsEnd(in: bytes, from: scalar.end) }
      return lineBreakEnd(in: bytes, from: start)
        ?? whitespaceEnd(in: bytes, from: start, digitEndsText: false)
    case .newline:
      return lineBreakEnd(in: bytes, from: start) ?? scalar.end
    }
  }

  /// The end of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at `start`, where the apostrophe is.
  private func contractionEnd(in bytes: [UInt8], from start: Int, ignoringCase: Bool) -> Int? {
    guard start + 1 < bytes.count else { return nil }
    // ASCII letters differ from their capitals in one bit; no other byte becomes one of these letters by it.
    let lower: UInt8 = ignoringCase ? 0x20 : 0
    let first = bytes[start + 1] | lower
    switch first {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
      guard start + 2 < bytes.count else { return nil }
      let second = bytes[start + 2] | lower
      let expected = first == UInt8(ascii: "l") ? first : UInt8(ascii: "e")
      return second == expected ? start + 3 : nil
    default:
      // The long s, U+017F, is an s when case is ignored.
      let isLongS =
        ignoringCase && bytes[start + 1] == 0xC5 && start + 2 < bytes.count && bytes[start + 2] == 0xBF
      return isLongS ? start + 3 : nil
    }
  }

  /// `\p{L}*`, `\p{N}*` or `[^\s\p{L}\p{N}]*`.
  @inline(__always)
  private func runEnd(of kind: ScalarClass, in bytes: [UInt8], from start: Int) -> Int {
    var end = start
    while end < bytes.count {
      let scalar = classes.scalar(at: end, in: bytes)
      guard scalar.kind == kind else { break }
      end = scalar.end
    }
    return end
  }

  /// `[^\s\p{L}\p{N}]*[\r\n]*`.
  private func symbolsEnd(in bytes: [UInt8], from start: Int) -> Int {
    var end = runEnd(of: .other, in: bytes, from: start)
    while end < bytes.count, bytes[end] == UInt8(ascii: "\n") || bytes[end] == UInt8(ascii: "\r") { end += 1 }
    return end
  }

  /// `\s*[\r\n]+`: up to the last line break of the white space.
  private func lineBreakEnd(in bytes: [UInt8], from start: Int) -> Int? {
    var end = start
    var breakEnd: Int?
    while end < bytes.count {
      let scalar = classes.scalar(at: end, in: bytes)
      guard scalar.kind.isWhitespace else { break }
      end = scalar.end
      if scalar.kind == .newline { breakEnd = end }
    }
    return breakEnd
  }

  /// `\s+(?!\S)|\s+`: white space without its last character, which joins the next word; all of it at the end of
  /// the text or if it is one character.
  private func whitespaceEnd(in bytes: [UInt8], from start: Int, digitEndsText: Bool) -> Int {
    var end = start
    var last = start
    while end < bytes.count {
      let scalar = classes.scalar(at: end, in: bytes)
      guard scalar.kind.isWhitespace else {
        let isEndOfText = digitEndsText && scalar.kind == .number
        return isEndOfText || last == start ? end : last
      }
      last = end
      end = scalar.end
    }
    return end
  }
}
