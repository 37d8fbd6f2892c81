import TrestleFormats
import TrestleTensor

extension Communicator {
  /// Gives every rank one rank's parameters, buffers, dropout generators and optimizers: after a checkpoint was read, say.
  ///
  /// - Parameters:
  ///   - module: of the same shapes and types on all ranks.
  ///   - optimizers: by name, of the same kinds with the same groups of parameters on all ranks.
  ///   - root: the rank that has the state.
  /// - Throws: as ``broadcast(_:from:)``, and what coding the optimizers' settings throws.
  public func broadcastState(
    of module: some Module, optimizers: [String: Optimizer] = [:], from root: Int = 0
  ) throws {
    guard size > 1 else { return }
    for parameter in module.parameters { parameter.update(to: try broadcast(parameter.detached, from: root)) }
    for item in module.namedBuffers { item.buffer.update(to: try broadcast(item.buffer.value, from: root)) }
    let layers = module.namedModules.compactMap { $0.module as? Dropout }
    for (layer, generator) in zip(layers, try broadcast(layers.map(\.generator), from: root)) {
      layer.generator = generator
    }
    for (_, optimizer) in optimizers.sorted(by: { $0.key < $1.key }) { try broadcast(optimizer, from: root) }
  }

  private func broadcast(_ optimizer: Optimizer, from root: Int) throws {
    let settings = try broadcast(OptimizerSettings(optimizer), from: root)
    settings.apply(to: optimizer)
    for (parameter, record) in zip(optimizer.parameters, settings.states) {
      guard let record else {
        optimizer.setState(nil, of: parameter)
        continue
      }
      var state = OptimizerState()
      state.updateCount = record.updateCount
      for name in record.tensors {
        let layout = optimizer.stateLayout(name, of: parameter)
        let own = optimizer.state(of: parameter)?.tensors[name]
        state.tensors[name] = try broadcast(
          rank == root
            ? own ?? .zeros(layout.shape, dtype: layout.dtype)
            : Tensor(uninitialized: layout.shape, dtype: layout.dtype), from: root)
      }
      optimizer.setState(state, of: parameter)
    }
  }

  /// Stops unless all ranks' parameters have the same bits.
  ///
  /// - Throws: ``CommunicatorError/disagreement(about:rank:size:)`` on all ranks.
  public func requireSameParameters(_ module: some Module) throws(CommunicatorError) {
    guard size > 1 else { return }
    var hash = SHA256()
    for parameter in module.parameters { parameter.detached.withUnsafeBytes { hash.update($0) } }
    try requireAgreement(on: hash.finalized(), about: "model")
  }
}

/// An optimizer but for the tensors that it remembers.
private struct OptimizerSettings: Codable {
  struct State: Codable {
    let updateCount: Int
    let tensors: [String]
  }

  let stepCount: Int
  let schedule: LearningRateSchedule
  let maximumNorm: Double?
  let rates: [[Double]]
  /// By parameter.
  let states: [State?]

  init(_ optimizer: Optimizer) {
    stepCount = optimizer.stepCount
    schedule = optimizer.schedule
    maximumNorm = optimizer.maximumNorm
    rates = optimizer.groups.map { [$0.learningRate, $0.weightDecay, $0.multiplier] }
    states = optimizer.parameters.map { parameter in
      optimizer.state(of: parameter).map {
        State(updateCount: $0.updateCount, tensors: $0.tensors.keys.sorted())
      }
    }
  }

  func apply(to optimizer: Optimizer) {
    optimizer.stepCount = stepCount
    optimizer.schedule = schedule
    optimizer.maximumNorm = maximumNorm
    for (index, rates) in rates.enumerated() where optimizer.groups.indices.contains(index) {
      optimizer.groups[index].learningRate = rates[0]
      optimizer.groups[index].weightDecay = rates[1]
      optimizer.groups[index].multiplier = rates[2]
    }
  }
}
