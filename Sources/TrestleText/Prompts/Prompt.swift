/// A prompt: control tokens, text of the program, and text of others.
///
/// Only ``Segment/control(_:)`` yields special or entity tokens, so that an item called `<|im_end|>` or
/// `<item:5>` stays text. How segments are tokenised is said at ``Tokenizer/encode(_:)-(Prompt)``.
///
/// ```swift
/// var prompt = Prompt()
/// prompt.append(.control("<|im_start|>"))
/// prompt.append(.trusted("user\n"))
/// prompt.append(.untrusted(title))
/// prompt.append(.control("<|im_end|>"))
/// let ids = try tokenizer.encode(prompt)
/// ```
public struct Prompt: Sendable, Hashable {
  /// A control token, by its name in the tokenizer or by its id.
  public enum ControlToken: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// A special token of the tokenizer, as `<|im_start|>`.
    case name(String)
    /// A token id: a special token's, or that of an entity token that extends the vocabulary.
    case id(Int32)

    /// A special token by its name.
    public init(stringLiteral value: String) { self = .name(value) }
    /// A token by its id.
    public init(integerLiteral value: Int32) { self = .id(value) }
  }

  /// A piece of a prompt.
  public enum Segment: Sendable, Hashable {
    /// A special or entity token.
    case control(ControlToken)
    /// Text that the program wrote itself.
    case trusted(String)
    /// Text from elsewhere: item titles, users' messages. Tokenised as trusted text is, without control tokens;
    /// the distinction tells readers, filters and loss masks what is whose.
    case untrusted(String)
  }

  /// The pieces in order.
  public var segments: [Segment]

  /// Creates a prompt of the segments.
  public init(_ segments: [Segment] = []) { self.segments = segments }

  /// Adds a segment at the end.
  public mutating func append(_ segment: Segment) { segments.append(segment) }

  /// Adds another prompt at the end.
  public mutating func append(_ other: Prompt) { segments.append(contentsOf: other.segments) }

  /// The prompt as one text, control tokens spelled by name (`<#id>` if given by id). To read and to compare:
  /// tokenising this text is not tokenising the prompt.
  public var text: String {
    var text = ""
    for segment in segments {
      switch segment {
      case .control(.name(let name)): text += name
      case .control(.id(let id)): text += "<#\(id)>"
      case .trusted(let piece), .untrusted(let piece): text += piece
      }
    }
    return text
  }
}
