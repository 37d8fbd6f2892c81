import Foundation
import Testing
import TrestleTestSupport
import TrestleText

/// Ids that the reference implementation gives, as `Tests/Fixtures/text/tokenizers/make_tokenizers.py` writes them.
struct TokenizerFixture: Decodable {
  struct Row: Decodable {
    var text: String
    var ids: [Int32]
    var parsed: [Int32]?
    var decoded: String?
  }

  struct Random: Decodable {
    var seed: UInt64
    var count: Int
    var hash: String
    var first: [Row]
  }

  struct Chat: Decodable {
    struct Message: Decodable {
      var role: String
      var content: String
    }

    var messages: [Message]
    var addGenerationPrompt: Bool
    var rendered: String
    var parsed: [Int32]?
  }

  var strings: [Row]
  var template: [Row]
  var random: Random
  var chats: [Chat]?
  var control: [String: Int32]?

  init(_ family: String) throws {
    self = try TestAssets.fixture("text/tokenizers/ids/\(family).json")
  }
}

/// A family whose files are here: its fixture's name and where its tokenizer lies.
enum Family: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case gpt2, llama3, qwen2, llama2, bert, smollm2, minilm, gemma3
  case qwen25 = "qwen2.5"
  case llama2Metaspace = "llama2_metaspace"

  var testDescription: String { rawValue }

  /// The tokenizer's file; `nil` if it is an asset that is not there.
  var url: URL? {
    switch self {
    case .smollm2: TestAssets.smolLM2
    case .minilm: TestAssets.miniLM
    case .gemma3: TestAssets.gemma3
    case .qwen25: TestAssets.qwen25
    default: TestAssets.fixtures.appending(path: "text/tokenizers/trained/\(rawValue).tokenizer.json")
    }
  }

  static var available: [Family] { allCases.filter { $0.url != nil } }

  static var byteLevel: [Family] { [.gpt2, .llama3, .qwen2, .smollm2, .qwen25].filter { $0.url != nil } }

  func tokenizer() throws -> any Tokenizer {
    guard let url else { throw CocoaError(.fileNoSuchFile) }
    return try PretrainedTokenizer(contentsOf: url).tokenizer
  }
}

/// The random strings of the fixtures, see `Tests/Fixtures/text/tokenizers/strings.py`.
func randomStrings(seed: UInt64, count: Int) -> [String] {
  let ranges: [ClosedRange<UInt32>] = [
    0x20...0x7E, 0xA0...0x24F, 0x300...0x36F, 0x400...0x4FF, 0x600...0x6FF, 0x4E00...0x4FFF,
    0x1F300...0x1F64F,
  ]
  let pieces = [
    " ", "\n", "\t", "\r", "\u{A0}", "\u{200B}", "\u{200D}", "\u{3000}", "'s", "'LL", "0", "7",
  ]
  var random = SplitMix64(state: seed)
  return (0..<count).map { _ in
    var text = String.UnicodeScalarView()
    for _ in 0..<random.index(below: 24) + 1 {
      let choice = random.index(below: 8)
      if choice == 7 {
        text.append(contentsOf: pieces[random.index(below: pieces.count)].unicodeScalars)
      } else {
        let range = ranges[choice]
        let value = range.lowerBound + UInt32(random.index(below: range.count))
        text.append(Unicode.Scalar(value) ?? "?")
      }
    }
    return String(text)
  }
}

/// The hash of many lists of ids, see `Tests/Fixtures/text/tokenizers/strings.py`.
func hash(of lists: [[Int32]]) -> String {
  var value: UInt64 = 0xCBF2_9CE4_8422_2325
  for ids in lists {
    for number in ids.map({ UInt32(bitPattern: $0) }) + [.max] {
      for shift in [0, 8, 16, 24] as [UInt32] {
        value = (value ^ UInt64(number >> shift & 0xFF)) &* 0x0000_0100_0000_01B3
      }
    }
  }
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// A text's scalars in hexadecimal, to tell strings apart that look alike.
func scalars(_ text: String) -> String {
  text.unicodeScalars.map { String($0.value, radix: 16) }.joined(separator: " ")
}
