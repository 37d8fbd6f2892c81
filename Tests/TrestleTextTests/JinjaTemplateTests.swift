import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport
import TrestleText

/// Chat templates run as Jinja2 runs them; see Tests/Fixtures/text/templates/make_templates.py.
struct JinjaTemplateTests {
  struct Fixture: Decodable {
    struct Chat: Decodable {
      var template: String
      var messages: [TokenizerFixture.Chat.Message]
      var addGenerationPrompt: Bool
      var hasTools: Bool
      var hasThinking: Bool
      /// `nil` where the reference refuses the conversation.
      var rendered: String?
    }

    struct Piece: Decodable {
      var source: String
      var rendered: String?
    }

    var sources: [String: String]
    var begins: [String: String]
    var ends: [String: String]
    var tools: String
    var pieceMessages: [TokenizerFixture.Chat.Message]
    var chats: [Chat]
    var pieces: [Piece]
    var assetChats: [Chat]

    init() throws {
      self = try TestAssets.fixture("text/templates/templates.json")
    }

    func variables(_ chat: Chat) throws -> [String: JSONValue] {
      var variables: [String: JSONValue] = [:]
      if chat.hasTools { variables["tools"] = try JSONValue(parsing: tools) }
      if chat.hasThinking { variables["enable_thinking"] = try JSONValue(parsing: "false") }
      return variables
    }
  }

  /// Special tokens of all families, with a family's own at the ends.
  static func tokens(_ begin: String?, _ end: String?) -> SpecialTokens {
    let names = [
      "<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<|im_start|>", "<|im_end|>",
      "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|user|>", "<|end|>",
      "<|assistant|>", "<|system|>", "<|endoftext|>", "[INST]", "[/INST]", "<think>", "</think>",
    ]
    let ids = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
    return SpecialTokens(ids: ids, beginning: begin.flatMap { ids[$0] }, end: end.flatMap { ids[$0] })
  }

  private static func controls(_ prompt: Prompt) -> [Prompt.Segment] {
    prompt.segments.filter { if case .control = $0 { true } else { false } }
  }

  private static func render(
    _ source: String, _ message: String = "x", role: ChatMessage.Role = .user,
    limits: JinjaTemplate.Limits = .init()
  ) throws -> Prompt {
    try JinjaTemplate(source, limits: limits).prompt(
      for: [ChatMessage(role: role, text: message)], specialTokens: tokens(nil, nil))
  }

  // MARK: Agreement

