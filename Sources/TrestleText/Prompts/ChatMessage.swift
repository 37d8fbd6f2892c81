/// A message of a conversation.
public struct ChatMessage: Sendable, Hashable {
  /// Who speaks.
  public enum Role: String, Sendable, Hashable, Codable {
    /// The instructions that a conversation begins with.
    case system
    /// The person.
    case user
    /// The model.
    case assistant
  }

  /// Who speaks.
  public var role: Role
  /// What is said: text, and control segments where a message speaks of users and items by their entity tokens.
  public var content: Prompt

  /// A message of the segments given.
  public init(role: Role, content: Prompt) {
    self.role = role
    self.content = content
  }

  /// A message of text, which is untrusted: whatever it holds, it yields no control token.
  public init(role: Role, text: String) {
    self.init(role: role, content: Prompt([.untrusted(text)]))
  }
}
