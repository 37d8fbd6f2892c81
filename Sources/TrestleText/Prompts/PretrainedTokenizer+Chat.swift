extension PretrainedTokenizer {
  /// A user's message as the model's own chat template writes it, with the tokens that end the answer.
  ///
  /// - Parameters:
  ///   - message: what the user says; it stays text, whatever it spells.
  ///   - isRaw: whether the text is to be continued as it is, without a template.
  /// - Throws: ``TextError`` for a template that ``JinjaTemplate`` cannot read, or that refuses the message.
  public func chat(_ message: String, isRaw: Bool = false) throws -> (prompt: [Int32], stopTokens: Set<Int32>)
  {
    let special = tokenizer.specialTokens
    var stops = Set([special.end].compactMap { $0 })
    guard !isRaw, let text = chatTemplate else {
      return (special.sequencePrefix + tokenizer.encode(message), stops)
    }
    let template = try JinjaTemplate(text)
    for name in Self.turnEnds where text.contains(name) {
      if let id = special.id(named: name) { stops.insert(id) }
    }
    let prompt = try template.prompt(
      for: [ChatMessage(role: .user, text: message)], specialTokens: special)
    return (try tokenizer.encode(prompt), stops)
  }

  /// What ends an answer, by family.
  private static let turnEnds = [
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>",
  ]
}
