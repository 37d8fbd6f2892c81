import Synchronization

/// The record of a computation, from which gradients are taken in reverse.
///
/// Nodes lie in one flat array and name their inputs by index, so neither the backward pass nor the release of a tape
/// recurses, however long it is. Most code does not touch a tape: ``valueAndGradients(of:detectingAnomalies:_:)`` makes
/// one. Used directly:
///
/// ```swift
/// let tape = Tape()
/// let x = tape.variable(Tensor([1, 2, 3] as [Float]))
/// let gradients = (x * x).sum().gradients(of: [x])
/// gradients[x]  // [2, 4, 6]
/// ```
///
/// A tape is consumed by the backward pass: the values saved for a node are freed as soon as it has been processed.
///
/// `@unchecked Sendable`: a tracked tensor may cross tasks, so recording takes the lock; the backward pass takes the
/// nodes out under the lock and works on them alone.
public final class Tape: @unchecked Sendable {
  /// Adds the gradients of a node's inputs, given that of its output, to a pass.
  package typealias Backward = (_ upstream: Tensor, _ pass: inout BackwardPass) -> Void

  struct Node {
    let operation: StaticString
    /// `nil` for a variable.
    var backward: Backward?
  }

  private var nodes = ContiguousArray<Node>()
  private let isLocked = Atomic<Bool>(false)
  private var isConsumed = false
  private let detectsAnomalies: Bool
  private var firstAnomaly: TensorError?

  /// Whether operations on tracked tensors are recorded in this task; see ``withoutGradients(_:)``.
  @TaskLocal static var isRecording = true

  /// An empty tape.
  ///
  /// - Parameter detectingAnomalies: whether every recorded result is searched for NaN and infinity, so that
  ///   ``anomaly`` can name the operation that made the first one. Slow; for finding a fault.
  public init(detectingAnomalies: Bool = false) {
    detectsAnomalies = detectingAnomalies
  }

  @inline(__always)
  private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
    while isLocked.exchange(true, ordering: .acquiring) {}
    defer { isLocked.store(false, ordering: .releasing) }
    return try body()
  }

  /// The first operation that made a NaN or an infinity, if the tape looks for them and met one.
  public var anomaly: TensorError? { locked { firstAnomaly } }

  /// The number of recorded nodes.
  public var count: Int { locked { nodes.count } }

  /// `value` as a variable of this tape: the start of what is recorded, with respect to which gradients are taken.
  ///
  /// - Precondition: `value` is of a floating-point type and not tracked by another tape, whose gradients would stop here: gradients
  ///   of gradients are not computed.
  public func variable(_ value: Tensor) -> Tensor {
    precondition(value.dtype.isFloatingPoint, "Tape.variable: a \(value.dtype) tensor has no gradient")
    precondition(
      value.tape == nil || value.tape === self,
      "Tape.variable: the value is tracked by another tape, and gradients of gradients are not computed; "
        + "pass its detached value to take it for a constant of that tape")
    var result = value
    result.tape = self
    result.node = append("variable", nil)
    return result
  }

  private func append(_ operation: StaticString, _ backward: Backward?) -> Int32 {
    locked {
      precondition(!isConsumed, "\(operation): the tape was consumed by a backward pass; record on a new one")
      nodes.append(Node(operation: operation, backward: backward))
      return Int32(nodes.count - 1)
    }
  }

  /// Records the operation that made `output`.
  @inline(__always)
  package func record(_ operation: StaticString, _ output: Tensor, _ backward: @escaping Backward) -> Tensor {
    var result = output
    result.tape = self
    result.node = append(operation, backward)
    if detectsAnomalies { noteAnomaly(operation, in: output, phase: .forward) }
    return result
  }

  fileprivate func noteAnomaly(_ operation: StaticString, in tensor: Tensor, phase: TensorError.Phase) {
    guard locked({ firstAnomaly == nil }), let index = tensor.firstNonFiniteIndex else { return }
    locked {
      if firstAnomaly == nil {
        firstAnomaly = .nonFinite(operation: "\(operation)", phase: phase, shape: tensor.shape, index: index)
      }
    }
  }

  /// Runs backward from `root` and returns the gradients of the variables at `targets`.
  func gradients(root: Int32, seed: Tensor, targets: [Int32]) -> [Int32: Gradient] {
    var work = locked {
      precondition(!isConsumed, "gradients(of:): the tape was consumed by an earlier backward pass")
      isConsumed = true
      let taken = nodes
      nodes = []
      return taken
    }
    var pass = BackwardPass(count: Int(root) + 1, tape: detectsAnomalies ? self : nil)
    pass.add(seed, to: root)
    var results: [Int32: Gradient] = [:]
    let wanted = Set(targets)
    var index = Int(root)
    while index >= 0 {
      let backward = work[index].backward
      work[index].backward = nil
      if let gradient = pass.take(Int32(index)) {
        if let backward {
          let upstream = gradient.dense()
          if wanted.contains(Int32(index)) { results[Int32(index)] = .dense(upstream) }
          pass.operation = work[index].operation
          backward(upstream, &pass)
        } else if wanted.contains(Int32(index)) {
          results[Int32(index)] = gradient.coalesced()
        }
      }
      index -= 1
    }
    return results
  }
}

