extension PretrainedTokenizer {
  /// A user's message as the model's chat template has it, with the tokens that end the answer.
  ///
  /// - Parameters:
  ///   - message: what the user says; it stays text, whatever it spells.
  ///   - isRaw: whether the text is to be continued as it is, without a template.
  /// - Throws: ``TextError`` for a template of an unknown family.
  public func chat(_ message: String, isRaw: Bool = false) throws -> (prompt: [Int32], stopTokens: Set<Int32>)
  {
    var stops = Set([tokenizer.specialTokens.end].compactMap { $0 })
    guard !isRaw, let text = chatTemplate else {
      return (tokenizer.specialTokens.sequencePrefix + tokenizer.encode(message), stops)
    }
    let template = try ChatTemplate(recognizing: text)
    stops.formUnion(template.stopTokens.compactMap { tokenizer.specialTokens.id(named: $0) })
    let prompt = try tokenizer.encode(template.prompt(for: [ChatMessage(role: .user, text: message)]))
    return (prompt, stops)
  }
}
