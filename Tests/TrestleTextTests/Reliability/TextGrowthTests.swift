import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

import TrestleText

/// No text and no vocabulary costs more than in proportion to its size.
@Suite(.serialized) struct TextGrowthTests {
  private static let limit = 9.0

  // MARK: Texts

  /// Texts of a size in scalars that are slow where something is quadratic.
  private static let adversaries: [(name: String, make: @Sendable (Int) -> String)] = [
    ("marks of two classes", { "a" + String(repeating: "\u{301}\u{316}", count: $0 / 2) }),
    (
      "marks of many classes",
      { size in
        let marks = ["\u{301}", "\u{316}", "\u{345}", "\u{327}", "\u{334}", "\u{5B0}", "\u{F71}", "\u{F73}"]
        return "a" + (0..<size).map { marks[($0 * 5) % marks.count] }.joined()
      }
    ),
    ("decomposed letters", { String(repeating: "e\u{301}", count: $0 / 2) }),
    ("composed letters", { String(repeating: "\u{1E69}", count: $0) }),
    ("vowel signs", { String(repeating: "\u{9C7}\u{9BE}", count: $0 / 2) }),
    ("marks that stand for others", { "a" + String(repeating: "\u{340}\u{344}", count: $0 / 2) }),
    ("Hangul letters", { String(repeating: "\u{1100}\u{1161}\u{11A8}", count: $0 / 3) }),
    ("Hangul syllables", { String(repeating: "\u{AC01}", count: $0) }),
    ("joined emoji", { String(repeating: "\u{1F468}\u{200D}", count: $0 / 2) }),
    ("regional indicators", { String(repeating: "\u{1F1E6}", count: $0) }),
    ("one long word", { String(repeating: "a", count: $0) }),
    (
      "letters in no order",
      { size in
        var generator = SplitMix64(state: 5)
        return String(
          decoding: (0..<size).map { _ in UInt8(97 + generator.index(below: 26)) }, as: UTF8.self)
      }
    ),
    ("spaces", { String(repeating: " ", count: $0) }),
    ("spaces and line breaks", { String(repeating: " \n", count: $0 / 2) }),
    ("spaces of SentencePiece", { String(repeating: "\u{2581}", count: $0) }),
    ("apostrophes", { String(repeating: "'", count: $0) }),
    ("digits", { String(repeating: "7", count: $0) }),
  ]

  /// Sixteen times the text: 16 in linear time, 256 in quadratic. The symbols of one long word leave the caches on the way,
  /// which has cost up to twice.
  @Test(arguments: [Family.gpt2, .llama3, .qwen2, .llama2, .bert])
  func tokenizersAreLinear(family: Family) throws {
    let tokenizer = try family.tokenizer()
    for (name, make) in Self.adversaries {
      let ratio = try growth(from: 8_000, by: 16, rounds: 2, below: 56, prepare: make) {
        _ = tokenizer.encode($0)
      }
      #expect(ratio < 56, "\(family), \(name): \(ratio)")
    }
  }

  /// Nothing leaves the caches here, so that a small quadratic part shows.
  @Test func normalizationIsLinear() throws {
    for (name, make) in Self.adversaries {
      for form in [CanonicalNormalization.composed, .decomposed] {
        let ratio = try growth(from: 8_000, by: 16, below: 28, prepare: make) { _ = form.normalized($0) }
        #expect(ratio < 28, "\(form), \(name): \(ratio)")
      }
    }
  }

  /// Texts whose every character is changed, moved or composed, in pieces and whole.
  @Test func normalizationInPiecesIsThatOfTheWhole() {
    let scalars: [Unicode.Scalar] = [
      "e", "a", " ", "\u{301}", "\u{316}", "\u{327}", "\u{E9}", "\u{1E69}", "\u{1100}", "\u{1161}",
      "\u{11A8}",
      "\u{AC00}", "\u{AC01}", "\u{9C7}", "\u{9BE}", "\u{9D7}", "\u{CC6}", "\u{CC2}", "\u{CD5}", "\u{DD9}",
      "\u{DCF}",
      "\u{DCA}", "\u{1025}", "\u{102E}", "\u{1B05}", "\u{1B35}", "\u{5D0}", "\u{5B0}", "\u{3042}", "\u{304B}",
      "\u{3099}", "\u{4E00}", "\u{FB1D}", "\u{212B}", "\u{F71}", "\u{F72}", "\u{338}", "=", "\u{2ADC}",
    ]
    var generator = SplitMix64(state: 9)
    for length in [255, 256, 257, 700, 1500] {
      for _ in 0..<20 {
        var view = String.UnicodeScalarView()
        for _ in 0..<length { view.append(scalars[generator.index(below: scalars.count)]) }
        let text = String(view)
        let (composed, decomposed) = (
          CanonicalNormalization.composed.normalized(text), CanonicalNormalization.decomposed.normalized(text)
        )
        #expect(composed.utf8.elementsEqual(text.precomposedStringWithCanonicalMapping.utf8))
        #expect(decomposed.utf8.elementsEqual(text.decomposedStringWithCanonicalMapping.utf8))
      }
    }
  }

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

