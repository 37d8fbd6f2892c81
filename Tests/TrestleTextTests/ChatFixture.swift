import Foundation
import Testing
import TrestleTestSupport
import TrestleText

/// Conversations as the families' reference templates render them, see `Tests/Fixtures/text/templates/make_chats.py`.
struct ChatFixture: Decodable {
  struct Chat: Decodable {
    var template: String
    var messages: [TokenizerFixture.Chat.Message]
    var addGenerationPrompt: Bool
    var rendered: String
  }

  var sources: [String: String]
  var chats: [Chat]

  init() throws {
    self = try TestAssets.fixture("text/templates/chats.json")
  }

  static func messages(_ messages: [TokenizerFixture.Chat.Message]) throws -> [ChatMessage] {
    try messages.map { message in
      ChatMessage(role: try #require(ChatMessage.Role(rawValue: message.role)), text: message.content)
    }
  }
}
