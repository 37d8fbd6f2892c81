/// An expression, and where it begins in the template, counted in scalars.
struct TemplateExpression: Sendable {
  indirect enum Form: Sendable {
    case literal(TemplateValue)
    case name(String)
    case list([TemplateExpression], isTuple: Bool)
    case object([(key: TemplateExpression, value: TemplateExpression)])
    /// Operators of one rank, applied from the left.
    case arithmetic(TemplateExpression, [(symbol: String, operand: TemplateExpression)])
    /// Each operand compared with the next.
    case comparison(TemplateExpression, [(symbol: String, operand: TemplateExpression)])
    case all([TemplateExpression])
    case any([TemplateExpression])
    case not(TemplateExpression)
    case sign(TemplateExpression, isNegative: Bool)
    case choice(TemplateExpression, condition: TemplateExpression, otherwise: TemplateExpression?)
    /// Attributes, subscripts, calls, filters and tests, applied from the left.
    case chain(TemplateExpression, [Link])
  }

  /// One application to the value before it.
  struct Link: Sendable {
    enum Form: Sendable {
      case attribute(String)
      case subscripted(TemplateExpression)
      case sliced([TemplateExpression?])
      case call(Arguments)
      case filter(String, Arguments)
      case test(String, Arguments, isNegated: Bool)
    }
    let form: Form
    let place: Int
  }

  /// The arguments of a call.
  struct Arguments: Sendable {
    var values: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
  }

  let form: Form
  let place: Int

  init(_ form: Form, at place: Int) {
    self.form = form
    self.place = place
  }
}

/// What a template does, piece by piece.
struct TemplateStatement: Sendable {
  indirect enum Form: Sendable {
    case text(TemplateText)
    case output(TemplateExpression)
    case choice([(condition: TemplateExpression?, body: [TemplateStatement])])
    case loop(Loop)
    case assignment([Target], TemplateExpression)
    case capture(Target, [TemplateStatement])
    case macro(Int)
    case leave
    case skip
  }

  /// A loop over items.
  struct Loop: Sendable {
    let targets: [Target]
    let items: TemplateExpression
    let condition: TemplateExpression?
    let body: [TemplateStatement]
    let otherwise: [TemplateStatement]
  }

  /// A name, or an attribute of a namespace.
  struct Target: Sendable {
    let name: String
    let attribute: String?
    let place: Int
  }

  let form: Form
  let place: Int
}

/// A macro: its parameters, the last ones with defaults, and what it renders.
struct TemplateMacro: Sendable {
  let name: String
  let parameters: [(name: String, standard: TemplateExpression?)]
  let body: [TemplateStatement]
}
