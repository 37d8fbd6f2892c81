/// How a family writes a conversation, built as ``Prompt`` segments instead of one text.
///
/// The rendering (``Prompt/text``) equals the family's reference template; its special tokens are `.control`
/// segments, the words around them trusted, the messages as they come, untrusted unless said otherwise. A space
/// between a tag and a message goes with what follows it, so that each segment has the tokens it has in the whole.
///
/// Of before ``JinjaTemplate`` ran a model's own template: five families, written by hand. Nothing here uses it any more.
@available(*, deprecated, message: "Run the model's own: JinjaTemplate, PretrainedTokenizer.chat(_:isRaw:)")
public struct ChatTemplate: Sendable, Hashable {
  /// The forms of conversation.
  public enum Family: String, Sendable, Hashable, CaseIterable {
    /// `<|im_start|>user\n…<|im_end|>\n`: SmolLM2, Qwen.
    case chatML
    /// `<s>[INST] <<SYS>>\n…\n<</SYS>>\n\n… [/INST] … </s>`.
    case llama2
    /// `<|start_header_id|>user<|end_header_id|>\n\n…<|eot_id|>`.
    case llama3
    /// `<s>[INST] … [/INST]…</s>`, as Mistral 7B Instruct first had it; a system message goes before the first
    /// user's.
    case mistral
    /// `A chat between … USER: … ASSISTANT: …</s>`: Vicuna 1.1 and later.
    case vicuna
  }

  /// The form.
  public var family: Family
  /// The system message of conversations that do not begin with one of their own, `nil` for none.
  public var defaultSystemPrompt: String?

  /// A template of a family.
  public init(_ family: Family, defaultSystemPrompt: String? = nil) {
    self.family = family
    self.defaultSystemPrompt = defaultSystemPrompt
  }

  /// SmolLM2's: ChatML with its system prompt.
  public static let smolLM2 = ChatTemplate(
    .chatML, defaultSystemPrompt: "You are a helpful AI assistant named SmolLM, trained by Hugging Face")
  /// Qwen2's: ChatML with its system prompt.
  public static let qwen2 = ChatTemplate(.chatML, defaultSystemPrompt: "You are a helpful assistant.")
  /// LLaMA 2 Chat's, without a default system prompt.
  public static let llama2 = ChatTemplate(.llama2)
  /// Llama 3 Instruct's.
  public static let llama3 = ChatTemplate(.llama3)
  /// Mistral 7B Instruct's.
  public static let mistral = ChatTemplate(.mistral)
  /// Vicuna's, with its system prompt.
  public static let vicuna = ChatTemplate(
    .vicuna,
    defaultSystemPrompt: "A chat between a curious user and an artificial intelligence assistant. "
      + "The assistant gives helpful, detailed, and polite answers to the user's questions.")

