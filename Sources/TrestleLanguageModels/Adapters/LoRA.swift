import TrestleFormats
import TrestleNN
import TrestleTensor

/// The settings of low-rank adapters: W x becomes W x + (α / r) B A x, with A `[r, inputs]` and B `[outputs, r]`.
///
/// ```swift
/// let lora = LoRA(rank: 8, alpha: 16, targets: ["q_proj", "v_proj"])
/// let adapters = try lora.load(into: model, using: generator)  // freezes the model, trains the adapters alone
/// ```
///
/// Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (2021).
public struct LoRA: Codable, Sendable, Hashable {
  /// r, the rank.
  public var rank: Int
  /// α: the update is scaled by α / r.
  public var alpha: Double
  /// The last parts of the names of the linear layers to adapt.
  public var targets: [String]

  /// The settings; by default those that the recommendation tasks train well with.
  public init(rank: Int = 8, alpha: Double = 16, targets: [String] = ["q_proj", "v_proj"]) {
    self.rank = rank
    self.alpha = alpha
    self.targets = targets
  }

  /// What the update is multiplied by, α / r.
  public var scale: Double { alpha / Double(max(rank, 1)) }

  /// Adds adapters to the target layers of `model`, and freezes everything else in it.
  ///
  /// A is drawn uniformly (Kaiming with a = √5, as PEFT does), B is zero: the model computes the same at first.
  /// - Returns: the adapters.
  /// - Throws: ``LanguageModelError/adapter(_:)`` if no layer matches a target, or a number is out of range.
  @discardableResult
  public func load(
    into model: some LanguageModel, using generator: RandomGenerator
  ) throws(LanguageModelError) -> LoRAAdapters {
    var generator = generator
    return try load(into: model) { name, linear in
      let bound = 1 / Double(linear.inputs).squareRoot()
      return (
        Tensor.uniform([rank, linear.inputs], in: -bound..<bound, using: &generator),
        Tensor.zeros([linear.outputs, rank])
      )
    }
  }

  /// Adds adapters with the given matrices.
  func load(
    into model: some LanguageModel,
    _ matrices: (String, Linear) throws(LanguageModelError) -> (a: Tensor, b: Tensor)
  ) throws(LanguageModelError) -> LoRAAdapters {
    let adapters = try adapters(for: model) { name, linear throws(LanguageModelError) in
      let (a, b) = try matrices(name, linear)
      return LoRAAdapter(a: a, b: b, scale: scale)
    }
    adapters.attach(to: model)
    return adapters
  }

  /// Makes adapters for the target layers; the model stays as it is.
  func adapters(
    for model: some LanguageModel,
    _ make: (String, Linear) throws(LanguageModelError) -> LoRAAdapter
  ) throws(LanguageModelError) -> LoRAAdapters {
    let check = RangeCheck(path: "")
    try check("r", rank, in: 1...4096)
    try check("lora_alpha", alpha, in: 1e-6...1e6)
    let layers = model.namedLinears
    for target in targets where !layers.contains(where: { Self.matches($0.name, target) }) {
      throw .adapter(
        .init("", at: "target_modules", expected: "the name of a linear layer", found: "\"\(target)\""))
    }
    var entries: [LoRAAdapters.Entry] = []
    for layer in layers where targets.contains(where: { Self.matches(layer.name, $0) }) {
      entries.append(
        .init(name: layer.name, linear: layer.linear, adapter: try make(layer.name, layer.linear)))
    }
    return LoRAAdapters(settings: self, entries: entries)
  }

  /// Whether a layer's name is the target, or ends with it after a dot.
  static func matches(_ name: String, _ target: String) -> Bool {
    name.hasSameBytes(as: target) || name.hasSuffix("." + target)
  }
}

/// The low-rank update of one linear layer.
public final class LoRAAdapter: LinearAdapter {
  /// The names that PEFT gives the matrices.
  public static let checkpointKeys = ["a": "lora_A.weight", "b": "lora_B.weight"]
  /// A, `[rank, inputs]`.
  public let a: Parameter
  /// B, `[outputs, rank]`.
  public let b: Parameter
  /// What the update is multiplied by.
  public let scale: Double
  /// What the rows of A's products are multiplied by while it has any; shared by all adapters of a model.
  var gate: LoRAGate?

  /// An adapter of the given matrices.
  public init(a: Tensor, b: Tensor, scale: Double) {
    precondition(
      a.rank == 2 && b.rank == 2 && a.shape[0] == b.shape[1], "LoRAAdapter: A \(a.shape), B \(b.shape)")
    self.a = Parameter(a)
    self.b = Parameter(b)
    self.scale = scale
  }

  /// output + scale · (input Aᵀ) Bᵀ, gated if there is a gate.
  public func adapt(input: Tensor, output: Tensor) -> Tensor {
    var low = input.matmul(a.value, transposingOther: true) * scale
    if let rows = gate?.rows {
      precondition(rows.shape == low.shape, "LoRAAdapter: gates \(rows.shape) for products \(low.shape)")
      low = low * rows
    }
    return output + low.matmul(b.value, transposingOther: true)
  }

  /// scale · B A, `[outputs, inputs]`: what the adapter adds to the layer's matrix.
  public var update: Tensor { b.detached.matmul(a.detached) * scale }
}

/// What the ranks of a model's adapters are multiplied by, row by row of what passes through them.
final class LoRAGate {
  /// `[rows, rank]`; `nil` is all ones.
  var rows: Tensor?
}

/// The adapters that ``LoRA`` has added to a model.
public final class LoRAAdapters {
  struct Entry {
    let name: String
    let linear: Linear
    let adapter: LoRAAdapter
  }

  /// The settings they were made with.
  public let settings: LoRA
  let entries: [Entry]
  private let gate = LoRAGate()

  init(settings: LoRA, entries: [Entry]) {
    self.settings = settings
    self.entries = entries
    for entry in entries { entry.adapter.gate = gate }
  }

  /// Runs `body` with gates: in every adapter row i of A's product is multiplied by row i of `gates`, so that each row of the
  /// input has a mixture of the adapter's ranks of its own. Gradients flow into the gates too.
  ///
  /// - Parameters:
  ///   - gates: `[rows, rank]`, a row for each that passes through the model in `body`; `nil` for none.
  ///   - body: a pass through the model, which computes nothing again when gradients are taken.
  public func gated<Result>(by gates: Tensor?, _ body: () throws -> Result) rethrows -> Result {
    let before = gate.rows
    gate.rows = gates
    defer { gate.rows = before }
    return try body()
  }

  /// Freezes the model and puts the adapters on: the step that cannot fail.
  func attach(to model: some LanguageModel) {
    model.freeze()
    reload()
  }

  /// A and B of every adapter.
  public var parameters: [Parameter] { entries.flatMap(\.adapter.parameters) }

  /// Adds every update to its layer's matrix and takes the adapters off; quantised matrices become dense.
  public func fuse() {
    for entry in entries {
      let fused = entry.linear.matrix.densified() + entry.adapter.update
      if case .dense(let parameter) = entry.linear.matrix {
        parameter.update(to: fused.converted(to: parameter.detached.dtype))
      } else {
        entry.linear.replaceMatrix(by: .dense(Parameter(fused, isTrainable: false)))
      }
      entry.linear.adapter = nil
    }
  }

  /// Takes the adapters off: the model computes as before them.
  public func unload() { for entry in entries { entry.linear.adapter = nil } }

  /// Puts the adapters on again after ``unload()``.
  public func reload() { for entry in entries { entry.linear.adapter = entry.adapter } }
}