  @Test func familiesRenderAsTheReferenceDoes() throws {
    let fixture = try Fixture()
    #expect(fixture.chats.count > 100)
    for chat in fixture.chats {
      let template = try JinjaTemplate(try #require(fixture.sources[chat.template]), path: chat.template)
      let tokens = Self.tokens(fixture.begins[chat.template], fixture.ends[chat.template])
      let prompt = try? template.prompt(
        for: ChatFixture.messages(chat.messages), specialTokens: tokens,
        addingGenerationPrompt: chat.addGenerationPrompt, variables: try fixture.variables(chat))
      #expect(prompt?.text == chat.rendered, "\(chat.template)")
    }
  }

  @Test func piecesOfTheLanguageRenderAsTheReferenceDoes() throws {
    let fixture = try Fixture()
    for piece in fixture.pieces {
      do {
        let prompt = try JinjaTemplate(piece.source).prompt(
          for: ChatFixture.messages(fixture.pieceMessages), specialTokens: Self.tokens(nil, nil))
        #expect(prompt.text == piece.rendered, "\(piece.source)")
      } catch {
        #expect(piece.rendered == nil, "\(piece.source): \(error)")
        #expect("\(error)".contains("line 1, column "), "\(error)")
      }
    }
  }

  @Test(.enabled(if: TestAssets.smolLM2 != nil && TestAssets.qwen25 != nil))
  func templatesInModelFilesRenderAsTheReferenceDoes() throws {
    let fixture = try Fixture()
    let files = ["smollm2": TestAssets.smolLM2, "qwen2.5": TestAssets.qwen25]
    for (name, url) in files {
      let pretrained = try PretrainedTokenizer(contentsOf: try #require(url))
      let template = try JinjaTemplate(try #require(pretrained.chatTemplate))
      let special = pretrained.tokenizer.specialTokens
      for chat in fixture.assetChats where chat.template == name {
        let prompt = try template.prompt(
          for: ChatFixture.messages(chat.messages), specialTokens: special,
          variables: try fixture.variables(chat))
        #expect(prompt.text == chat.rendered, "\(name)")
        let ids = try pretrained.tokenizer.encode(prompt)
        #expect(pretrained.tokenizer.decode(ids) == chat.rendered, "\(name)")
        #expect(ids.filter { special.contains($0) }.count == Self.controls(prompt).count, "\(name)")
      }
    }
    #expect(fixture.assetChats.count == 14)
  }

  // MARK: Text stays text

  @Test func nothingThatATemplateDoesMakesAControlTokenOfAMessage() throws {
    let attempts = [
      ("{{ messages[0].content }}", "<|im_end|></s>"),
      ("{{ '<|im_' + messages[0].content }}", "end|>"),
      ("{{ messages[0].content | replace('x', '') }}", "<|imx_end|>"),
      ("{{ messages[0].content | lower }}", "<|IM_END|>"),
      ("{{ messages[0].content | reverse }}", ">|dne_mi|<"),
      ("{{ messages[0].content.split(',') | join }}", "<|im,_end|>"),
      ("{{ messages[0].content[1:] }}", "x<|im_end|>"),
      ("{% for c in messages[0].content %}{{ c }}{% endfor %}", "<|im_end|>"),
      ("{% set x %}{{ messages[0].content }}{% endset %}{{ x | trim }}", " <|im_end|> "),
      ("{{ '<|xm_end|>' | replace('x', messages[0].content) }}", "i"),
      ("{{ ['<|im_end', messages[0].content] | join }}", "|>"),
      ("{{ messages | tojson }}{{ messages }}", "<|im_end|>"),
    ]
    for (source, message) in attempts {
      let prompt = try Self.render(source, message)
      #expect(Self.controls(prompt).isEmpty, "\(source)")
      #expect(prompt.text.contains("<|im_end|>"), "\(source)")
    }
    let own = try Self.render("{{ '<|im_start|>' }}<|im_end|>{{ '<|im' ~ '_end|>' }}")
    #expect(Self.controls(own).count == 3)
  }

  @Test func variablesAreTextOfOthers() throws {
    let variables = ["tools": try JSONValue(parsing: #"["<|im_end|>", {"<s>": 1}]"#)]
    let prompt = try JinjaTemplate("{{ tools[0] }}{{ tools | tojson }}{{ tools[1] | list | first }}").prompt(
      for: [], specialTokens: Self.tokens(nil, nil), variables: variables)
    #expect(Self.controls(prompt).isEmpty)
    #expect(prompt.text == #"<|im_end|>["<|im_end|>", {"<s>": 1}]<s>"#)
  }

  @Test func entityTokensInAMessageStayControlSegments() throws {
    let content = Prompt([.untrusted("  I liked "), .control(.id(49_155)), .untrusted(". ")])
    let prompt = try JinjaTemplate("<s>{{ messages[0].content | trim | upper }} ok").prompt(
      for: [ChatMessage(role: .user, content: content)], specialTokens: Self.tokens(nil, nil))
    #expect(
      prompt.segments == [
        .control("<s>"), .untrusted("I LIKED "), .control(.id(49_155)), .untrusted("."), .trusted(" ok"),
      ])
  }

  // MARK: Errors and bounds

  @Test func errorsNameLineAndColumn() throws {
    let cases = [
      ("a\n  {{ missing.x }}", "line 2, column 13"), ("{{ 1 +\n }}", "line 2, column 2"),
      ("\n\n{% include 'x' %}", "line 3, column 4"), ("{% if true %}\nx", "line 2, column 2"),
      ("{% for m in messages %}\n {{ raise_exception('roles') }}{% endfor %}", "line 2, column 20"),
      ("{{ 'é' + \n  nothing() }}", "line 2, column 10"), ("{{ strftime_now('%Y') }}", "line 1, column 16"),
    ]
    for (source, place) in cases {
      let error = try #require(throws: TextError.self) { try Self.render(source) }
      #expect("\(error)".contains(place), "\(source): \(error)")
    }
    let refusal = try #require(throws: TextError.self) {
      try Self.render("{{ raise_exception('no turns') }}")
    }
    #expect("\(refusal)".contains("no turns"))
  }

  @Test func hostileTemplatesEndInErrors() throws {
    let deep = "{{ " + String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000) + " }}"
    let blocks = String(repeating: "{% if true %}", count: 5000)
    let negations = "{{ " + String(repeating: "not ", count: 5000) + "1 }}"
    let cases: [String] = [
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% set ns = namespace(t='ab') %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = [ns.t] %}{% endfor %}",
      "{% set ns = namespace(t=[1]) %}{% for i in range(30) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ range(9999999999) }}", "{{ 'a' * 99999999999 }}",
      deep, blocks, negations, "{{ 9223372036854775807 + 1 }}",
      "{{ -9223372036854775807 - 2 }}",
      "{{ 99999999999999999999 }}", "{{ 'x'[::0] }}", "{{ 1 % 0 }}",
      "{{ messages | tojson(indent=9223372036854775807) ~ missing.x }}",
      "{{ 'aaaa' | indent(999999999) | replace('', 'b' * 4000000) | replace('', 'b' * 4000000) }}",
    ]
    for source in cases {
      #expect(throws: TextError.self, "\(source.prefix(80))") { try Self.render(source) }
    }
    var limits = JinjaTemplate.Limits()
    limits.length = 10
    #expect(throws: TextError.self) {
      try Self.render("{{ messages[0].content }}", "12345678901", limits: limits)
    }
    #expect(try Self.render("{{ messages[0].content }}", "1234567890", limits: limits).text.count == 10)
  }

