/// The gradient of one variable: dense, or some rows of a table.
public enum Gradient: Sendable {
  /// A tensor of the variable's shape.
  case dense(Tensor)
  /// The rows of a table that a batch touched.
  case rows(SparseRows)

  /// The gradient as a tensor of the variable's shape.
  public func dense() -> Tensor {
    switch self {
    case .dense(let tensor): tensor
    case .rows(let rows): rows.dense()
    }
  }

  /// The sum of two gradients of one variable.
  func adding(_ other: Gradient) -> Gradient {
    switch (self, other) {
    case (.dense(let a), .dense(let b)): return .dense(a + b)
    case (.rows(let a), .rows(let b)): return .rows(a.appending(b))
    case (.dense(let a), .rows(let b)), (.rows(let b), .dense(let a)): return .dense(b.added(to: a))
    }
  }

  /// The gradient times a number.
  public func scaled(by factor: Double) -> Gradient {
    switch self {
    case .dense(let tensor): .dense(tensor * factor)
    case .rows(let rows): .rows(rows.scaled(by: factor))
    }
  }

  /// Each row named once, in ascending order; dense gradients as they are.
  package func coalesced() -> Gradient {
    guard case .rows(let rows) = self else { return self }
    return .rows(rows.coalesced())
  }
}

/// Gradients of variables and parameters: what a backward pass returns. Nothing is hidden on tensors.
public struct Gradients {
  let tape: Tape
  private var byNode: [Int32: Gradient]
  private var byParameter: [ObjectIdentifier: Gradient] = [:]
  /// The parameters that have a gradient, in the order in which they were asked for.
  public private(set) var parameters: [Parameter] = []

  /// No gradients yet, to be set by parameter.
  public init() { self.init(tape: Tape(), byNode: [:], parameters: []) }

  init(tape: Tape, byNode: [Int32: Gradient], parameters: [(Parameter, Int32)]) {
    self.tape = tape
    self.byNode = byNode
    for (parameter, node) in parameters {
      guard let gradient = self.byNode.removeValue(forKey: node) else { continue }
      byParameter[ObjectIdentifier(parameter)] = gradient
      self.parameters.append(parameter)
    }
  }

  /// The gradient of a variable as a dense tensor; `nil` if the loss does not depend on it.
  public subscript(variable: Tensor) -> Tensor? {
    precondition(variable.tape === tape, "Gradients: the variable belongs to another tape, or to none")
    return byNode[variable.node]?.dense()
  }

  /// The gradient of a parameter; `nil` if the loss does not depend on it.
  public subscript(parameter: Parameter) -> Gradient? {
    get { byParameter[ObjectIdentifier(parameter)] }
    set {
      let key = ObjectIdentifier(parameter)
      if newValue != nil && byParameter[key] == nil { parameters.append(parameter) }
      if newValue == nil { parameters.removeAll { $0 === parameter } }
      byParameter[key] = newValue
    }
  }

  /// Adds `other`'s gradients to these: accumulation over several batches.
  public mutating func add(_ other: Gradients) {
    for parameter in other.parameters {
      guard let gradient = other[parameter] else { continue }
      let key = ObjectIdentifier(parameter)
      if let existing = byParameter.removeValue(forKey: key) {
        byParameter[key] = existing.adding(gradient).coalesced()
      } else {
        byParameter[key] = gradient
        parameters.append(parameter)
      }
    }
  }

  /// The Euclidean norm over all parameters' gradients together.
  public var norm: Double { norm(of: parameters) }

  /// The Euclidean norm over the gradients of some parameters together; one without a gradient counts as zero.
  public func norm(of parameters: [Parameter]) -> Double {
    var total = 0.0
    for parameter in parameters {
      switch self[parameter] {
      case .dense(let tensor): total += tensor.sumOfSquares
      case .rows(let rows): total += rows.coalesced().values.sumOfSquares
      case nil: break
      }
    }
    return total.squareRoot()
  }

  /// Multiplies every gradient by `factor`.
  public mutating func scale(by factor: Double) {
    for parameter in parameters {
      let key = ObjectIdentifier(parameter)
      byParameter[key] = byParameter[key]?.scaled(by: factor)
    }
  }

  /// Scales all gradients so that their common norm is at most `maximum`, and returns the norm before.
  @discardableResult
  public mutating func clip(toNorm maximum: Double) -> Double {
    let norm = self.norm
    if norm > maximum { scale(by: maximum / (norm + 1e-6)) }
    return norm
  }
}
