import Foundation

/// The canonical normalization forms as the reference implementations compute them, by Unicode 9.0: characters of
/// later versions stay as they are, and nothing is reordered or composed across them.
enum CanonicalNormalization {
  case composed
  case decomposed

  /// The normalized text.
  func normalized(_ text: String) -> String {
    // Below U+0300 (whose first byte is 0xCC) nothing combines; composed text stays composed.
    let firstCombining: UInt8 = self == .composed ? 0xCC : 0xC3
    guard text.utf8.contains(where: { $0 >= firstCombining }) else { return text }
    guard text.unicodeScalars.contains(where: Self.isLater) else { return transformed(text) }
    var result = String.UnicodeScalarView()
    var piece = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if Self.isLater(scalar) {
        result.append(contentsOf: transformed(String(piece)).unicodeScalars)
        piece.removeAll(keepingCapacity: true)
        result.append(scalar)
      } else {
        piece.append(scalar)
      }
    }
    result.append(contentsOf: transformed(String(piece)).unicodeScalars)
    return String(result)
  }

  private func transformed(_ text: String) -> String {
    switch self {
    case .composed: text.precomposedStringWithCanonicalMapping
    case .decomposed: text.decomposedStringWithCanonicalMapping
    }
  }

  private static func isLater(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x300, let age = scalar.properties.age else { return false }
    return age.major > 9
  }
}
