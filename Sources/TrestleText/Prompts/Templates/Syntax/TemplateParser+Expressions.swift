extension TemplateParser {
  /// Expressions with commas between them are a tuple.
  mutating func parseTuple(withChoice: Bool = true) throws(TextError) -> TemplateExpression {
    let start = place
    let first = withChoice ? try parseExpression() : try parseAny()
    guard case .symbol(",") = current.form else { return first }
    var items = [first]
    while take(",") {
      if isAtEnd { break }
      items.append(withChoice ? try parseExpression() : try parseAny())
    }
    return TemplateExpression(.list(items, isTuple: true), at: start)
  }

  private var isAtEnd: Bool {
    switch current.form {
    case .mark, .end, .text: true
    case .symbol(let symbol): symbol == ")" || symbol == "]" || symbol == "}"
    default: false
    }
  }

  /// `a if b else c`, and everything that binds more tightly.
  mutating func parseExpression() throws(TextError) -> TemplateExpression {
    try nested { (parser) throws(TextError) in
      let start = parser.place
      let value = try parser.parseAny()
      guard parser.takeName("if") else { return value }
      let condition = try parser.parseAny()
      let otherwise = parser.takeName("else") ? try parser.parseExpression() : nil
      return TemplateExpression(.choice(value, condition: condition, otherwise: otherwise), at: start)
    }
  }

  mutating func parseAny() throws(TextError) -> TemplateExpression {
    let start = place
    var operands = [try parseAll()]
    while takeName("or") { operands.append(try parseAll()) }
    return operands.count == 1 ? operands[0] : TemplateExpression(.any(operands), at: start)
  }

  private mutating func parseAll() throws(TextError) -> TemplateExpression {
    let start = place
    var operands = [try parseNot()]
    while takeName("and") { operands.append(try parseNot()) }
    return operands.count == 1 ? operands[0] : TemplateExpression(.all(operands), at: start)
  }

  private mutating func parseNot() throws(TextError) -> TemplateExpression {
    let start = place
    guard takeName("not") else { return try parseComparison() }
    return try nested { (parser) throws(TextError) in
      TemplateExpression(.not(try parser.parseNot()), at: start)
    }
  }

  private mutating func parseComparison() throws(TextError) -> TemplateExpression {
    let start = place
    let first = try parseArithmetic(0)
    var rest: [(symbol: String, operand: TemplateExpression)] = []
    while true {
      var symbol: String?
      switch current.form {
      case .symbol(let text) where ["==", "!=", "<", "<=", ">", ">="].contains(text):
        advance()
        symbol = text
      case .name("in"):
        advance()
        symbol = "in"
      case .name("not"):
        advance()
        guard takeName("in") else { throw unexpected("\"in\" after \"not\"") }
        symbol = "not in"
      default: break
      }
      guard let symbol else { break }
      rest.append((symbol, try parseArithmetic(0)))
    }
    return rest.isEmpty ? first : TemplateExpression(.comparison(first, rest), at: start)
  }

  /// Sums, then `~`, then products: each rank binds more tightly than the one before.
  private mutating func parseArithmetic(_ rank: Int) throws(TextError) -> TemplateExpression {
    let ranks: [Set<String>] = [["+", "-"], ["~"], ["*", "/", "//", "%"]]
    guard rank < ranks.count else { return try parseUnary(withFilters: true) }
    let start = place
    let first = try parseArithmetic(rank + 1)
    var rest: [(symbol: String, operand: TemplateExpression)] = []
    while case .symbol(let symbol) = current.form, ranks[rank].contains(symbol) {
      advance()
      rest.append((symbol, try parseArithmetic(rank + 1)))
    }
    return rest.isEmpty ? first : TemplateExpression(.arithmetic(first, rest), at: start)
  }

  private mutating func parseUnary(withFilters: Bool) throws(TextError) -> TemplateExpression {
    let start = place
    let base: TemplateExpression
    let isNegative: Bool = if case .symbol("-") = current.form { true } else { false }
    if take("-") || take("+") {
      base = try nested { (parser) throws(TextError) in
        TemplateExpression(
          .sign(try parser.parseUnary(withFilters: false), isNegative: isNegative), at: start)
      }
    } else {
      base = try parsePrimary()
    }
    var links: [TemplateExpression.Link] = []
    while let link = try parsePostfix() { links.append(link) }
    while withFilters, let link = try parseFilter(after: links.count) { links.append(link) }
    return links.isEmpty ? base : TemplateExpression(.chain(base, links), at: start)
  }

  private mutating func parsePrimary() throws(TextError) -> TemplateExpression {
    let start = place
    func make(_ form: TemplateExpression.Form) -> TemplateExpression { TemplateExpression(form, at: start) }
    switch current.form {
    case .name(let name):
      advance()
      switch name {
      case "true", "True": return make(.literal(.bool(true)))
      case "false", "False": return make(.literal(.bool(false)))
      case "none", "None": return make(.literal(.none))
      default: return make(.name(name))
      }
    case .string(var text):
      advance()
      // Neighbouring strings are one.
      while case .string(let more) = current.form {
        text += more
        advance()
      }
      return make(.literal(.text(TemplateText(text))))
    case .int(let number):
      advance()
      return make(.literal(.int(number)))
    case .float(let number):
      advance()
      return make(.literal(.float(number)))
    case .symbol("("):
      advance()
      if take(")") { return make(.list([], isTuple: true)) }
      let inner = try parseTuple()
      try expect(")")
      return inner
    case .symbol("["):
      advance()
      return make(.list(try parseItems(until: "]"), isTuple: false))
    case .symbol("{"):
      advance()
      return make(.object(try parseMembers()))
    default: throw unexpected("an expression")
    }
  }

  private mutating func parseItems(until end: String) throws(TextError) -> [TemplateExpression] {
    var items: [TemplateExpression] = []
    while !take(end) {
      items.append(try parseExpression())
      guard take(",") else {
        try expect(end)
        break
      }
    }
    return items
  }

  private mutating func parseMembers() throws(TextError)
    -> [(key: TemplateExpression, value: TemplateExpression)]
  {
    var members: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !take("}") {
      let key = try parseExpression()
      try expect(":")
      members.append((key, try parseExpression()))
      guard take(",") else {
        try expect("}")
        break
      }
    }
    return members
  }

  /// An attribute, a subscript, a slice or a call.
  private mutating func parsePostfix() throws(TextError) -> TemplateExpression.Link? {
    let start = place
    if take(".") {
      if case .int(let index) = current.form {
        advance()
        return .init(form: .subscripted(TemplateExpression(.literal(.int(index)), at: start)), place: start)
      }
      return .init(form: .attribute(try expectName()), place: start)
    }
    if take("[") { return .init(form: try parseSubscript(), place: start) }
    if take("(") { return .init(form: .call(try parseArguments()), place: start) }
    return nil
  }

  private mutating func parseSubscript() throws(TextError) -> TemplateExpression.Link.Form {
    var parts: [TemplateExpression?] = []
    var isSlice = false
    while true {
      if take(":") {
        parts.append(nil)
        isSlice = true
      } else if take("]") {
        parts.append(nil)
        break
      } else {
        parts.append(try parseTuple())
        if take(":") {
          isSlice = true
        } else {
          try expect("]")
          break
        }
      }
    }
    if isSlice, parts.count <= 3 { return .sliced(parts) }
    guard !isSlice, let index = parts[0] else { throw unexpected("an index, or up to three numbers") }
    return .subscripted(index)
  }

  private mutating func parseArguments() throws(TextError) -> TemplateExpression.Arguments {
    var arguments = TemplateExpression.Arguments()
    while !take(")") {
      let value = try parseExpression()
      if case .name(let name) = value.form, take("=") {
        arguments.named.append((name, try parseExpression()))
      } else {
        guard arguments.named.isEmpty else { throw unexpected("arguments without names before those with") }
        arguments.values.append(value)
      }
      guard take(",") else {
        try expect(")")
        break
      }
    }
    return arguments
  }

  /// A filter, a test, or a call of what a filter gave.
  private mutating func parseFilter(after count: Int) throws(TextError) -> TemplateExpression.Link? {
    let start = place
    if take("|") {
      let name = try expectName()
      return .init(form: .filter(name, take("(") ? try parseArguments() : .init()), place: start)
    }
    if takeName("is") {
      let isNegated = takeName("not")
      let name = try expectName()
      return .init(form: .test(name, try parseTestArguments(), isNegated: isNegated), place: start)
    }
    return nil
  }

  /// A test's arguments: in parentheses, or one expression without them.
  private mutating func parseTestArguments() throws(TextError) -> TemplateExpression.Arguments {
    if take("(") { return try parseArguments() }
    switch current.form {
    case .name(let name) where !["else", "or", "and", "is", "if", "in", "not"].contains(name): break
    case .string, .int, .float, .symbol("["), .symbol("{"): break
    default: return .init()
    }
    return .init(values: [
      try nested { (parser) throws(TextError) in try parser.parseUnary(withFilters: false) }
    ])
  }
}