  @Test func longChainsNeedNoDeepStack() throws {
    let sum = "{{ " + Array(repeating: "1", count: 20_000).joined(separator: " + ") + " }}"
    #expect(try Self.render(sum).text == "20000")
    let filters = "{{ 1" + String(repeating: " | string", count: 20_000) + " }}"
    #expect(try Self.render(filters).text == "1")
    let branches =
      "{% if false %}" + String(repeating: "{% elif false %}", count: 20_000) + "{% else %}y{% endif %}"
    #expect(try Self.render(branches).text == "y")
  }

  @Test func renderingTakesTimeInProportionToTheConversation() throws {
    let fixture = try Fixture()
    let template = try JinjaTemplate(try #require(fixture.sources["qwen3"]))
    let tokens = Self.tokens(nil, nil)
    let times = try growth(from: 300) { count in
      (0..<count).flatMap { index in
        [
          ChatMessage(role: .user, text: "Which film is number \(index)? <|im_end|>"),
          ChatMessage(role: .assistant, text: "<think>\n\(index)\n</think>\n\nToy Story"),
        ]
      }
    } run: {
      _ = try template.prompt(for: $0, specialTokens: tokens)
    }
    #expect(times < 9, "\(times) times as long for four times the messages")
  }

  @Test func readingTakesTimeInProportionToTheTemplate() throws {
    let times = try growth(from: 20_000) { count in
      String(repeating: "{% set a = [1, 'x' ~ 2] %} text {{- a -}}\n", count: count / 40)
    } run: {
      _ = try JinjaTemplate($0)
    }
    #expect(times < 9, "\(times) times as long for four times the text")
  }
}
