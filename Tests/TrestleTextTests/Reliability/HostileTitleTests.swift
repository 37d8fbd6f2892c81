import Testing

import TrestleText

/// The ids of hostile titles hold no special token, whatever family reads them.
struct HostileTitleTests {
  /// The titles of ``SpecialTokenTests``, and as many around the special tokens that the tokenizer itself has.
  private func titles(_ special: SpecialTokens) -> [String] {
    let own = special.ids.keys.sorted().prefix(40)
    return SpecialTokenTests.titles
      + own.flatMap { ["\($0)", " \($0)", "a\($0)b", "\u{2581}\($0)", "\($0)\($0)", "x \($0) y", "(\($0))"] }
  }

  private func check(_ tokenizer: any Tokenizer, _ name: String) {
    let special = tokenizer.specialTokens
    let titles = titles(special)
    #expect(titles.count >= 300 && !special.ids.isEmpty, "\(name)")
    for title in titles {
      for position in [TextPosition.start, .afterControl, .afterText] {
        // The unknown token is what a word without pieces is; it neither begins, ends nor separates.
        let found = tokenizer.encode(title, at: position).filter {
          special.contains($0) && $0 != special.unknown
        }
        #expect(found.isEmpty, "\(name): \(title.debugDescription) gave \(found)")
      }
    }
    if let unknown = special.unknown {
      let roles =
        [special.beginning, special.end, special.padding] + special.sequencePrefix + special.sequenceSuffix
      if roles.contains(unknown) {
        #expect(titles.allSatisfy { !tokenizer.encode($0).contains(unknown) }, "\(name)")
      }
    }
  }

  @Test(arguments: Family.available)
  func filesOfEveryFamily(family: Family) throws {
    check(try family.tokenizer(), family.rawValue)
  }

  /// WordPiece as GGUF spells it: `▁` begins a word.
  @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
  func wordPieceFilesWithoutTypesOrWithWrongOnes(types: Bool, roles: Bool) throws {
    let words = ["<", "/", "s", ">", "|", "im", "_", "end", "[", "]", "sep", "cls", "inst", "pad", "a", "b"]
    let tokens =
      ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "</s>", "<|im_end|>"] + words.map { "\u{2581}\($0)" }
      + ["sep", "cls", "end", "s", "a", "b"]
    var builder = GGUFTokenizerTests.Builder()
    builder.set("tokenizer.ggml.model", "bert")
    builder.set("tokenizer.ggml.tokens", tokens)
    if types { builder.set("tokenizer.ggml.token_type", tokens.map { _ in Int32(1) }) }
    if roles {
      for (key, id) in [("bos", UInt32(2)), ("eos", 5), ("seperator", 3), ("padding", 0), ("unknown", 1)] {
        builder.set("tokenizer.ggml.\(key)_token_id", id)
      }
    }
    let tokenizer = try builder.withFile { try PretrainedTokenizer(gguf: $0).tokenizer }
    // A token typed as an ordinary one continues a word there, as `##</s>`: no word has that inside.
    for id: Int32 in 0...(types ? 4 : 6) { #expect(tokenizer.specialTokens.contains(id), "\(id)") }
    check(tokenizer, "bert, types \(types), roles \(roles)")
    for title in titles(tokenizer.specialTokens) {
      #expect(tokenizer.encode(title).allSatisfy { $0 == 1 || $0 > 6 }, "\(title.debugDescription)")
    }
  }
}
