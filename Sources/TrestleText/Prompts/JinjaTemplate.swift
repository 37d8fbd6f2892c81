import TrestleFormats

/// A chat template as a model's files have it (`chat_template`), in the part of Jinja that such templates use.
///
/// ```swift
/// let template = try JinjaTemplate(text, path: "tokenizer_config.json")
/// let prompt = try template.prompt(for: messages, specialTokens: tokenizer.specialTokens)
/// ```
///
/// The rendering (``Prompt/text``) equals that of Hugging Face's environment (`trim_blocks`, `lstrip_blocks`). Every
/// character remembers where it came from: a control token comes of what the template itself writes, never of a message,
/// whatever the template does with it.
///
/// | part | what there is |
/// | --- | --- |
/// | statements | `if`, `for` (with `if`, `else`, `break`, `continue`), `set`, `macro`, `generation` |
/// | expressions | literals, attributes, subscripts, slices, calls, `if`–`else`, `and`, `or`, `not`, comparisons, `in`, `is`, `~`, arithmetic |
/// | filters | trim, upper, lower, capitalize, title, replace, indent, length, join, default, tojson, string, int, float, abs, first, last, list, items, dictsort, sort, unique, reverse, map, select, reject, selectattr, rejectattr, safe |
/// | tests | defined, undefined, none, string, number, integer, float, boolean, true, false, mapping, iterable, sequence, callable, even, odd, divisibleby, in, and comparisons |
/// | functions | `raise_exception`, `namespace`, `range`, `dict` |
///
/// There is no clock: `strftime_now` is undefined, and templates that ask for it first take their fixed date.
///
/// Source: the documentation of Jinja 3, and of chat templates in Transformers.
public struct JinjaTemplate: Sendable {
  /// What a rendering may take.
  public struct Limits: Sendable, Hashable {
    /// The steps of a rendering, one for each expression and each character that is made; 64 more for each character of
    /// the conversation.
    public var steps = 1 << 22
    /// The characters of the rendering.
    public var length = 1 << 22

    /// The standard limits.
    public init() {}
  }

  private let source: TemplateSource
  private let body: [TemplateStatement]
  private let macros: [TemplateMacro]
  private let limits: Limits

  /// Reads a template.
  ///
  /// - Parameters:
  ///   - text: the template.
  ///   - path: what errors call it.
  ///   - limits: what a rendering may take.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` with line and column.
  public init(
    _ text: String, path: String = "chat template", limits: Limits = Limits()
  ) throws(TextError) {
    source = TemplateSource(text, path: path)
    var parser = try TemplateParser(source)
    body = try parser.parse()
    macros = parser.macros
    self.limits = limits
  }

  /// A conversation as a prompt.
  ///
  /// - Parameters:
  ///   - messages: the conversation so far, oldest first.
  ///   - specialTokens: the tokenizer's: what the template writes of these names becomes control tokens, and `bos_token`,
  ///     `eos_token`, `pad_token` and `unk_token` are theirs.
  ///   - addingGenerationPrompt: end with the beginning of the assistant's answer, if the template has one.
  ///   - variables: what else the template may ask for, as `enable_thinking` or `tools`; strings in them are text of
  ///     others, as messages are.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` with line and column where the template refuses the
  ///   conversation (`raise_exception`), asks for what is not there, or takes more than its limits.
  public func prompt(
    for messages: [ChatMessage], specialTokens: SpecialTokens, addingGenerationPrompt: Bool = true,
    variables: [String: JSONValue] = [:]
  ) throws(TextError) -> Prompt {
    var start = TemplateVariables(messages, specialTokens, addsAnswer: addingGenerationPrompt)
    for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
      try start.add(name, value, path: source.path)
    }
    let machine = TemplateMachine(
      source, macros: macros, variables: start.values,
      workLimit: max(0, min(limits.steps, 1 << 40)) + 64 * start.size, outputLimit: limits.length)
    let text = try machine.render(body)
    return ControlNames(specialTokens).prompt(text, controls: start.controls)
  }
}
