/// Text in a chat template's hands: Unicode scalars, each of which remembers where it came from.
///
/// Whatever a template does with a message (joins, cuts, trims, replaces), its scalars stay those of the message, so that
/// only what the template itself wrote can become a control token.
struct TemplateText: Sendable, Hashable {
  /// Where a scalar came from.
  enum Origin: Sendable, Hashable {
    /// The template, or the program that renders it.
    case template
    /// Text of a message that the program vouches for; no control token nevertheless.
    case trusted
    /// Text of others.
    case untrusted
    /// A control token that stands in a message: its place in the conversation's list. The scalar is U+FFFC.
    case control(Int32)
  }

  /// A scalar with its origin; equal where scalars are equal, control tokens only to themselves.
  struct Unit: Sendable, Hashable {
    var scalar: Unicode.Scalar
    var origin: Origin

    private var control: Int32 { if case .control(let index) = origin { index } else { -1 } }

    static func == (one: Unit, other: Unit) -> Bool {
      one.scalar == other.scalar && one.control == other.control
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(scalar)
      hasher.combine(control)
    }

    /// What Python's `str.isspace` calls white space.
    var isSpace: Bool { scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value) }
  }

  var units: [Unit] = []

  init() {}

  init(_ units: [Unit]) { self.units = units }

  init(_ units: ArraySlice<Unit>) { self.units = Array(units) }

  /// Text of one origin.
  init(_ text: some StringProtocol, _ origin: Origin = .template) {
    units = text.unicodeScalars.map { Unit(scalar: $0, origin: origin) }
  }

  var count: Int { units.count }
  var isEmpty: Bool { units.isEmpty }

  /// The scalars as a string, wherever they came from.
  var string: String {
    var view = String.UnicodeScalarView()
    for unit in units { view.append(unit.scalar) }
    return String(view)
  }

  /// The text without the units at its ends that `isStripped` says yes to.
  func stripped(
    atStart: Bool = true, atEnd: Bool = true, where isStripped: (Unit) -> Bool = { $0.isSpace }
  ) -> TemplateText {
    var range = units.startIndex..<units.endIndex
    if atStart {
      while let first = range.first, isStripped(units[first]) { range = (first + 1)..<range.upperBound }
    }
    if atEnd {
      while let last = range.last, isStripped(units[last]) { range = range.lowerBound..<last }
    }
    return TemplateText(units[range])
  }

  /// The first place at or after `start` where `part` stands, in time linear in the text (Knuth, Morris and Pratt).
  func firstIndex(of part: TemplateText, from start: Int = 0) -> Int? {
    TextSearch(part).firstIndex(in: self, from: start)
  }

  /// The parts between occurrences of a separator that is not empty, at most `limit` cuts.
  func split(_ separator: TemplateText, limit: Int = .max) -> [TemplateText] {
    let search = TextSearch(separator)
    var parts: [TemplateText] = []
    var start = 0
    while parts.count < limit, let found = search.firstIndex(in: self, from: start) {
      parts.append(TemplateText(units[start..<found]))
      start = found + separator.count
    }
    parts.append(TemplateText(units[start...]))
    return parts
  }

  /// The words between white space, at most `limit` cuts.
  func words(limit: Int = .max) -> [TemplateText] {
    var parts: [TemplateText] = []
    var rest = units[...].drop { $0.isSpace }
    while !rest.isEmpty {
      if parts.count == limit {
        parts.append(TemplateText(rest).stripped(atStart: false))
        break
      }
      let word = rest.prefix { !$0.isSpace }
      parts.append(TemplateText(word))
      rest = rest[word.endIndex...].drop { $0.isSpace }
    }
    return parts
  }

  /// The text with other scalars, each from the origin of the one that it replaces.
  func mapped(_ transform: (Unicode.Scalar) -> String) -> TemplateText {
    var result = TemplateText()
    result.units.reserveCapacity(count)
    for unit in units {
      if case .control = unit.origin {
        result.units.append(unit)
      } else {
        for scalar in transform(unit.scalar).unicodeScalars {
          result.units.append(Unit(scalar: scalar, origin: unit.origin))
        }
      }
    }
    return result
  }

  static func + (one: TemplateText, other: TemplateText) -> TemplateText {
    TemplateText(one.units + other.units)
  }
}

/// Looks for one text in others.
struct TextSearch {
  private let pattern: [TemplateText.Unit]
  /// For each prefix of the pattern, the length of the longest shorter one that also ends it.
  private let fallbacks: [Int]

  init(_ pattern: TemplateText) {
    self.pattern = pattern.units
    var fallbacks = [Int](repeating: 0, count: pattern.count)
    var length = 0
    for index in pattern.units.indices.dropFirst() {
      while length > 0 && pattern.units[index] != pattern.units[length] { length = fallbacks[length - 1] }
      if pattern.units[index] == pattern.units[length] { length += 1 }
      fallbacks[index] = length
    }
    self.fallbacks = fallbacks
  }

  func firstIndex(in text: TemplateText, from start: Int) -> Int? {
    if pattern.isEmpty { return start <= text.count ? start : nil }
    var length = 0
    for index in start..<max(start, text.count) {
      while length > 0 && text.units[index] != pattern[length] { length = fallbacks[length - 1] }
      if text.units[index] == pattern[length] { length += 1 }
      if length == pattern.count { return index + 1 - length }
    }
    return nil
  }
}
