import TrestleTensor

/// Steps of training whose batches are spread over ranks.
///
/// A step's gradient is the mean over N parts, one batch each; part p is computed by rank p modulo the number of ranks. N
/// parts on one process, on 2 ranks or on N give the same bits.
///
/// ```swift
/// let parallel = DataParallel(model, communicator: communicator, accumulation: 4)
/// for step in 0..<stepCount {
///   let batches = makeBatches(step)  // the same four on all ranks
///   let mean = try parallel.step(step) { part in
///     DataParallel.Part(exampleCount: batches[part].count) { model.loss(batches[part]) }
///   }
///   if let mean { optimizer.update(with: mean.gradients) }
/// }
/// ```
///
/// Every part draws its own dropout masks, by the step's and the part's number.
public final class DataParallel {
  /// A batch of a step.
  public struct Part {
    /// The number of examples that the loss is the mean over.
    public let exampleCount: Int
    /// Computes the loss, a tensor of one element.
    public let loss: () throws -> Tensor

    /// A batch of `exampleCount` examples.
    public init(exampleCount: Int, loss: @escaping () throws -> Tensor) {
      (self.exampleCount, self.loss) = (exampleCount, loss)
    }
  }

  /// The ranks.
  public let communicator: any Communicator
  /// N, the number of parts of a step.
  public let accumulation: Int
  private let parameters: [Parameter]
  private let reducer: GradientReducer
  private let dropout: PartDropout

  /// Steps of a module's training.
  ///
  /// - Parameters:
  ///   - module: its dropout layers are those of the loss.
  ///   - parameters: what gradients are taken of, the same in the same order on all ranks; `nil` for the module's
  ///     trainable ones.
  ///   - communicator: the ranks.
  ///   - accumulation: the number of parts of a step; `nil` for one a rank.
  /// - Throws: ``CommunicatorError/unsuitable(expected:found:)`` for fewer parts than ranks, and for several parts of a
  ///   module with buffers (running statistics), which would depend on which rank has which part.
  public init(
    _ module: some Module, parameters: [Parameter]? = nil, communicator: any Communicator,
    accumulation: Int? = nil
  ) throws(CommunicatorError) {
    let parts = accumulation ?? communicator.size
    guard parts >= communicator.size else {
      throw .unsuitable(
        expected: "at least one batch a step for each rank",
        found: "\(parts) of \(communicator.size) ranks: start fewer ranks, or accumulate more")
    }
    if parts > 1, let buffer = module.namedBuffers.first {
      throw .unsuitable(
        expected: "a model without running statistics where several batches make a step",
        found: "the buffer '\(buffer.name)'")
    }
    self.communicator = communicator
    self.accumulation = parts
    self.parameters = parameters ?? module.trainableParameters
    reducer = GradientReducer(self.parameters, communicator)
    dropout = PartDropout(module)
  }

  /// Computes the mean loss of a step's parts and its gradients.
  ///
  /// - Parameters:
  ///   - number: the step's number, which determines the dropout masks; the optimizer's number of steps, as a rule.
  ///   - part: gives one of this rank's parts by its number, 0 ..< N; asked in ascending order. `nil` if the data ends
  ///     before it: then all later ones must be `nil`, too.
  /// - Returns: the mean over all parts, the same on all ranks; `nil` if there was none.
  /// - Throws: what a loss throws, and ``CommunicatorError`` if a rank is lost or the engine fails.
  public func step(_ number: Int, _ part: (Int) throws -> Part?) throws -> GradientReducer.Mean? {
    if accumulation == 1 {
      guard let own = try part(0) else { return nil }
      let (value, gradients) = try valueAndGradients(of: parameters) { try own.loss() }
      return GradientReducer.Mean(gradients: gradients, exampleCount: own.exampleCount, loss: value.item)
    }
    let size = communicator.size
    for first in stride(from: 0, to: accumulation, by: size) {
      let own = first + communicator.rank
      let computed = own < accumulation ? try part(own).map { try compute($0, number, own) } : nil
      // Where the data has ended no later round has parts.
      if try reducer.add(computed) < min(size, accumulation - first) { break }
    }
    return try reducer.mean()
  }

  private func compute(_ part: Part, _ step: Int, _ number: Int) throws -> GradientReducer.Part {
    let (value, gradients) = try dropout.drawing(step: step, part: number) {
      try valueAndGradients(of: parameters) { try part.loss() }
    }
    return GradientReducer.Part(gradients, exampleCount: part.exampleCount, loss: value.item)
  }
}

/// The dropout layers of a module, whose masks are drawn by a step's and a part's number: they do not depend on which rank
/// computes the part.
package struct PartDropout {
  private let layers: [Dropout]

  /// The layers of `module`.
  package init(_ module: some Module) { layers = module.namedModules.compactMap { $0.module as? Dropout } }

  /// What `body` computes with the masks of a part. The layers' own generators are as before in the end.
  package func drawing<Output>(step: Int, part: Int, _ body: () throws -> Output) rethrows -> Output {
    let before = layers.map(\.generator)
    for layer in layers { layer.generator = layer.generator.split(UInt64(step)).split(UInt64(part)) }
    defer { for (layer, generator) in zip(layers, before) { layer.generator = generator } }
    return try body()
  }
}
