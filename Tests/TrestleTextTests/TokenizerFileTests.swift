import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport
import TrestleText

/// A `tokenizer.json` loads as what it says, or throws an error that says where it is wrong.
struct TokenizerFileTests {
  /// A small file of each kind, for hand-made faults.
  static let bytePair = """
    {"version":"1.0","truncation":null,"padding":null,
    "added_tokens":[{"id":5,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
    "normalizer":null,
    "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
    "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}},
    "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
    "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,
    "vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4},"merges":["a b","ab c"]}}
    """
  static let wordPiece = """
    {"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
    "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
    "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":null,
    "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
    "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":4,
    "vocab":{"[UNK]":0,"a":1,"##b":2,"ab":3}}}
    """
  static let sentencePiece = """
    {"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
    "pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},"post_processor":null,
    "decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},
    "model":{"type":"BPE","dropout":null,"unk_token":"?","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":false,
    "vocab":{"?":0,"▁":1,"a":2,"b":3,"▁a":4},"merges":[["▁","a"]]}}
    """

  static func load(_ text: String) throws -> any Tokenizer {
    try PretrainedTokenizer(json: JSONValue(parsing: text, source: "tokenizer.json")).tokenizer
  }

  @Test func smallFilesLoad() throws {
    let bytePair = try Self.load(Self.bytePair)
    #expect(bytePair.encode("abcab<s>") == [4, 3])
    #expect(bytePair.encodeSequence("ab") == [5, 3])
    #expect(bytePair.vocabularySize == 6)
    let wordPiece = try Self.load(Self.wordPiece)
    #expect(wordPiece.encode("AB abb ba abbbb Äb") == [3, 3, 2, 0, 0, 3])
    #expect(wordPiece.decode([1, 2, 3]) == "ab ab")
    let sentencePiece = try Self.load(Self.sentencePiece)
    #expect(sentencePiece.encode("ab zz b") == [4, 3, 1, 0, 1, 3])
    #expect(sentencePiece.encode("a", at: .afterControl) == [2])
    #expect(sentencePiece.encode(" a") == [4])
    #expect(sentencePiece.decode([4, 3, 4]) == "ab a")
  }

