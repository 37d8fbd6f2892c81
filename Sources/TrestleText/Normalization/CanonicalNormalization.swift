import Foundation

/// The canonical normalization forms as the reference implementations compute them, by Unicode 9.0: characters of
/// later versions stay as they are, and nothing is reordered or composed across them.
package enum CanonicalNormalization {
  case composed
  case decomposed

  /// The normalized text, in time proportional to its length.
  package func normalized(_ text: String) -> String {
    // Below U+0300 (whose first byte is 0xCC) nothing combines; composed text stays composed.
    let firstCombining: UInt8 = self == .composed ? 0xCC : 0xC3
    guard text.utf8.contains(where: { $0 >= firstCombining }) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    var piece: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars {
      if Self.isInert(scalar) {
        append(&piece, to: &result)
        result.append(contentsOf: UTF8.encode(scalar) ?? .init())
        continue
      }
      if piece.count >= Self.pieceLength, Self.isBoundary(before: scalar, after: piece[piece.count - 1]) {
        append(&piece, to: &result)
      }
      if let decomposition = Self.decomposition(of: scalar) {
        piece.append(contentsOf: decomposition)
      } else {
        piece.append(scalar)
      }
    }
    append(&piece, to: &result)
    return String(decoding: result, as: UTF8.self)
  }

  /// Foundation's time grows with the square of the number of changes in a text, so that it gets pieces of about this many
  /// characters.
  private static let pieceLength = 256

  /// Appends a piece's normal form and empties the piece.
  private func append(_ piece: inout [Unicode.Scalar], to result: inout [UInt8]) {
    guard !piece.isEmpty else { return }
    Self.order(&piece)
    var text: [UInt8] = []
    text.reserveCapacity(piece.count * 3)
    for scalar in piece { text.append(contentsOf: UTF8.encode(scalar) ?? .init()) }
    let plain = String(decoding: text, as: UTF8.self)
    switch self {
    case .composed: result.append(contentsOf: plain.precomposedStringWithCanonicalMapping.utf8)
    case .decomposed: result.append(contentsOf: plain.decomposedStringWithCanonicalMapping.utf8)
    }
    piece.removeAll(keepingCapacity: true)
  }

  /// Whether the normal form of a text is that of the parts before and after this place: the character after it is not
  /// moved, and composes with none before it.
  private static func isBoundary(before scalar: Unicode.Scalar, after previous: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x300: return true
    // Vowels and final consonants of Hangul syllables.
    case 0x1160...0x11A7: return !(0x1100...0x115F).contains(previous.value)
    case 0x11A8...0x11FF:
      return !(0x1160...0x11A7).contains(previous.value) && !(0xAC00...0xD7A3).contains(previous.value)
    // All other characters of class 0 that are the second of a composition, by Unicode 9.0. None composes with another of
    // them, and a run of them alone stays as it is.
    case 0x09BE, 0x09D7, 0x0B3E, 0x0B56, 0x0B57, 0x0BBE, 0x0BD7, 0x0CC2, 0x0CD5, 0x0CD6, 0x0D3E, 0x0D57,
      0x0DCF,
      0x0DDF, 0x102E, 0x1B35, 0x11127, 0x1133E, 0x11357, 0x114B0, 0x114BA, 0x114BD, 0x115AF:
      return false
    default: return combiningClass(scalar) == 0 && decomposition(of: scalar) == nil
    }
  }

  /// Brings each longer run of combining marks into canonical order, in linear time.
  ///
  /// Foundation sorts a run in quadratic time unless it is in order already. The order is stable by class (a counting sort),
  /// so the text stays canonically equivalent and has the same normal forms.
  private static func order(_ piece: inout [Unicode.Scalar]) {
    var start = 0
    while start < piece.count {
      var end = start
      while end < piece.count, piece[end].value >= 0x300, combiningClass(piece[end]) != 0 { end += 1 }
      if end - start > 16 {
        let run = Array(piece[start..<end])
        var starts = [Int](repeating: 0, count: 257)
        for scalar in run { starts[combiningClass(scalar) + 1] += 1 }
        for index in 1..<257 { starts[index] += starts[index - 1] }
        for scalar in run {
          let place = combiningClass(scalar)
          piece[start + starts[place]] = scalar
          starts[place] += 1
        }
      }
      start = end + 1
    }
  }

  private static func combiningClass(_ scalar: Unicode.Scalar) -> Int {
    Int(scalar.properties.canonicalCombiningClass.rawValue)
  }

  /// Whether a character takes no part in normalization: it is of a later version, unassigned, or beyond the basic
  /// plane and neither a mark nor of the few blocks there with compositions. (Swift 6.3 drops the plane when it
  /// composes: U+10041 U+0300 becomes U+00C0.)
  private static func isInert(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x300 else { return false }
    guard let age = scalar.properties.age, age.major <= 9 else { return true }
    switch scalar.value {
    case 0..<0x10000, 0x11000..<0x11600, 0x1D15E...0x1D1C0, 0x2F800...0x2FA1F: return false
    default: return scalar.properties.canonicalCombiningClass == .notReordered
    }
  }

  /// The decomposition of marks that decompose into marks alone, tone marks, the Greek koronis and dialytika tonos, and
  /// Tibetan vowel signs; Swift 6.3 does not order these among their neighbours unless they are given apart.
  private static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
    switch scalar.value {
    case 0x0340: ["\u{300}"]
    case 0x0341: ["\u{301}"]
    case 0x0343: ["\u{313}"]
    case 0x0344: ["\u{308}", "\u{301}"]
    case 0x0F73: ["\u{F71}", "\u{F72}"]
    case 0x0F75: ["\u{F71}", "\u{F74}"]
    case 0x0F81: ["\u{F71}", "\u{F80}"]
    default: nil
    }
  }
}
