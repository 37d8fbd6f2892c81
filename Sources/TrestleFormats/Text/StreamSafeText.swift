extension String {
  /// Decodes UTF-8 from outside, with runs of combining marks bounded.
  ///
  /// `String` compares, hashes and searches by canonical equivalence, for which it sorts each run of marks in quadratic
  /// time: one key of 64 KB took seconds. Text that comes out of a reader therefore is in the Stream-Safe Text Format:
  /// after 30 marks in a row a combining grapheme joiner (U+034F) is put in, at which every run ends. No writing system
  /// needs so many; text without such runs stays as it is, and bytes that are not UTF-8 become U+FFFD.
  ///
  /// Source: Unicode Standard Annex #15, section 13.
  package init(streamSafe bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    // Below U+0300, whose first byte is 0xCC, there are no marks.
    guard bytes.count > streamSafeRun, bytes.contains(where: { $0 >= 0xCC }) else {
      self = text
      return
    }
    self = text.streamSafe
  }

  /// The text with bounded runs of combining marks, see ``init(streamSafe:)``.
  package var streamSafe: String {
    var run = 0
    let isSafe = unicodeScalars.allSatisfy { scalar in
      run = scalar.isMark ? run + 1 : 0
      return run <= streamSafeRun
    }
    if isSafe { return self }
    var result = String.UnicodeScalarView()
    run = 0
    for scalar in unicodeScalars {
      run = scalar.isMark ? run + 1 : 0
      if run > streamSafeRun {
        result.append("\u{34F}")
        run = 1
      }
      result.append(scalar)
    }
    return String(result)
  }
}

/// The longest run of marks in the Stream-Safe Text Format.
private let streamSafeRun = 30

extension Unicode.Scalar {
  /// Whether the character, or its decomposition, is moved among its neighbours by canonical ordering.
  fileprivate var isMark: Bool {
    if value < 0x300 { return false }
    switch value {
    // Class 0, but made of marks alone.
    case 0x0F73, 0x0F75, 0x0F81: return true
    default: return properties.canonicalCombiningClass != .notReordered
    }
  }
}