/// Runs `body` without recording: tracked tensors give untracked results, in this task only.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  try Tape.$isRecording.withValue(false, operation: body)
}

/// The gradients under way in a backward pass, addressed by node.
package struct BackwardPass {
  /// A gradient that still grows; its storage is reused where nobody else holds it.
  private struct Slot {
    var dense: Tensor?
    var rows: SparseRows?
  }

  /// For each node, its place in `pool`, or -1.
  private var slots: [Int32]
  private var pool: ContiguousArray<Slot> = []
  private var free: [Int32] = []
  /// The tape, when it looks for anomalies.
  private let tape: Tape?
  /// The operation whose backward runs, for messages.
  fileprivate(set) var operation: StaticString = "gradients(of:)"

  init(count: Int, tape: Tape?) {
    slots = Array(repeating: -1, count: count)
    self.tape = tape
  }

  private mutating func place(_ gradient: Slot, at node: Int32) {
    if let slot = free.popLast() {
      pool[Int(slot)] = gradient
      slots[Int(node)] = slot
    } else {
      slots[Int(node)] = Int32(pool.count)
      pool.append(gradient)
    }
  }

  /// Adds `gradient` to that of `node`; nothing is computed for -1, an input that is not tracked.
  ///
  /// The first gradient of a node is kept as it is; only a second one is added to it.
  package mutating func add(_ gradient: @autoclosure () -> Tensor, to node: Int32) {
    guard node >= 0 else { return }
    let gradient = gradient()
    tape?.noteAnomaly(operation, in: gradient, phase: .backward)
    let slot = Int(slots[Int(node)])
    if slot < 0 { return place(Slot(dense: gradient), at: node) }
    if let rows = pool[slot].rows {
      pool[slot] = Slot(dense: rows.added(to: gradient))
    } else {
      pool[slot].dense?.accumulate(gradient)
    }
  }

  /// Adds the rows `values` at `indices` of a table of `rowCount` rows to the gradient of `node`.
  package mutating func addRows(_ values: Tensor, at indices: Tensor, rowCount: Int, to node: Int32) {
    guard node >= 0 else { return }
    tape?.noteAnomaly(operation, in: values, phase: .backward)
    let rows = SparseRows(indices: indices, values: values, rowCount: rowCount)
    let slot = Int(slots[Int(node)])
    if slot < 0 { return place(Slot(rows: rows), at: node) }
    if let existing = pool[slot].rows {
      pool[slot].rows = existing.appending(rows)
    } else if let existing = pool[slot].dense.take() {
      pool[slot].dense = rows.added(to: existing)
    }
  }

  /// Adds `part` to a slice of the gradient of `node`, whose shape is `shape`: many slices of one tensor cost as much as
  /// their elements, not as the tensor each.
  mutating func addPart(_ part: Tensor, at start: Int, along axis: Int, of shape: Shape, to node: Int32) {
    guard node >= 0 else { return }
    tape?.noteAnomaly(operation, in: part, phase: .backward)
    let slot = Int(slots[Int(node)])
    if slot < 0 {
      place(Slot(dense: part.embedded(in: shape, at: start, along: axis)), at: node)
    } else if let rows = pool[slot].rows {
      pool[slot] = Slot(dense: rows.added(to: part.embedded(in: shape, at: start, along: axis)))
    } else {
      pool[slot].dense?.accumulate(part, at: start, along: axis)
    }
  }

  /// Takes the finished gradient of `node` out of the pass.
  fileprivate mutating func take(_ node: Int32) -> Gradient? {
    let slot = slots[Int(node)]
    guard slot >= 0 else { return nil }
    slots[Int(node)] = -1
    free.append(slot)
    let taken = pool[Int(slot)]
    pool[Int(slot)] = Slot()
    if let dense = taken.dense { return .dense(dense) }
    return taken.rows.map { .rows($0) }
  }
}

