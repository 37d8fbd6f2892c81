import TrestleFormats

/// The tokens of a vocabulary, numbered from 0, and the ids by spelling.
///
/// The spellings lie in one array, the index is a hash table with open addressing: loading fifty thousand tokens
/// takes milliseconds. Its hash is seeded, so that no file's tokens all collide.
package struct Vocabulary: Sendable {
  private var storage: [UInt8] = []
  private var starts: [Int] = [0]
  private var slots: [Int32]
  /// The length in bytes of the longest token.
  private(set) var maximumLength = 0

  package var count: Int { starts.count - 1 }

  /// Indexes the tokens by spelling.
  ///
  /// - Parameter isIndexed: whether an id can be found by its spelling.
  /// - Returns: the vocabulary and the first pair of ids that share a spelling, if any.
  package static func indexed(
    _ tokens: [[UInt8]], where isIndexed: (Int) -> Bool = { _ in true }
  ) -> (vocabulary: Vocabulary, duplicate: (Int, Int)?) {
    var vocabulary = Vocabulary(capacity: tokens.count, bytes: tokens.reduce(0) { $0 + $1.count })
    var duplicate: (Int, Int)?
    for (id, token) in tokens.enumerated() {
      vocabulary.storage.append(contentsOf: token)
      vocabulary.starts.append(vocabulary.storage.count)
      guard isIndexed(id) else { continue }
      vocabulary.maximumLength = max(vocabulary.maximumLength, token.count)
      let slot = vocabulary.slot(of: token, from: 0, to: token.count)
      if vocabulary.slots[slot] >= 0 {
        duplicate = duplicate ?? (Int(vocabulary.slots[slot]), id)
      } else {
        vocabulary.slots[slot] = Int32(id)
      }
    }
    return (vocabulary, duplicate)
  }

  private init(capacity: Int, bytes: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    storage.reserveCapacity(bytes)
    starts.reserveCapacity(capacity + 1)
  }

  /// The spelling of a token inside the vocabulary.
  subscript(id: Int) -> ArraySlice<UInt8> { storage[starts[id]..<starts[id + 1]] }

  /// The spelling of a token as text, `nil` outside the vocabulary.
  func spelling(of id: Int32) -> String? {
    guard id >= 0, id < count else { return nil }
    return String(decoding: self[Int(id)], as: UTF8.self)
  }

  /// The id of `bytes[start..<end]`, `nil` if there is no such token.
  func id(of bytes: [UInt8], from start: Int, to end: Int) -> Int32? {
    let id = slots[slot(of: bytes, from: start, to: end)]
    return id < 0 ? nil : id
  }

  /// The id of a token by its spelling.
  func id(of token: [UInt8]) -> Int32? { id(of: token, from: 0, to: token.count) }

  /// The slot that holds the spelling, or the free one where it would go.
  private func slot(of bytes: [UInt8], from start: Int, to end: Int) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: SeededHash.hash(bytes, from: start, to: end)) & mask
    while slots[slot] >= 0 {
      if isSpelled(Int(slots[slot]), as: bytes, from: start, to: end) { break }
      slot = (slot + 1) & mask
    }
    return slot
  }

  private func isSpelled(_ id: Int, as bytes: [UInt8], from start: Int, to end: Int) -> Bool {
    let offset = starts[id]
    guard starts[id + 1] - offset == end - start else { return false }
    for index in start..<end where storage[offset + index - start] != bytes[index] { return false }
    return true
  }
}

extension Source {
  /// Indexes tokens after checking that ids fit, spellings are UTF-8 and none occurs twice.
  func vocabulary(_ tokens: [[UInt8]]) throws(TextError) -> Vocabulary {
    guard !tokens.isEmpty, tokens.count <= Source.maximumVocabularySize else {
      throw error(
        "vocabulary", expected: "1 to \(Source.maximumVocabularySize) tokens", found: "\(tokens.count)")
    }
    for (id, token) in tokens.enumerated() where token.contains(where: { $0 >= 0x80 }) {
      guard String(validating: token, as: UTF8.self) != nil else {
        throw error("token \(id)", expected: "valid UTF-8", found: String(decoding: token, as: UTF8.self))
      }
    }
    let (vocabulary, duplicate) = Vocabulary.indexed(tokens)
    if let (first, second) = duplicate {
      throw error(
        "token \(second)", expected: "a spelling of its own",
        found: "that of token \(first), “\(String(decoding: tokens[first], as: UTF8.self))”")
    }
    return vocabulary
  }

  /// Checks that ids are in the vocabulary.
  func check(
    _ merges: [TokenMerge], specialTokens: SpecialTokens, vocabularySize: Int
  ) throws(TextError) {
    let range = 0..<Int32(vocabularySize)
    for (index, merge) in merges.enumerated() {
      for id in [merge.left, merge.right, merge.result] where !range.contains(id) {
        throw error("merge \(index)", expected: "ids below \(vocabularySize)", found: "\(id)")
      }
    }
    for (name, id) in specialTokens.ids {
      try check("special token “\(name)”", id, vocabularySize: vocabularySize)
    }
  }

  /// Checks that the id of what is called `name` is in the vocabulary.
  func check(_ name: String, _ id: Int32, vocabularySize: Int) throws(TextError) {
    guard id >= 0, id < vocabularySize else {
      throw error(name, expected: "an id below \(vocabularySize)", found: "\(id)")
    }
  }

  /// More tokens than any model has; bounds what a file can make us allocate.
  static var maximumVocabularySize: Int { 1 << 24 }
}
