import Testing
import TrestleTestSupport
import TrestleText

/// What byte-level tokenizers promise for any text.
struct ByteLevelTests {
  /// The byte alphabet and a few merges, for cases small enough to follow by hand.
  private func small(
    _ rule: PreTokenization, tokens: [String] = [], merges: [(String, String)] = [], wholeWords: Bool = false,
    special: [String] = []
  ) throws -> ByteLevelTokenizer {
    var vocabulary = (0...255).map { value -> String in
      let printable = [0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF].contains { $0.contains(value) }
      if printable { return String(Unicode.Scalar(UInt8(value))) }
      let before = (0..<value).filter { other in
        ![0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF].contains { $0.contains(other) }
      }
      return String(Unicode.Scalar(UInt32(256 + before.count)) ?? "?")
    }
    vocabulary += merges.map { $0.0 + $0.1 } + tokens + special
    let id = { (token: String) in Int32(vocabulary.firstIndex(of: token) ?? -1) }
    return try ByteLevelTokenizer(
      vocabulary: vocabulary.map { Array($0.utf8) },
      merges: merges.map { TokenMerge(left: id($0.0), right: id($0.1), result: id($0.0 + $0.1)) },
      specialTokens: SpecialTokens(ids: Dictionary(uniqueKeysWithValues: special.map { ($0, id($0)) })),
      configuration: .init(preTokenization: rule, prefersWholeWords: wholeWords))
  }

  private func words(_ tokenizer: some Tokenizer, _ text: String) -> [String] {
    tokenizer.encode(text).map { tokenizer.token(for: $0) ?? "?" }
  }

  /// Qwen2 composes characters, so its texts come back composed; SmolLM2's vocabulary lacks six control characters
  /// and planes without characters, which are lost as they are in the reference. All else comes back as it was.
  @Test(arguments: Family.byteLevel)
  func decodingWhatWasEncodedGivesTheTextBack(family: Family) throws {
    let tokenizer = try family.tokenizer()
    let lost = { (scalar: Unicode.Scalar) -> Bool in
      guard family == .smollm2 else { return false }
      return [0x04, 0x06, 0x13, 0x14, 0x16, 0x1D].contains(scalar.value)
        || (0x40000..<0xC0000).contains(scalar.value)
    }
    var random = SplitMix64(state: 7)
    for round in 0..<4000 {
      var text = String.UnicodeScalarView()
      if round.isMultiple(of: 2) {
        let bytes = (0..<random.index(below: 60)).map { _ in UInt8.random(in: 0...255, using: &random) }
        text = String(decoding: bytes, as: UTF8.self).unicodeScalars
      } else {
        for _ in 0..<random.index(below: 12) {
          text.append(Unicode.Scalar(UInt32(random.index(below: 0x110000))) ?? "\u{FFFD}")
        }
      }
      let kept = String(String.UnicodeScalarView(text.filter { !lost($0) }))
      let first = tokenizer.decode(tokenizer.encode(family == .smollm2 ? kept : String(text)))
      if family == .qwen2 || family == .qwen25 {
        #expect(first == kept, "canonically equivalent")
        #expect(scalars(tokenizer.decode(tokenizer.encode(first))) == scalars(first))
      } else {
        #expect(scalars(first) == scalars(kept))
      }
    }
  }

  @Test func earlierMergesGoFirstAndTiesGoLeft() throws {
    let tokenizer = try small(.gpt2, merges: [("b", "c"), ("a", "b"), ("bc", "d"), ("a", "a")])
    #expect(words(tokenizer, "abcd") == ["a", "bcd"])
    #expect(words(tokenizer, "abab") == ["ab", "ab"])
    #expect(words(tokenizer, "aaa") == ["aa", "a"])
  }

  @Test func longWordsMergeAsShortOnesDo() throws {
    // Past the length where the search changes: the same pieces, over and over.
    let tokenizer = try small(.gpt2, merges: [("b", "c"), ("a", "b"), ("bc", "d"), ("a", "a")])
    let unit = "abcdaaabab"
    let pieces = ["a", "bcd", "aa", "ab", "ab"]
    for count in [1, 3, 5, 10, 1000] {
      let expected = (0..<count).flatMap { _ in pieces }
      #expect(words(tokenizer, String(repeating: unit, count: count)) == expected)
    }
  }

  @Test func wholeWordsWinOverMergesWhereTheFamilySaysSo() throws {
    let merges = [("a", "b")]
    #expect(words(try small(.llama3, tokens: ["abc"], merges: merges, wholeWords: true), "abc") == ["abc"])
    #expect(words(try small(.llama3, tokens: ["abc"], merges: merges), "abc") == ["ab", "c"])
    let hostile = try small(.llama3, wholeWords: true, special: ["abc"])
    #expect(words(hostile, "abc") == ["a", "b", "c"])
  }

