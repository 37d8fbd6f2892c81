/// BERT's text normalization: control characters removed, white space made spaces, Chinese characters set apart,
/// accents stripped, lower case.
///
/// Categories are those of Unicode 8.0, as in the reference implementation: of a character added later, only case
/// and white space are known.
public struct BertNormalizer: Sendable, Hashable {
  /// Removes control characters and makes all white space spaces.
  public var cleansText: Bool
  /// Puts spaces around Chinese characters.
  public var separatesChineseCharacters: Bool
  /// Decomposes characters and removes nonspacing marks.
  public var stripsAccents: Bool
  /// Lower case, character by character.
  public var lowercases: Bool

  /// Creates a normalizer; the defaults are those of the uncased models.
  public init(
    cleansText: Bool = true, separatesChineseCharacters: Bool = true, stripsAccents: Bool = true,
    lowercases: Bool = true
  ) {
    self.cleansText = cleansText
    self.separatesChineseCharacters = separatesChineseCharacters
    self.stripsAccents = stripsAccents
    self.lowercases = lowercases
  }

  /// The normalized text.
  public func normalized(_ text: String) -> String { String(decoding: normalizedBytes(text), as: UTF8.self) }

  /// The normalized text as UTF-8. Only runs of characters beyond ASCII need the Unicode tables: nothing in
  /// ASCII decomposes or changes places with its neighbours.
  func normalizedBytes(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    var run = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if scalar.isASCII {
        if !run.isEmpty { appendRun(&run, to: &bytes) }
        appendASCII(UInt8(truncatingIfNeeded: scalar.value), to: &bytes)
      } else if cleansText && Self.isRemoved(scalar) {
        continue
      } else if cleansText && scalar.properties.isWhitespace {
        appendRun(&run, to: &bytes)
        bytes.append(UInt8(ascii: " "))
      } else if separatesChineseCharacters && Self.isChinese(scalar) {
        appendRun(&run, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        if Self.isUnified(scalar) {
          bytes.append(contentsOf: UTF8.encode(scalar) ?? .init())
        } else {
          run.append(scalar)
          appendRun(&run, to: &bytes)
        }
        bytes.append(UInt8(ascii: " "))
      } else {
        run.append(scalar)
      }
    }
    appendRun(&run, to: &bytes)
    return bytes
  }

  private func appendASCII(_ byte: UInt8, to bytes: inout [UInt8]) {
    switch byte {
    case 0x09, 0x0A, 0x0D: bytes.append(cleansText ? UInt8(ascii: " ") : byte)
    case 0..<0x20, 0x7F: if !cleansText { bytes.append(byte) }
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): bytes.append(lowercases ? byte | 0x20 : byte)
    default: bytes.append(byte)
    }
  }

  /// Appends characters beyond ASCII without accents and in lower case, and empties the run.
  private func appendRun(_ run: inout String.UnicodeScalarView, to bytes: inout [UInt8]) {
    guard !run.isEmpty else { return }
    if stripsAccents {
      let decomposed = CanonicalNormalization.decomposed.normalized(String(run))
      run = String.UnicodeScalarView(decomposed.unicodeScalars.filter { !Self.isNonspacingMark($0) })
    }
    if lowercases {
      // Decomposed text may hold ASCII letters, with their accents gone.
      for scalar in run {
        if scalar.isASCII {
          appendASCII(UInt8(truncatingIfNeeded: scalar.value), to: &bytes)
        } else {
          bytes.append(contentsOf: scalar.properties.lowercaseMapping.utf8)
        }
      }
    } else {
      bytes.append(contentsOf: String(run).utf8)
    }
    run.removeAll(keepingCapacity: true)
  }

  private static func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\r": return false
    case "\u{0}", "\u{FFFD}": return true
    default: break
    }
    switch category(scalar) {
    case .control, .format, .privateUse, .surrogate: return true
    default: return false
    }
  }

  private static func isNonspacingMark(_ scalar: Unicode.Scalar) -> Bool {
    category(scalar) == .nonspacingMark
  }

  /// The general category in Unicode 8.0.
  private static func category(_ scalar: Unicode.Scalar) -> Unicode.GeneralCategory {
    switch scalar.value {
    case 0..<0x300: return scalar.properties.generalCategory
    // Characters whose category has changed since.
    case 0x166D, 0x111C9: return .otherPunctuation
    case 0x1734, 0x1171E: return .nonspacingMark
    case 0x1885, 0x1886: return .otherLetter
    case 0xA9BD: return .spacingMark
    default: break
    }
    guard let age = scalar.properties.age, age.major <= 8 else { return .unassigned }
    return scalar.properties.generalCategory
  }

  private static func isChinese(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
      0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// Whether a Chinese character is none of the compatibility characters, which decompose.
  private static func isUnified(_ scalar: Unicode.Scalar) -> Bool {
    !(0xF900...0xFAFF).contains(scalar.value) && scalar.value < 0x2F800
  }

  /// Whether a character is a word of its own: ASCII other than letters, digits, spaces and controls, and
  /// Unicode's punctuation.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
    case 0..<0x80: return false
    default: break
    }
    switch category(scalar) {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }
}