  // MARK: Files

  /// Vocabularies of a size: tokens that begin alike, and as many merges as tokens.
  private static let vocabularies: [(name: String, tokens: @Sendable (Int) -> [String])] = [
    ("numbered", { size in (0..<size).map { "t\($0)" } }),
    ("of one beginning", { size in (0..<size).map { String(repeating: "a", count: 30) + "\($0)" } }),
    ("of flags", { size in (0..<size).map { String(repeating: "\u{1F1E6}", count: 8) + "\($0)" } }),
    ("of control tokens", { size in (0..<size).map { "<|\($0)|>" } }),
  ]

  @Test func tokenizerFilesAreReadInLinearTime() throws {
    for (name, make) in Self.vocabularies {
      func literals(_ texts: [String]) -> [String] {
        texts.map { "\"" + $0.replacing("\\", with: "\\\\") + "\"" }
      }
      let kinds: [(kind: String, make: (Int) -> String)] = [
        (
          "BPE",
          { size in
            let tokens = make(size)
            let all = tokens + ["!"] + tokens.map { $0 + "!" }
            let vocabulary = literals(all).enumerated().map { "\($1): \($0)" }.joined(separator: ",")
            let merges = literals(tokens.map { $0 + " !" }).joined(separator: ",")
            return #"{"model": {"type": "BPE", "vocab": {\#(vocabulary)}, "merges": [\#(merges)]}}"#
          }
        ),
        (
          "added",
          { size in
            let added = literals(make(size)).enumerated().map {
              #"{"id": \#($0 + 1), "content": \#($1), "special": true}"#
            }
            return
              #"{"added_tokens": [\#(added.joined(separator: ","))], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#
          }
        ),
      ]
      for (kind, text) in kinds {
        let level =
          #""normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"}, "#
        let ratio = try growth(from: 1_000, rounds: 3, below: Self.limit) {
          "{" + level + text($0).dropFirst()
        } run: { json in
          let tokenizer = try PretrainedTokenizer(json: JSONValue(parsing: json)).tokenizer
          _ = tokenizer.encode("t1")
        }
        #expect(ratio < Self.limit, "\(kind), tokens \(name): \(ratio)")
      }
    }
  }

  /// The second look, at larger sizes, finds what is quadratic as the first one does.
  @Test func quadraticTimeIsFound() throws {
    var sink = 0
    func pairs(_ count: Int) {
      for i in 0..<count { for j in 0..<count { sink = sink &* 31 &+ (i ^ j) } }
    }
    let quadratic = try growth(from: 400, rounds: 3, below: Self.limit) {
      $0
    } run: {
      pairs($0)
    }
    let linear = try growth(from: 400, rounds: 3, below: Self.limit) {
      $0
    } run: { count in
      for _ in 0..<400 { pairs(20) }
      for _ in 400..<max(count, 400) { pairs(20) }
    }
    #expect(quadratic > Self.limit && linear < Self.limit, "\(quadratic), \(linear), \(sink)")
  }

  @Test(arguments: ["llama", "gpt2", "bert"]) func ggufTokenizersAreReadInLinearTime(model: String) throws {
    for (name, make) in Self.vocabularies {
      for types in [false, true] {
        let ratio = try growth(from: 1_000, rounds: 3, below: Self.limit) { size in
          let tokens = make(size)
          let bytes = (0..<256).map { String(format: "<0x%02X>", $0) }
          let all = ["[UNK]", "!"] + tokens + tokens.map { $0 + "!" } + (model == "llama" ? bytes : [])
          var builder = GGUFTokenizerTests.Builder()
          builder.set("tokenizer.ggml.model", model)
          builder.set("tokenizer.ggml.tokens", all)
          builder.set("tokenizer.ggml.unknown_token_id", UInt32(0))
          if model == "llama" { builder.set("tokenizer.ggml.scores", all.map { Float($0.utf8.count) }) }
          if model == "gpt2" { builder.set("tokenizer.ggml.merges", tokens.map { $0 + " !" }) }
          if types {
            builder.set(
              "tokenizer.ggml.token_type",
              all.indices.map { all[$0].hasPrefix("<0x") ? 6 : Int32($0 % 2 == 0 ? 1 : 3) })
          }
          return builder
        } run: { builder in
          _ = try builder.withFile { try PretrainedTokenizer(gguf: $0).tokenizer }.encode("t1")
        }
        #expect(ratio < Self.limit, "\(model), tokens \(name), types \(types): \(ratio)")
      }
    }
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
