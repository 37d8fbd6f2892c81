/// A piece of a template's source.
struct TemplateToken: Sendable, Equatable {
  enum Form: Sendable, Equatable {
    /// Text outside of all marks.
    case text(String)
    /// `{{`, `}}`, `{%`, `%}`.
    case mark(String)
    case name(String)
    case string(String)
    case int(Int)
    case float(Double)
    case symbol(String)
    case end
  }

  let form: Form
  let place: Int
}

/// Cuts a template into tokens, with white space as Hugging Face's environment has it: a block's mark takes the line feed
/// behind it (`trim_blocks`) and the white space of its line before it (`lstrip_blocks`), and `-` all that is there.
struct TemplateLexer {
  private let source: TemplateSource
  private var position = 0
  private var tokens: [TemplateToken] = []
  /// Whether all white space that follows belongs to the mark before.
  private var takesSpace = false
  /// Whether text begins at the start of a line.
  private var isLineStart = true

  private var scalars: [Unicode.Scalar] { source.scalars }

  init(_ source: TemplateSource) { self.source = source }

  /// The tokens, the last one `.end`.
  static func tokens(of source: TemplateSource) throws(TextError) -> [TemplateToken] {
    var lexer = TemplateLexer(source)
    while try lexer.readSection() {}
    lexer.tokens.append(TemplateToken(form: .end, place: lexer.position))
    return lexer.tokens
  }

  /// Reads text and the mark behind it, with what it encloses; `false` at the end.
  private mutating func readSection() throws(TextError) -> Bool {
    let start = position
    while position < scalars.count, mark(at: position) == nil { position += 1 }
    var text = start..<position
    if takesSpace {
      while let first = text.first, isSpace(scalars[first]) { text = (first + 1)..<text.upperBound }
    }
    guard let mark = mark(at: position) else {
      append(text)
      return false
    }
    let sign = position + 2 < scalars.count ? scalars[position + 2] : " "
    if sign == "-" {
      while let last = text.last, isSpace(scalars[last]) { text = text.lowerBound..<last }
    } else if sign != "+" && mark != "{{" {
      stripLine(&text)
    }
    append(text)
    let opening = position
    position += sign == "-" || sign == "+" ? 3 : 2
    takesSpace = false
    isLineStart = false
    if mark == "{#" {
      try skipComment(opening)
    } else {
      tokens.append(TemplateToken(form: .mark(mark), place: opening))
      try readInside(until: mark == "{{" ? "}}" : "%}", opening)
    }
    return true
  }

  /// Leaves out the white space between the start of the line and a block's mark.
  private func stripLine(_ text: inout Range<Int>) {
    var start = text.upperBound
    while start > text.lowerBound, scalars[start - 1] != "\n", isSpace(scalars[start - 1]) { start -= 1 }
    let isWholeLine = start == text.lowerBound ? isLineStart : scalars[start - 1] == "\n"
    if isWholeLine { text = text.lowerBound..<start }
  }