  @Test func mergesThatMakeASpecialTokenAreLeftOut() throws {
    var merges = [("a", "b")]
    merges.append(("ab", "c"))
    let tokens = Array(
      (0...255).map { UInt8($0) }.filter { (0x61...0x63).contains($0) }.map { [$0] }
        + [Array("ab".utf8), Array("abc".utf8)])
    let tokenizer = try ByteLevelTokenizer(
      vocabulary: tokens,
      merges: [TokenMerge(left: 0, right: 1, result: 3), TokenMerge(left: 3, right: 2, result: 4)],
      specialTokens: SpecialTokens(ids: ["abc": 4]), configuration: .init(preTokenization: .gpt2))
    #expect(tokenizer.encode("abc") == [3, 2])
  }

  @Test func wordsSplitAsEachFamilySaysItShould() throws {
    // One merge per neighbouring pair of letters, so that tokens show the words' borders.
    func split(_ rule: PreTokenization, _ text: String) throws -> [String] {
      let tokenizer = try small(rule)
      // Words are told apart by what a whole-word vocabulary finds.
      let candidates = Set(
        (0..<text.unicodeScalars.count).flatMap { start in
          (start..<text.unicodeScalars.count).map { end in
            let scalars = Array(text.unicodeScalars)[start...end]
            return tokenizer.encode(String(String.UnicodeScalarView(scalars))).map {
              tokenizer.token(for: $0) ?? ""
            }
            .joined()
          }
        }
      ).filter { $0.count > 1 }
      let whole = try small(rule, tokens: candidates.sorted(), wholeWords: true)
      return whole.encode(text).map { whole.decode([$0]) }
    }
    #expect(try split(.gpt2, "I'll 12  ab!?") == ["I", "'ll", " 12", " ", " ab", "!?"])
    #expect(try split(.smolLM, "ab  12 c") == ["ab", "  ", "1", "2", " c"])
    #expect(try split(.llama3, "1234!ab\n\n c") == ["123", "4", "!ab", "\n\n", " c"])
    #expect(try split(.qwen2, "12I'M  !\n") == ["1", "2", "I", "'M", " ", " !\n"])
    #expect(try split(.llama3, "  \n  x") == ["  \n", " ", " x"])
  }

  @Test func streamingHoldsBackUnfinishedCharacters() throws {
    let tokenizer = try small(.gpt2)
    var decoder = tokenizer.streamingDecoder()
    let pieces = tokenizer.encode("é😀!").map { decoder.append($0) }
    #expect(pieces == ["", "é", "", "", "", "😀", "!"])
    #expect(decoder.finish() == "")
    #expect(decoder.append(tokenizer.encode("é")[0]) == "")
    #expect(decoder.finish() == "\u{FFFD}")
    // A byte that cannot continue the character is not waited for.
    #expect(decoder.append(Int32(0xE0)) == "")
    #expect(decoder.append(Int32(0x41)) == "\u{FFFD}A")
  }

  @Test func compositionKeepsToTheStandard() throws {
    let tokenizer = try Family.qwen2.tokenizer()
    let composed = { (text: String) in scalars(tokenizer.decode(tokenizer.encode(text))) }
    #expect(composed("e\u{301}A\u{30A}\u{212B}") == "e9 c5 c5")
    // Beyond the basic plane nothing composes with its marks, whatever the low bits say.
    #expect(composed("\u{10041}\u{300}") == "10041 300")
    #expect(composed("\u{60074}\u{331}t\u{331}") == "60074 331 1e6f")
    #expect(composed("\u{11099}\u{110BA}") == "1109a")
    #expect(composed("\u{1D15E}\u{2F800}") == "1d157 1d165 4e3d")
    // Marks that decompose into marks are ordered among their neighbours.
    #expect(composed("\u{F73}\u{F73}") == "f71 f71 f72 f72")
    // A mark of Unicode 14 is not reordered, as it was unassigned for the reference.
    #expect(composed("a\u{301}\u{1ADD}\u{323}") == "e1 1add 323")
  }

  @Test func callsOnSeveralThreadsAgree() async throws {
    let tokenizer = try Family.gpt2.tokenizer()
    let texts = randomStrings(seed: 3, count: 400)
    let expected = texts.map { tokenizer.encode($0) }
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 { group.addTask { texts.map { tokenizer.encode($0) } == expected } }
      for await isEqual in group { #expect(isEqual) }
    }
  }
}
