/// A name as a dictionary's key, hashed and compared by its UTF-8 bytes.
///
/// `String`'s own equality is canonical equivalence: it puts combining marks in order first, in quadratic time, which a
/// file's names may exploit, and it takes two different names of a file for one.
public struct ByteKey: Hashable, Sendable, ExpressibleByStringLiteral {
  /// The name.
  public let text: String

  /// The key of a name.
  public init(_ text: String) { self.text = text }

  /// The key of a literal.
  public init(stringLiteral value: String) { text = value }

  /// Whether both names have the same bytes.
  public static func == (left: ByteKey, right: ByteKey) -> Bool { left.text.hasSameBytes(as: right.text) }

  /// Feeds the name's bytes.
  public func hash(into hasher: inout Hasher) {
    let isHashed: Void? = text.utf8.withContiguousStorageIfAvailable {
      hasher.combine(bytes: UnsafeRawBufferPointer($0))
    }
    if isHashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
    hasher.combine(UInt8.max)
  }
}

extension Dictionary where Key == ByteKey {
  /// The value of a name.
  public subscript(name: String) -> Value? {
    get { self[ByteKey(name)] }
    set { self[ByteKey(name)] = newValue }
  }
}

extension String {
  /// Whether both texts have the same UTF-8 bytes: in linear time, where `==` may take quadratic.
  package func hasSameBytes(as other: String) -> Bool {
    utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }
}