  private mutating func append(_ text: Range<Int>) {
    guard !text.isEmpty else { return }
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[text])
    tokens.append(TemplateToken(form: .text(String(view)), place: text.lowerBound))
  }

  private mutating func skipComment(_ opening: Int) throws(TextError) {
    while position + 1 < scalars.count {
      if scalars[position] == "#", scalars[position + 1] == "}" {
        closeMark(sign: position > opening + 2 ? scalars[position - 1] : " ", isBlock: true)
        return
      }
      position += 1
    }
    throw source.error(opening, expected: "#} after {#", found: "the end")
  }

  /// Passes the two scalars of a closing mark, and what it takes with it.
  private mutating func closeMark(sign: Unicode.Scalar, isBlock: Bool) {
    position += 2
    takesSpace = sign == "-"
    isLineStart = false
    if isBlock, sign != "-", sign != "+", position < scalars.count, scalars[position] == "\n" {
      position += 1
      isLineStart = true
    }
  }

  /// Reads tokens up to the closing mark.
  private mutating func readInside(until closing: String, _ opening: Int) throws(TextError) {
    var nesting = 0
    while true {
      while position < scalars.count, isSpace(scalars[position]) { position += 1 }
      guard position < scalars.count else {
        throw source.error(opening, expected: "\(closing) in the end", found: "the end")
      }
      var sign: Unicode.Scalar = " "
      var place = position
      if (scalars[place] == "-" || scalars[place] == "+") && nesting == 0 {
        sign = scalars[place]
        place += 1
      }
      if nesting == 0, source.has(closing, at: place) {
        tokens.append(TemplateToken(form: .mark(closing), place: place))
        position = place
        closeMark(sign: sign, isBlock: closing == "%}")
        return
      }
      let token = try readToken()
      if case .symbol(let symbol) = token.form {
        if "([{".contains(symbol) { nesting += 1 }
        if ")]}".contains(symbol) { nesting = max(0, nesting - 1) }
      }
      tokens.append(token)
    }
  }

  private mutating func readToken() throws(TextError) -> TemplateToken {
    let start = position
    let first = scalars[start]
    if first == "'" || first == "\"" { return try readString(first) }
    if ("0"..."9").contains(first) { return try readNumber() }
    if isNameScalar(first) {
      while position < scalars.count, isNameScalar(scalars[position]) { position += 1 }
      return TemplateToken(form: .name(source.text(start..<position)), place: start)
    }
    for symbol in ["==", "!=", "<=", ">=", "//", "**"] where source.has(symbol, at: start) {
      position += 2
      return TemplateToken(form: .symbol(symbol), place: start)
    }
    guard "+-*/%~|.,:()[]{}<>=".unicodeScalars.contains(first) else {
      throw source.error(start, expected: "an expression", found: "\"\(first)\"")
    }
    position += 1
    return TemplateToken(form: .symbol(String(first)), place: start)
  }

  private mutating func readNumber() throws(TextError) -> TemplateToken {
    let start = position
    func isDigit(_ place: Int) -> Bool { place < scalars.count && ("0"..."9").contains(scalars[place]) }
    while isDigit(position) { position += 1 }
    var isWhole = true
    if position < scalars.count, scalars[position] == ".", isDigit(position + 1) {
      isWhole = false
      position += 1
      while isDigit(position) { position += 1 }
    }
    if position < scalars.count, scalars[position] == "e" || scalars[position] == "E" {
      let sign = position + 1 < scalars.count && "+-".unicodeScalars.contains(scalars[position + 1]) ? 1 : 0
      if isDigit(position + 1 + sign) {
        isWhole = false
        position += 1 + sign
        while isDigit(position) { position += 1 }
      }
    }
    if !isWhole {
      let text = source.text(start..<position)
      guard text.utf8.count <= 64, let number = Double(text) else {
        throw source.error(start, expected: "a number", found: text)
      }
      return TemplateToken(form: .float(number), place: start)
    }
    guard let number = Int(source.text(start..<position)) else {
      throw source.error(
        start, expected: "a number of 64 bits", found: "one of \(position - start) digits")
    }
    return TemplateToken(form: .int(number), place: start)
  }

  private mutating func readString(_ quote: Unicode.Scalar) throws(TextError) -> TemplateToken {
    let start = position
    var view = String.UnicodeScalarView()
    position += 1
    while position < scalars.count, scalars[position] != quote {
      if scalars[position] == "\\", position + 1 < scalars.count {
        try readEscape(&view)
      } else {
        view.append(scalars[position])
        position += 1
      }
    }
    guard position < scalars.count else {
      throw source.error(start, expected: "a string that ends", found: "none of its quotes again")
    }
    position += 1
    return TemplateToken(form: .string(String(view)), place: start)
  }

  /// Python's escapes; an unknown one stays as it is.
  private mutating func readEscape(_ view: inout String.UnicodeScalarView) throws(TextError) {
    let simple: [Unicode.Scalar: Unicode.Scalar] = [
      "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "0": "\0", "b": "\u{8}",
      "f": "\u{C}",
      "v": "\u{B}", "a": "\u{7}",
    ]
    let letter = scalars[position + 1]
    if let scalar = simple[letter] {
      view.append(scalar)
      position += 2
    } else if letter == "\n" {
      position += 2
    } else if let digits = ["x": 2, "u": 4, "U": 8][letter] {
      let end = position + 2 + digits
      guard end <= scalars.count, let code = UInt32(source.text((position + 2)..<end), radix: 16),
        let scalar = Unicode.Scalar(code)
      else {
        throw source.error(
          position, expected: "\\\(letter) with \(digits) hexadecimal digits", found: "others")
      }
      view.append(scalar)
      position = end
    } else {
      view.append("\\")
      position += 1
    }
  }

  private func mark(at place: Int) -> String? {
    guard place + 1 < scalars.count, scalars[place] == "{" else { return nil }
    switch scalars[place + 1] {
    case "{": return "{{"
    case "%": return "{%"
    case "#": return "{#"
    default: return nil
    }
  }

  private func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }

  private func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "_" || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
  }
}

/// A template's text, for errors that name the line and column.
struct TemplateSource: Sendable {
  let path: String
  let scalars: [Unicode.Scalar]

  /// The text with single line feeds, and without the one that it ends with.
  init(_ text: String, path: String) {
    self.path = path
    var scalars: [Unicode.Scalar] = []
    for scalar in text.unicodeScalars {
      if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
      scalars.append(scalar)
    }
    for index in scalars.indices where scalars[index] == "\r" { scalars[index] = "\n" }
    if scalars.last == "\n" { scalars.removeLast() }
    self.scalars = scalars
  }

  func text(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view)
  }

  func has(_ text: String, at place: Int) -> Bool {
    let wanted = Array(text.unicodeScalars)
    return place + wanted.count <= scalars.count
      && scalars[place..<(place + wanted.count)].elementsEqual(wanted)
  }

  func error(_ place: Int, expected: String, found: String) -> TextError {
    let before = scalars.prefix(place)
    let line = 1 + before.lazy.filter { $0 == "\n" }.count
    let column = place - (before.lastIndex(of: "\n").map { $0 + 1 } ?? 0) + 1
    return Source(path: path).error("line \(line), column \(column)", expected: expected, found: found)
  }
}