  /// Gemma's files split at the spaces that their normalizer has replaced before.
  @Test func aSplitAtReplacedSpacesDoesNothing() throws {
    let split =
      #"{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}"#
    let unescape =
      #""decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},"#
      + #"{"type":"ByteFallback"},{"type":"Fuse"}]}"#
    let metaspace = #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"#
    let file = Self.sentencePiece
      .replacing(#""decoder":"# + metaspace, with: unescape)
      .replacing(#""pre_tokenizer":"# + metaspace, with: #""pre_tokenizer":"# + split)
    let escape = #""normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"}"#
    let escaping = file.replacing(#""normalizer":null"#, with: escape)
    let tokenizer = try Self.load(escaping)
    #expect(tokenizer.encode("ab zz ab") == [2, 3, 1, 0, 4, 3])
    #expect(tokenizer.decode([2, 3, 4]) == "ab a")
    for wrong in [file, escaping.replacing(#""invert":false"#, with: #""invert":true"#)] {
      #expect(throws: TextError.self) { try Self.load(wrong) }
    }
  }

  /// Each fault: the file, what to replace, by what, and a word of the place that the error must name.
  static let faults: [(base: String, of: String, by: String, place: String)] = [
    (bytePair, "\"BPE\"", "\"Unigram\"", "model.type"),
    (bytePair, "\"version\":\"1.0\"", "\"version\":\"1.0\",\"surprise\":1", "root"),
    (bytePair, "\"dropout\":null", "\"dropout\":0.1", "model.dropout"),
    (bytePair, "\"dropout\":null", "\"surprise\":null", "model"),
    (bytePair, "\"dropout\":null", "\"dropout\":\"x\"", "model.dropout"),
    (bytePair, "\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix"),
    (
      bytePair, "\"continuing_subword_prefix\":null", "\"continuing_subword_prefix\":\"##\"",
      "continuing_subword_prefix"
    ),
    (bytePair, "\"unk_token\":null", "\"unk_token\":\"none\"", "model.unk_token"),
    (bytePair, "\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback"),
    (bytePair, "\"byte_fallback\":false", "\"byte_fallback\":0", "byte_fallback"),
    (bytePair, "\"abc\":4", "\"abc\":6", "abc"),
    (bytePair, "\"abc\":4", "\"abc\":3", "abc"),
    (bytePair, "\"abc\":4", "\"abc\":-1", "vocab"),
    (bytePair, "\"abc\":4", "\"abc\":4294967296", "vocab"),
    (bytePair, "\"abc\":4", "\"abc\":4.5", "vocab"),
    (bytePair, "\"vocab\":{", "\"vocab\":[],\"x\":{", "model"),
    (bytePair, "\"a b\"", "\"a d\"", "model.merges[0]"),
    (bytePair, "\"ab c\"", "\"b c\"", "model.merges[1]"),
    (bytePair, "\"ab c\"", "\"abc\"", "model.merges[1]"),
    (bytePair, "\"ab c\"", "\"ab  c\"", "model.merges[1]"),
    (bytePair, "\"ab c\"", "[\"ab\"]", "model.merges[1]"),
    (bytePair, "\"ab c\"", "7", "merges[1]"),
    (bytePair, "\"id\":5", "\"id\":7", "<s>"),
    (bytePair, "\"content\":\"<s>\"", "\"content\":\"a\"", "added_tokens[0].id"),
    (bytePair, "\"content\":\"<s>\"", "\"content\":\"\"", "added_tokens[0].content"),
    (bytePair, "\"single_word\":false", "\"surprise\":false", "added_tokens[0]"),
    (bytePair, "\"normalizer\":null", "\"normalizer\":{\"type\":\"NFKC\"}", "normalizer"),
    (
      bytePair, "\"normalizer\":null", "\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"▁\"}", "normalizer"
    ),
    (
      bytePair, "\"normalizer\":null",
      "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}",
      "normalizer.normalizers[0]"
    ),
    (bytePair, "\"normalizer\":null", "\"normalizer\":{}", "normalizer"),
    (bytePair, "\"add_prefix_space\":false", "\"add_prefix_space\":true", "pre_tokenizer"),
    (bytePair, "\"use_regex\":true},\n\"post", "\"use_regex\":false},\n\"post", "pre_tokenizer"),
    (
      bytePair, "\"pre_tokenizer\":{\"type\":\"ByteLevel\"", "\"pre_tokenizer\":{\"type\":\"Whitespace\"",
      "pre_tokenizer"
    ),
    (
      bytePair, "\"pre_tokenizer\":{",
      "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\d+\"},\"behavior\":\"Isolated\",\"invert\":false},\"x\":{",
      "root"
    ),
    (bytePair, "\"decoder\":{\"type\":\"ByteLevel\"", "\"decoder\":{\"type\":\"CTC\"", "decoder"),
    (bytePair, "\"decoder\":{", "\"decoder\":null,\"padding_\":{", "root"),
    (bytePair, "\"SpecialToken\":{\"id\":\"<s>\"", "\"SpecialToken\":{\"id\":\"<x>\"", "post_processor"),
    (bytePair, "\"Sequence\":{\"id\":\"A\"", "\"Sequence\":{\"id\":\"B\"", "post_processor.single[1]"),
    (bytePair, "TemplateProcessing", "RobertaProcessing", "post_processor"),
    (wordPiece, "\"unk_token\":\"[UNK]\"", "\"unk_token\":\"[X]\"", "model.unk_token"),
    (
      wordPiece, "\"max_input_chars_per_word\":4", "\"max_input_chars_per_word\":0",
      "max_input_chars_per_word"
    ),
    (wordPiece, "\"prefix\":\"##\"", "\"prefix\":\"@@\"", "decoder"),
    (wordPiece, "BertPreTokenizer", "WhitespaceSplit", "pre_tokenizer"),
    (wordPiece, "\"lowercase\":true", "\"lowercase\":true,\"surprise\":1", "normalizer"),
    (sentencePiece, "\"replacement\":\"▁\"", "\"replacement\":\"_\"", "replacement"),
    (sentencePiece, "\"prepend_scheme\":\"first\"", "\"prepend_scheme\":\"last\"", "prepend_scheme"),
    (sentencePiece, "\"byte_fallback\":false", "\"byte_fallback\":true", "vocabulary"),
    (
      sentencePiece, "\"byte_fallback\":false", "\"byte_fallback\":false,\"ignore_merges\":true",
      "ignore_merges"
    ),
    (
      sentencePiece, "\"decoder\":{\"type\":\"Metaspace\"", "\"decoder\":{\"type\":\"ByteFallback\"",
      "decoder"
    ),
  ]

  @Test func everyFaultIsAnErrorThatNamesItsPlace() {
    for fault in Self.faults {
      #expect(fault.base.contains(fault.of), "\(fault.of)")
      var text = fault.base
      if let range = text.range(of: fault.of) { text.replaceSubrange(range, with: fault.by) }
      do {
        _ = try Self.load(text)
        Issue.record("\(fault.by) loads")
      } catch TextError.invalid(let path, let place, let expected, let found) {
        #expect(path == "tokenizer.json" && !expected.isEmpty && !found.isEmpty)
        #expect(place.contains(fault.place), "\(fault.by): \(place)")
      } catch {
        Issue.record("\(fault.by): \(error)")
      }
    }
  }

  @Test func unknownSplitsAreNamed() throws {
    let split = """
      "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\\\d+"},"behavior":"Isolated","invert":false},
      """
    let text = Self.bytePair.replacingOccurrences(of: "\"pre_tokenizer\":", with: split)
      .replacingOccurrences(of: "\"use_regex\":true},\n\"post", with: "\"use_regex\":false}]},\n\"post")
    let error = #expect(throws: TextError.self) { try Self.load(text) }
    guard case .invalid(_, let place, _, let found)? = error else { return }
    #expect(place == "pre_tokenizer.pretokenizers[0].pattern.Regex" && found == "\\d+")
  }

  /// Seeded mutations of whole files: each loads or throws, and what loads encodes without trapping.
  @Test(arguments: [Family.gpt2, .llama2, .bert, .llama3])
  func mutatedFilesLoadOrThrow(family: Family) throws {
    let original = try Array(Data(contentsOf: try #require(family.url)))
    // The components make up little of a file that is mostly vocabulary: half of the mutations go there.
    let modelStart = try #require(String(decoding: original, as: UTF8.self).range(of: "\"model\""))
    let head = String(decoding: original, as: UTF8.self)[..<modelStart.lowerBound].utf8.count
    let words = [
      "null", "true", "-1", "1e9", "\"\"", "[]", "{}", "99999999999", "\"type\"", "0", ",", "\u{0}",
    ]
    var random = SplitMix64(state: 99)
    var loaded = 0
    for round in 0..<750 {
      var bytes = original
      for _ in 0...random.index(below: 2) {
        let limit = round.isMultiple(of: 2) ? min(head + 400, bytes.count) : bytes.count
        let place = random.index(below: max(limit, 1))
        switch random.index(below: 5) {
        case 0 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1 where place < bytes.count: bytes[place] ^= 1 << UInt8(random.index(below: 8))
        case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.index(below: 20)))
        case 3:
          bytes.insert(
            contentsOf: Array(words[random.index(below: words.count)].utf8), at: min(place, bytes.count))
        default:
          let length = min(1 + random.index(below: 40), bytes.count - min(place, bytes.count))
          let from = random.index(below: max(bytes.count - length, 1))
          bytes.replaceSubrange(place..<place + length, with: bytes[from..<from + length])
        }
      }
      do {
        let json = try bytes.withUnsafeBytes { try JSONValue(parsing: $0, source: "mutated") }
        let tokenizer = try PretrainedTokenizer(json: json, path: "mutated").tokenizer
        loaded += 1
        let ids = tokenizer.encode("The bridge's 12 caf\u{E9}s \u{4E00} <s>")
        #expect(ids.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
        _ = tokenizer.decode(ids)
      } catch let error as TextError {
        #expect(!error.description.isEmpty)
      } catch let error as FormatError {
        #expect(error.details.path == "mutated")
      }
    }
    #expect(loaded < 750)
  }

  @Test func missingFilesAreErrorsThatNameThem() {
    let url = URL(filePath: "/nowhere/tokenizer.json")
    let error = #expect(throws: TextError.self) { try PretrainedTokenizer(contentsOf: url) }
    #expect(error?.description.contains("/nowhere/tokenizer.json") == true)
  }

  @Test(.enabled(if: TestAssets.miniLM != nil))
  func foldersNameTheRolesOfTokens() throws {
    let tokenizer = try PretrainedTokenizer(folder: try #require(TestAssets.miniLM)).tokenizer
    #expect(tokenizer.specialTokens.padding == 0)
    #expect(tokenizer.specialTokens.unknown == 100)
    #expect(tokenizer.specialTokens.sequencePrefix == [101])
    #expect(tokenizer.specialTokens.sequenceSuffix == [102])
    #expect(tokenizer.vocabularySize == 30_522)
  }
}
