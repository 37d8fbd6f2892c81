import Foundation

/// The canonical normalization forms as the reference implementations compute them, by Unicode 9.0: characters of
/// later versions stay as they are, and nothing is reordered or composed across them.
package enum CanonicalNormalization {
  case composed
  case decomposed

  /// The normalized text.
  package func normalized(_ text: String) -> String {
    // Below U+0300 (whose first byte is 0xCC) nothing combines; composed text stays composed.
    let firstCombining: UInt8 = self == .composed ? 0xCC : 0xC3
    guard text.utf8.contains(where: { $0 >= firstCombining }) else { return text }
    guard text.unicodeScalars.contains(where: { Self.isInert($0) || Self.decomposition(of: $0) != nil })
    else {
      return transformed(text)
    }
    var result = String.UnicodeScalarView()
    var piece = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if Self.isInert(scalar) {
        result.append(contentsOf: transformed(String(piece)).unicodeScalars)
        piece.removeAll(keepingCapacity: true)
        result.append(scalar)
      } else if let decomposition = Self.decomposition(of: scalar) {
        piece.append(contentsOf: decomposition.unicodeScalars)
      } else {
        piece.append(scalar)
      }
    }
    result.append(contentsOf: transformed(String(piece)).unicodeScalars)
    return String(result)
  }

  private func transformed(_ text: String) -> String {
    let text = Self.ordered(text)
    return switch self {
    case .composed: text.precomposedStringWithCanonicalMapping
    case .decomposed: text.decomposedStringWithCanonicalMapping
    }
  }

  /// The text with each longer run of combining marks in canonical order, in linear time.
  ///
  /// Foundation sorts a run in quadratic time unless it is in order already. The order is stable by class, so the text
  /// stays canonically equivalent and has the same normal forms.
  private static func ordered(_ text: String) -> String {
    var longest = 0
    var length = 0
    for scalar in text.unicodeScalars {
      length = scalar.value >= 0x300 && combiningClass(scalar) != 0 ? length + 1 : 0
      longest = max(longest, length)
    }
    guard longest > 16 else { return text }
    var result = String.UnicodeScalarView()
    var run: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars {
      if combiningClass(scalar) != 0 {
        run.append(scalar)
      } else {
        appendOrdered(&run, to: &result)
        result.append(scalar)
      }
    }
    appendOrdered(&run, to: &result)
    return String(result)
  }

  /// Appends a run of marks by their classes (a counting sort, so that equals keep their order), and empties it.
  private static func appendOrdered(_ run: inout [Unicode.Scalar], to result: inout String.UnicodeScalarView)
  {
    if run.count > 1 {
      var starts = [Int](repeating: 0, count: 257)
      for scalar in run { starts[combiningClass(scalar) + 1] += 1 }
      for index in 1..<257 { starts[index] += starts[index - 1] }
      var sorted = run
      for scalar in run {
        let place = combiningClass(scalar)
        sorted[starts[place]] = scalar
        starts[place] += 1
      }
      run = sorted
    }
    result.append(contentsOf: run)
    run.removeAll(keepingCapacity: true)
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

  /// The decomposition of marks that decompose into marks alone, Tibetan vowel signs and the Greek dialytika tonos;
  /// Swift 6.3 does not order these among their neighbours unless they are given apart.
  private static func decomposition(of scalar: Unicode.Scalar) -> String? {
    switch scalar.value {
    case 0x0344: "\u{308}\u{301}"
    case 0x0F73: "\u{F71}\u{F72}"
    case 0x0F75: "\u{F71}\u{F74}"
    case 0x0F81: "\u{F71}\u{F80}"
    default: nil
    }
  }
}