extension Tensor {
  /// Records `output` as the result of `operation` on `self`.
  @inline(__always)
  func recording(_ operation: StaticString, _ output: Tensor, _ backward: @escaping Tape.Backward) -> Tensor {
    guard let tape, Tape.isRecording else { return output }
    return tape.record(operation, output, backward)
  }

  /// The tape of the inputs, if any of them is tracked and recording is on.
  ///
  /// - Precondition: all tracked inputs are on the same tape.
  static func commonTape(_ operation: StaticString, _ inputs: Tensor...) -> Tape? {
    commonTape(operation, inputs)
  }

  package static func commonTape(_ operation: StaticString, _ inputs: [Tensor]) -> Tape? {
    var common: Tape?
    for input in inputs {
      guard let tape = input.tape else { continue }
      precondition(
        common == nil || common === tape, "\(operation): the inputs are tracked by two different tapes")
      common = tape
    }
    return common != nil && Tape.isRecording ? common : nil
  }

  /// Two-operand form of `commonTape`, free of arrays: tiny operations pass here.
  @inline(__always)
  package static func tape(_ operation: StaticString, _ a: Tensor, _ b: Tensor) -> Tape? {
    guard let tape = a.tape ?? b.tape else { return nil }
    if let second = b.tape {
      precondition(second === tape, "\(operation): the inputs are tracked by two different tapes")
    }
    return Tape.isRecording ? tape : nil
  }

  /// Stops the program if this tensor is tracked: `operation` has no gradient, and training must not lose one silently.
  func requireUntracked(_ operation: StaticString) {
    precondition(
      tape == nil || !Tape.isRecording,
      "\(operation) has no gradient, but its input is tracked; use `detached` if no gradient should flow")
  }

  /// The gradients of this scalar with respect to variables of its tape.
  ///
  /// Consumes the tape.
  /// - Parameter variables: tensors made by ``Tape/variable(_:)``, or tracked results in between.
  /// - Returns: a store from which each gradient is read; a variable that the scalar does not depend on has none.
  public func gradients(of variables: [Tensor]) -> Gradients {
    precondition(elementCount == 1, "gradients(of:): the loss has shape \(shape), expected one element")
    return gradients(of: variables, upstream: .full(shape, 1, dtype: dtype))
  }

  /// The gradients of the sum of this tensor times `upstream`, element by element.
  public func gradients(of variables: [Tensor], upstream: Tensor) -> Gradients {
    guard let tape else {
      preconditionFailure(
        """
        gradients(of:): the loss is not tracked by any tape. Gradients themselves are not: a second derivative has to be \
        taken of an expression for the first one
        """)
    }
    precondition(
      upstream.shape == shape, "gradients(of:): upstream has shape \(upstream.shape), expected \(shape)")
    for variable in variables {
      precondition(variable.tape === tape, "gradients(of:): a variable belongs to another tape, or to none")
    }
    let found = tape.gradients(root: node, seed: upstream.detached, targets: variables.map(\.node))
    return Gradients(tape: tape, byNode: found, parameters: [])
  }
}
