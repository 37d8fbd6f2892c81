/// The spelling of bytes in byte-level vocabularies: printable characters for themselves, the others as the
/// characters from U+0100 on, so that a space is `Ġ` and a line feed `Ċ`.
package enum ByteAlphabet {
  /// The scalar value that spells each byte.
  static let scalars: [UInt32] = {
    var scalars: [UInt32] = []
    var next: UInt32 = 256
    for byte in UInt32(0)..<256 {
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: scalars.append(byte)
      default:
        scalars.append(next)
        next += 1
      }
    }
    return scalars
  }()

  /// The byte that each scalar value below 324 spells.
  private static let bytes: [UInt32: UInt8] = Dictionary(
    uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

  private static let byteTable: [Int16] = (0..<324).map { scalar in
    bytes[UInt32(scalar)].map { Int16($0) } ?? -1
  }

  /// Appends the bytes that a token of valid UTF-8 spells; `false` (and nothing appended) if a character of it
  /// spells none, as in added tokens that are not written in this alphabet.
  static func append(token: [UInt8], to result: inout [UInt8]) -> Bool {
    let table = byteTable
    let start = result.count
    var index = 0
    while index < token.count {
      let (value, end) = decodeScalar(at: index, in: token)
      guard value < table.count, table[Int(value)] >= 0 else {
        result.removeLast(result.count - start)
        return false
      }
      result.append(UInt8(table[Int(value)]))
      index = end
    }
    return true
  }

  /// Whether a token is the symbol of one byte, which text needs.
  static func isSymbol(_ token: [UInt8]) -> Bool {
    var bytes: [UInt8] = []
    return token.count <= 2 && append(token: token, to: &bytes) && bytes.count == 1
  }

  /// The UTF-8 spelling of a byte.
  package static func spelling(of byte: UInt8) -> [UInt8] {
    Array(String(Unicode.Scalar(scalars[Int(byte)]).map(Character.init) ?? " ").utf8)
  }
}
