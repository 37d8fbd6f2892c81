import TrestleTensor

/// How a text is put before a language model that reads it, and which of its tokens count in the mean of their states.
///
/// Tokens with which every text begins, such as what the things are called, are best left out. They are the same for each text,
/// and a decoder's first token has states so large ("massive activations",
/// [arXiv 2402.17762](https://arxiv.org/abs/2402.17762)) that a mean which holds them tells mostly how long a text is.
///
/// A decoder's token knows only those before it. Read twice, the repetition's tokens know the whole text ("echo embeddings",
/// [arXiv 2402.15449](https://arxiv.org/abs/2402.15449)); that takes twice the time.
public struct ReadingStyle: Codable, Sendable, Hashable {
  /// How many tokens at a text's beginning do not count; a text's last token always does.
  public var skipping: Int
  /// What stands between a text and its repetition, whose tokens alone count; `nil` reads a text once.
  public var separator: [Int32]?

  /// Every token counts.
  public static let plain = ReadingStyle()

  /// A style.
  ///
  /// - Parameters:
  ///   - skipping: how many tokens at a text's beginning do not count, see ``commonPrefix(of:)``.
  ///   - separator: what stands between a text and its repetition; `nil` reads a text once.
  public init(skipping: Int = 0, separator: [Int32]? = nil) {
    (self.skipping, self.separator) = (skipping, separator)
  }

  /// Texts are read twice, and what they all begin with does not count.
  ///
  /// - Parameters:
  ///   - texts: the tokens of each text.
  ///   - separator: what stands between a text and its repetition, such as the tokens of a line's end.
  public static func twice(_ texts: [[Int32]], separator: [Int32]) -> ReadingStyle {
    ReadingStyle(skipping: commonPrefix(of: texts), separator: separator)
  }

  /// How many tokens all texts begin with, empty ones aside: what each says of itself comes after them.
  ///
  /// - Returns: the length of the longest common prefix, less than the shortest text's; 0 for fewer than two texts.
  public static func commonPrefix(of texts: [[Int32]]) -> Int {
    let texts = texts.filter { !$0.isEmpty }
    guard texts.count > 1, let first = texts.first, let shortest = texts.map(\.count).min() else { return 0 }
    return (0..<shortest - 1).first { place in texts.contains { $0[place] != first[place] } } ?? shortest - 1
  }

  /// How many tokens the model reads for one of a text, without the separator.
  public var passes: Int { separator == nil ? 1 : 2 }

  /// What the model reads of one text, and how many of its first tokens do not count.
  struct Prompt {
    let tokens: [Int32]
    let skipped: Int
  }

  func prompt(_ text: [Int32]) -> Prompt {
    let skipped = min(max(skipping, 0), max(text.count - 1, 0))
    guard let separator, !text.isEmpty else { return Prompt(tokens: text, skipped: skipped) }
    return Prompt(tokens: text + separator + text, skipped: text.count + separator.count + skipped)
  }

  /// The mean of the states that count, `[prompts, hidden]`.
  func pooled(_ states: Tensor, _ sequences: PackedSequences, _ prompts: [Prompt]) -> Tensor {
    sequences.meanPooled(states, skipping: self == .plain ? nil : prompts.map(\.skipped))
  }
}
