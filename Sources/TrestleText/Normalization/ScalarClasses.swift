/// What the pre-tokenisation rules distinguish of a character.
enum ScalarClass: UInt8, Sendable {
  /// General categories L*.
  case letter
  /// General categories N*.
  case number
  /// White space other than line feed and carriage return.
  case space
  /// Line feed and carriage return.
  case newline
  /// The rest: marks, punctuation, symbols, controls, unassigned.
  case other

  /// Classifies by Unicode 16.0, the version of the reference implementations: later additions count as
  /// unassigned, so that a text has the same tokens whatever Unicode version the standard library knows.
  init(_ scalar: Unicode.Scalar) {
    if let age = scalar.properties.age, age.major > 16 {
      self = .other
      return
    }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
    case .decimalNumber, .letterNumber, .otherNumber: self = .number
    default:
      if scalar == "\n" || scalar == "\r" {
        self = .newline
      } else {
        self = scalar.properties.isWhitespace ? .space : .other
      }
    }
  }

  var isWhitespace: Bool { self == .space || self == .newline }
}

/// A scalar of a text: its class and the index of the byte after it.
struct ClassifiedScalar {
  var kind: ScalarClass
  var end: Int
}

/// The class of every scalar: a table for the basic multilingual plane, made once, the standard library beyond.
struct ScalarClasses: Sendable {
  private let table: [ScalarClass]

  static let shared = ScalarClasses()

  private init() {
    table = (0..<0x10000).map { value in
      Unicode.Scalar(UInt32(value)).map(ScalarClass.init) ?? .other
    }
  }

  /// The class of the scalar that begins at `index` of valid UTF-8.
  @inline(__always)
  func scalar(at index: Int, in bytes: [UInt8]) -> ClassifiedScalar {
    let first = bytes[index]
    if first < 0x80 { return ClassifiedScalar(kind: table[Int(first)], end: index + 1) }
    return multibyteScalar(at: index, in: bytes)
  }

  private func multibyteScalar(at index: Int, in bytes: [UInt8]) -> ClassifiedScalar {
    let (value, end) = decodeScalar(at: index, in: bytes)
    if value < 0x10000 { return ClassifiedScalar(kind: table[Int(value)], end: end) }
    return ClassifiedScalar(kind: Unicode.Scalar(value).map(ScalarClass.init) ?? .other, end: end)
  }
}

/// The scalar value at `index` of valid UTF-8 and the index of the byte after it.
@inline(__always)
func decodeScalar(at index: Int, in bytes: [UInt8]) -> (value: UInt32, end: Int) {
  let first = UInt32(bytes[index])
  if first < 0x80 { return (first, index + 1) }
  let second = UInt32(bytes[index + 1] & 0x3F)
  if first < 0xE0 { return ((first & 0x1F) << 6 | second, index + 2) }
  let third = UInt32(bytes[index + 2] & 0x3F)
  if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, index + 3) }
  let fourth = UInt32(bytes[index + 3] & 0x3F)
  return ((first & 0x07) << 18 | second << 12 | third << 6 | fourth, index + 4)
}
