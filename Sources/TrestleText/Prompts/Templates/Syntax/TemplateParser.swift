/// Reads a template's statements.
struct TemplateParser {
  /// How deep statements and expressions may stand in one another: a parser's call each, so that its stack is bounded.
  static let maximumDepth = 48

  let source: TemplateSource
  var macros: [TemplateMacro] = []
  private let tokens: [TemplateToken]
  private var position = 0
  private var depth = 0
  private var loopCount = 0

  init(_ source: TemplateSource) throws(TextError) {
    self.source = source
    tokens = try TemplateLexer.tokens(of: source)
  }

  /// The whole template.
  mutating func parse() throws(TextError) -> [TemplateStatement] {
    let body = try parseBody(until: [])
    guard case .end = current.form else { throw unexpected("a statement") }
    return body
  }

  // MARK: Tokens

  var current: TemplateToken { tokens[position] }
  var place: Int { current.place }

  mutating func advance() { position = min(position + 1, tokens.count - 1) }

  /// Passes a symbol if it comes next.
  mutating func take(_ symbol: String) -> Bool {
    guard case .symbol(symbol) = current.form else { return false }
    advance()
    return true
  }

  /// Passes a word if it comes next.
  mutating func takeName(_ name: String) -> Bool {
    guard case .name(name) = current.form else { return false }
    advance()
    return true
  }

  mutating func expect(_ symbol: String) throws(TextError) {
    guard take(symbol) else { throw unexpected("\"\(symbol)\"") }
  }

  mutating func expectName() throws(TextError) -> String {
    guard case .name(let name) = current.form else { throw unexpected("a name") }
    advance()
    return name
  }

  private mutating func expectMark(_ mark: String) throws(TextError) {
    guard case .mark(mark) = current.form else { throw unexpected(mark) }
    advance()
  }

  func unexpected(_ expected: String) -> TextError {
    let found =
      switch current.form {
      case .text: "text"
      case .mark(let mark): mark
      case .name(let name): "\"\(name)\""
      case .string: "a string"
      case .int, .float: "a number"
      case .symbol(let symbol): "\"\(symbol)\""
      case .end: "the end"
      }
    return source.error(place, expected: expected, found: found)
  }

  /// Calls a part of the parser one level deeper.
  mutating func nested<Result>(
    _ body: (inout TemplateParser) throws(TextError) -> Result
  ) throws(TextError) -> Result {
    guard depth < Self.maximumDepth else {
      throw source.error(
        place, expected: "at most \(Self.maximumDepth) expressions and blocks in one another", found: "more")
    }
    depth += 1
    let result = try body(&self)
    depth -= 1
    return result
  }

  // MARK: Statements

  /// The next tag's name, if a block begins here.
  private var tag: String? {
    guard case .mark("{%") = current.form, position + 1 < tokens.count,
      case .name(let name) = tokens[position + 1].form
    else { return nil }
    return name
  }

  /// Statements up to a tag of one of those names, which is not passed.
  private mutating func parseBody(until ends: Set<String>) throws(TextError) -> [TemplateStatement] {
    try nested { (parser) throws(TextError) in
      var body: [TemplateStatement] = []
      while true {
        let place = parser.place
        switch parser.current.form {
        case .text(let text):
          parser.advance()
          body.append(.init(form: .text(TemplateText(text)), place: place))
        case .mark("{{"):
          parser.advance()
          let expression = try parser.parseTuple()
          try parser.expectMark("}}")
          body.append(.init(form: .output(expression), place: place))
        case .mark("{%"):
          if let tag = parser.tag, ends.contains(tag) { return body }
          parser.advance()
          try parser.parseTag(into: &body, at: place)
        default: return body
        }
      }
    }
  }

