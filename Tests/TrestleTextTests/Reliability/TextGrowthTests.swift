import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

import TrestleText

/// No vocabulary and no long word of WordPiece costs more than in proportion to its size.
@Suite(.serialized) struct TextGrowthTests {
  private static let limit = 9.0

  @Test func normalizationOfLongRunsIsExact() {
    // Short runs of Foundation's are the reference: a long run is put together from them, mark by mark.
    let marks: [Unicode.Scalar] = [
      "\u{301}", "\u{316}", "\u{345}", "\u{327}", "\u{334}", "\u{5B0}", "\u{344}", "\u{F71}",
    ]
    var generator = SplitMix64(state: 3)
    for length in [17, 40, 100] {
      var text = "a"
      for _ in 0..<length { text.unicodeScalars.append(marks[generator.index(below: marks.count)]) }
      for form in [CanonicalNormalization.decomposed, .composed] {
        // Foundation does not order U+0344 among its neighbours unless its two marks are given apart.
        var reference = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
          if scalar == "\u{344}" {
            reference.append("\u{308}")
            reference.append("\u{301}")
          } else {
            reference.append(scalar)
          }
        }
        let expected =
          form == .decomposed
          ? String(reference).decomposedStringWithCanonicalMapping
          : String(reference).precomposedStringWithCanonicalMapping
        #expect(form.normalized(text).utf8.elementsEqual(expected.utf8), "\(length)")
      }
    }
  }

  // MARK: Vocabularies

  /// Tokens whose 64-bit FNV-1a hashes all have the same low bits: what an unseeded table is slow with.
  private func colliding(_ count: Int) -> [[UInt8]] {
    var tokens: [[UInt8]] = []
    var value: UInt64 = 0
    while tokens.count < count {
      value += 1
      let token = Array("t\(String(value, radix: 36))".utf8)
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in token { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
      let slot = ((hash ^ hash >> 29) &* 0x9E37_79B9_7F4A_7C15) >> 20
      if slot & 0x3F == 0 { tokens.append(token) }
    }
    return tokens
  }

  @Test func noVocabularyCollides() throws {
    let ratio = try growth(from: 3_000, rounds: 3, prepare: colliding) { tokens in
      #expect(Vocabulary.indexed(tokens).vocabulary.count == tokens.count)
    }
    #expect(ratio < Self.limit, "\(ratio)")
  }

  @Test func noMergesCollide() throws {
    // Pairs whose products with the golden ratio share their upper bits.
    func pairs(_ count: Int) -> [TokenMerge] {
      var merges: [TokenMerge] = []
      var value: UInt64 = 0
      while merges.count < count {
        value += 1
        let key = (value % 4096) << 32 | value
        if (key &* 0x9E37_79B9_7F4A_7C15) >> 58 == 0 {
          merges.append(TokenMerge(left: Int32(value % 4096), right: Int32(value), result: 1))
        }
      }
      return merges
    }
    let ratio = try growth(from: 4_000, rounds: 3, prepare: pairs) { merges in
      let table = MergeTable(merges, ranks: merges.indices.map { UInt32($0) })
      for merge in merges { #expect(table.merge(merge.left, merge.right) != MergeTable.absent) }
    }
    #expect(ratio < Self.limit, "\(ratio)")
  }

  // MARK: WordPiece

  private func wordPiece(_ size: Int, tokens: [String]) throws -> (WordPieceTokenizer, String) {
    let tokenizer = try WordPieceTokenizer(
      vocabulary: (["[UNK]"] + tokens).map { Array($0.utf8) }, specialTokens: SpecialTokens(ids: [:]),
      configuration: .init(unknownToken: 0, normalizer: nil, maximumWordLength: 1 << 20))
    return (tokenizer, String(repeating: "a", count: size))
  }

  @Test func wordPieceIsLinearInTheWord() throws {
    // Every beginning of the long token that is no token makes a search from each place go far for nothing.
    let ratio = try growth(from: 4_000) { size in
      try wordPiece(size, tokens: ["a", "##a", "##" + String(repeating: "a", count: size / 2) + "b"])
    } run: { tokenizer, word in
      #expect(tokenizer.encode(word).count == word.utf8.count)
    }
    #expect(ratio < Self.limit, "\(ratio)")
  }

  @Test func longestTokensAreThoseOfASearch() {
    var generator = SplitMix64(state: 11)
    for _ in 0..<200 {
      let tokens = (0..<generator.index(below: 12) + 1).map { _ in
        (0..<generator.index(below: 5) + 1).map { _ in UInt8(97 + generator.index(below: 2)) }
      }
      let word = (0..<30).map { _ in UInt8(97 + generator.index(below: 3)) }
      let automaton = TokenAutomaton(tokens) { _ in true }
      var found: [(id: Int32, length: Int32)] = []
      automaton.longestTokens(in: word, from: 3, to: 28, &found)
      for place in 3..<28 {
        let best = tokens.indices.filter { word[place..<28].starts(with: tokens[$0]) }
          .max { (tokens[$0].count, $1) < (tokens[$1].count, $0) }
        #expect(found[place - 3].id == best.map { Int32($0) } ?? -1)
        #expect(Int(found[place - 3].length) == best.map { tokens[$0].count } ?? 0)
      }
    }
  }
}
