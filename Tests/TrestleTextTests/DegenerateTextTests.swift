import Testing
import TrestleTestSupport
import TrestleText

/// Texts that make careless tokenizers quadratic: half a million characters without a border, and the like. Were any of
/// these quadratic, the test would take hours.
struct DegenerateTextTests {
  static let length = 1 << 19

  static let texts: [(name: String, text: String)] = [
    ("one letter", String(repeating: "a", count: length)),
    ("a word", String(repeating: "recommendation", count: length / 14)),
    ("spaces", String(repeating: " ", count: length)),
    ("spaces and a letter", String(repeating: " ", count: length) + "a"),
    ("line breaks", String(repeating: "\n", count: length)),
    ("white space of all kinds", String(repeating: " \t\u{A0}\u{3000}", count: length / 4) + "1"),
    ("apostrophes", String(repeating: "'", count: length)),
    ("digits", String(repeating: "7", count: length)),
    ("symbols", String(repeating: "!?", count: length / 2)),
    ("combining marks", "a" + String(repeating: "\u{301}", count: length / 8)),
    ("Chinese", String(repeating: "\u{4E00}\u{6865}", count: length / 8)),
    ("emoji", String(repeating: "\u{1F600}\u{200D}", count: length / 8)),
    ("U+2581", String(repeating: "\u{2581}", count: length / 4)),
  ]

  @Test(arguments: Family.available)
  func halfAMillionCharactersTakeNoLongerThanTheyShould(family: Family) throws {
    let tokenizer = try family.tokenizer()
    for (name, text) in Self.texts {
      let ids = tokenizer.encode(text)
      #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize }, "\(name)")
      if family != .bert && family != .minilm {
        let decoded = tokenizer.decode(ids)
        // U+2581 is SentencePiece's space.
        let expected =
          family == .llama2 || family == .gemma3 ? text.replacing("\u{2581}", with: " ") : text
        // Qwen2 composes; Metaspace takes a space that is there for the one it would add.
        if ![.qwen2, .qwen25, .llama2Metaspace].contains(family) {
          #expect(decoded.utf8.count == expected.utf8.count, "\(name)")
        }
      }
    }
  }

  @Test func wordsBeyondTheLimitAreUnknown() throws {
    let tokenizer = try Family.bert.tokenizer()
    let unknown = try #require(tokenizer.specialTokens.unknown)
    #expect(tokenizer.encode(String(repeating: "a", count: 101)) == [unknown])
    #expect(tokenizer.encode(String(repeating: "a", count: 100)) != [unknown])
  }

  @Test func heapAndScanAgreeOnRandomWords() throws {
    // The same word alone (past the scan's limit: by the heap) and as the end of a longer one's halves would not be
    // comparable; a tokenizer whose merges never cross a border letter is: pieces are words of their own.
    let tokenizer = try Family.gpt2.tokenizer()
    var random = SplitMix64(state: 5)
    for _ in 0..<200 {
      let pieces = (0..<12).map { _ in
        String(
          (0..<1 + random.index(below: 30)).map { _ in "etaoinshr".randomElement(using: &random) ?? "e" })
      }
      // No merge of the vocabulary has this letter, so it separates without ending the word.
      let border = "\u{1E9E}"
      let whole = tokenizer.encode(pieces.joined(separator: border))
      let apart = pieces.enumerated().flatMap { index, piece in
        (index == 0 ? [] : tokenizer.encode(border)) + tokenizer.encode(piece)
      }
      #expect(whole == apart)
    }
  }
}