  /// The family of a model's own template (Jinja), by the tokens it writes. The template is not run: this tells
  /// which of the families here it is, and takes over its default system prompt.
  ///
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` if it is none of them.
  public init(recognizing template: String, path: String = "chat template") throws(TextError) {
    if template.contains("<|im_start|>") {
      self.init(.chatML, defaultSystemPrompt: Self.chatMLSystemPrompt(in: template))
    } else if template.contains("<|start_header_id|>") {
      self.init(.llama3)
    } else if template.contains("<<SYS>>") {
      self.init(.llama2)
    } else if template.contains("[INST]") {
      self.init(.mistral)
    } else if template.contains("USER: ") && template.contains("ASSISTANT:") {
      self = .vicuna
    } else {
      throw Source(path: path).error(
        "chat_template", expected: "one of \(Family.allCases.map(\.rawValue).joined(separator: ", "))",
        found: template)
    }
  }

  /// The tokens that end the model's answer.
  public var stopTokens: [String] {
    switch family {
    case .chatML: ["<|im_end|>"]
    case .llama3: ["<|eot_id|>"]
    case .llama2, .mistral, .vicuna: ["</s>"]
    }
  }

  /// The conversation as a prompt.
  ///
  /// - Parameters:
  ///   - messages: the conversation so far, oldest first.
  ///   - addingGenerationPrompt: end with the beginning of the assistant's answer. LLaMA 2 and Mistral
  ///     have none: the end of the user's message is that.
  /// - Throws: ``TextError/invalidConversation(template:place:expected:found:)`` if the roles do not alternate
  ///   where the family wants them to (LLaMA 2, Mistral, Vicuna), or there are no messages.
  public func prompt(
    for messages: [ChatMessage], addingGenerationPrompt: Bool = true
  ) throws(TextError) -> Prompt {
    guard !messages.isEmpty else { throw error(0, expected: "a message", found: "an empty conversation") }
    switch family {
    case .chatML: return chatML(messages, addingGenerationPrompt)
    case .llama3: return llama3(messages, addingGenerationPrompt)
    case .llama2: return try llama2(messages)
    case .mistral: return try mistral(messages)
    case .vicuna: return try vicuna(messages, addingGenerationPrompt)
    }
  }

  // MARK: Families

  /// The messages, after the default system prompt if there is one and they have none.
  private func withSystemPrompt(_ messages: [ChatMessage]) -> [ChatMessage] {
    guard let defaultSystemPrompt, messages[0].role != .system else { return messages }
    return [ChatMessage(role: .system, content: Prompt([.trusted(defaultSystemPrompt)]))] + messages
  }

  private func chatML(_ messages: [ChatMessage], _ addsAnswer: Bool) -> Prompt {
    var prompt = Prompt()
    for message in withSystemPrompt(messages) {
      prompt.append(.control("<|im_start|>"))
      prompt.append(.trusted("\(message.role.rawValue)\n"))
      prompt.append(message.content)
      prompt.append(.control("<|im_end|>"))
      prompt.append(.trusted("\n"))
    }
    if addsAnswer {
      prompt.append(.control("<|im_start|>"))
      prompt.append(.trusted("assistant\n"))
    }
    return prompt
  }

  private func llama3(_ messages: [ChatMessage], _ addsAnswer: Bool) -> Prompt {
    var prompt = Prompt([.control("<|begin_of_text|>")])
    func appendHeader(_ role: ChatMessage.Role) {
      prompt.append(.control("<|start_header_id|>"))
      prompt.append(.trusted(role.rawValue))
      prompt.append(.control("<|end_header_id|>"))
      prompt.append(.trusted("\n\n"))
    }
    for message in withSystemPrompt(messages) {
      appendHeader(message.role)
      prompt.append(message.content.trimmed())
      prompt.append(.control("<|eot_id|>"))
    }
    if addsAnswer { appendHeader(.assistant) }
    return prompt
  }

  private func llama2(_ messages: [ChatMessage]) throws(TextError) -> Prompt {
    let (system, turns) = try alternating(messages)
    var prompt = Prompt()
    for (index, message) in turns.enumerated() {
      if message.role == .user {
        prompt.append(.control("<s>"))
        prompt.append(.trusted("[INST]"))
        if index == 0, let system {
          prompt.append(.trusted(" <<SYS>>\n"))
          // The whole of system and user message is stripped, and the system message stands inside its tags.
          prompt.append(system)
          prompt.append(.trusted("\n<</SYS>>\n\n"))
          prompt.append(message.content.trimmed(atStart: false))
        } else {
          prompt.append(message.content.trimmed().preceded(by: " "))
        }
        prompt.append(.trusted(" [/INST]"))
      } else {
        prompt.append(message.content.trimmed().preceded(by: " "))
        prompt.append(.trusted(" "))
        prompt.append(.control("</s>"))
      }
    }
    return prompt
  }

  private func mistral(_ messages: [ChatMessage]) throws(TextError) -> Prompt {
    let (system, turns) = try alternating(messages)
    var prompt = Prompt([.control("<s>")])
    for (index, message) in turns.enumerated() {
      if message.role == .user {
        prompt.append(.trusted("[INST]"))
        if index == 0, let system {
          prompt.append(system.preceded(by: " "))
          prompt.append(.trusted("\n\n"))
          prompt.append(message.content)
        } else {
          prompt.append(message.content.preceded(by: " "))
        }
        prompt.append(.trusted(" [/INST]"))
      } else {
        prompt.append(message.content)
        prompt.append(.control("</s>"))
      }
    }
    return prompt
  }

  private func vicuna(_ messages: [ChatMessage], _ addsAnswer: Bool) throws(TextError) -> Prompt {
    let (system, turns) = try alternating(messages)
    var prompt = Prompt([.control("<s>")])
    if let system { prompt.append(system) }
    for (index, message) in turns.enumerated() {
      if message.role == .user {
        prompt.append(.trusted(index == 0 && system != nil ? " USER:" : "USER:"))
        prompt.append(message.content.preceded(by: " "))
      } else {
        prompt.append(.trusted(" ASSISTANT:"))
        prompt.append(message.content.preceded(by: " "))
        prompt.append(.control("</s>"))
      }
    }
    if addsAnswer { prompt.append(.trusted(turns.last?.role == .user ? " ASSISTANT:" : "ASSISTANT:")) }
    return prompt
  }

  /// The system message, or the default one, and the turns, which begin with the user and alternate.
  private func alternating(
    _ messages: [ChatMessage]
  ) throws(TextError) -> (system: Prompt?, turns: ArraySlice<ChatMessage>) {
    let hasSystem = messages[0].role == .system
    let turns = hasSystem ? messages.dropFirst() : messages[...]
    for (offset, index) in turns.indices.enumerated() {
      let expected = offset.isMultiple(of: 2) ? ChatMessage.Role.user : .assistant
      guard turns[index].role == expected else {
        throw error(index, expected: expected.rawValue, found: turns[index].role.rawValue)
      }
    }
    guard !turns.isEmpty else { throw error(1, expected: "user", found: "the end") }
    return (hasSystem ? messages[0].content : defaultSystemPrompt.map { Prompt([.trusted($0)]) }, turns)
  }

  private func error(_ place: Int, expected: String, found: String) -> TextError {
    .invalidConversation(template: family.rawValue, place: place, expected: expected, found: found)
  }

  /// The text between `<|im_start|>system\n` and `<|im_end|>` in a ChatML template, if it is a literal; the line
  /// feed is one, or is written `\n`.
  private static func chatMLSystemPrompt(in template: String) -> String? {
    for opening in ["<|im_start|>system\n", "<|im_start|>system\\n"] {
      for part in template.split(separator: opening, omittingEmptySubsequences: false).dropFirst() {
        guard let end = part.firstRange(of: "<|im_end|>")?.lowerBound else { continue }
        let text = part[..<end]
        // A quote ends the literal: the system message of the conversation is put in there.
        if !text.isEmpty && !text.contains("' +") && !text.contains("\" +") && !text.contains("{")
          && !text.contains("~")
        {
          return String(text).replacing("\\n", with: "\n")
        }
      }
    }
    return nil
  }
}