  private mutating func parseTag(into body: inout [TemplateStatement], at place: Int) throws(TextError) {
    func add(_ form: TemplateStatement.Form) { body.append(.init(form: form, place: place)) }
    let namePlace = self.place
    switch try expectName() {
    case "if": add(.choice(try parseChoice()))
    case "for": add(.loop(try parseLoop()))
    case "set": add(try parseSet())
    case "macro": add(.macro(try parseMacro(at: place)))
    case "generation":
      // What the assistant says: Hugging Face's mark for loss masks, which renders what is in it.
      try expectMark("%}")
      body += try parseBody(until: ["endgeneration"])
      try endBlock("endgeneration")
    case "break", "continue":
      guard loopCount > 0 else {
        throw source.error(namePlace, expected: "break and continue inside a loop", found: "one outside")
      }
      if case .name("break") = tokens[position - 1].form { add(.leave) } else { add(.skip) }
      try expectMark("%}")
    case let name:
      throw source.error(
        namePlace, expected: "if, for, set, macro, generation, break or continue", found: "\"\(name)\"")
    }
  }

  private mutating func endBlock(_ name: String) throws(TextError) {
    guard tag == name else { throw unexpected("{% \(name) %}") }
    advance()
    advance()
    try expectMark("%}")
  }

  private mutating func parseChoice() throws(TextError)
    -> [(condition: TemplateExpression?, body: [TemplateStatement])]
  {
    var branches: [(condition: TemplateExpression?, body: [TemplateStatement])] = []
    var condition: TemplateExpression? = try parseTuple()
    while true {
      try expectMark("%}")
      branches.append((condition, try parseBody(until: ["elif", "else", "endif"])))
      guard condition != nil, tag == "elif" || tag == "else" else { break }
      let isElse = tag == "else"
      advance()
      advance()
      condition = isElse ? nil : try parseTuple()
    }
    try endBlock("endif")
    return branches
  }

  private mutating func parseLoop() throws(TextError) -> TemplateStatement.Loop {
    let targets = try parseTargets()
    guard takeName("in") else { throw unexpected("\"in\"") }
    let items = try parseTuple(withChoice: false)
    let condition = takeName("if") ? try parseExpression() : nil
    try expectMark("%}")
    loopCount += 1
    let body = try parseBody(until: ["else", "endfor"])
    loopCount -= 1
    var otherwise: [TemplateStatement] = []
    if tag == "else" {
      advance()
      advance()
      try expectMark("%}")
      otherwise = try parseBody(until: ["endfor"])
    }
    try endBlock("endfor")
    return .init(targets: targets, items: items, condition: condition, body: body, otherwise: otherwise)
  }

  private mutating func parseTargets() throws(TextError) -> [TemplateStatement.Target] {
    let isEnclosed = take("(")
    var targets: [TemplateStatement.Target] = []
    repeat {
      let start = place
      let name = try expectName()
      let attribute = take(".") ? try expectName() : nil
      targets.append(.init(name: name, attribute: attribute, place: start))
    } while take(",")
    if isEnclosed { try expect(")") }
    return targets
  }

  private mutating func parseSet() throws(TextError) -> TemplateStatement.Form {
    let targets = try parseTargets()
    if take("=") {
      let value = try parseTuple()
      try expectMark("%}")
      return .assignment(targets, value)
    }
    guard targets.count == 1 else { throw unexpected("\"=\"") }
    try expectMark("%}")
    let body = try parseBody(until: ["endset"])
    try endBlock("endset")
    return .capture(targets[0], body)
  }

  private mutating func parseMacro(at place: Int) throws(TextError) -> Int {
    let name = try expectName()
    var parameters: [(name: String, standard: TemplateExpression?)] = []
    try expect("(")
    while !take(")") {
      let parameter = try expectName()
      parameters.append((parameter, take("=") ? try parseExpression() : nil))
      guard take(",") else {
        try expect(")")
        break
      }
    }
    try expectMark("%}")
    let loops = loopCount
    loopCount = 0
    let body = try parseBody(until: ["endmacro"])
    loopCount = loops
    try endBlock("endmacro")
    macros.append(TemplateMacro(name: name, parameters: parameters, body: body))
    return macros.count - 1
  }
}
