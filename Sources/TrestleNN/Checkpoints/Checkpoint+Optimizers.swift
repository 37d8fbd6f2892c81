import TrestleFormats
import TrestleTensor

/// A saved optimizer, whatever the cursor's type.
struct RestoredOptimizer {
  let kind: String
  let stepCount: Int
  let schedule: LearningRateSchedule
  let maximumNorm: Double?
  let groups:
    [(name: String, learningRate: Double, weightDecay: Double, multiplier: Double, parameters: [String])]
  let states: [(parameter: String, updateCount: Int, tensors: [String])]

  init<Cursor>(_ record: CheckpointManifest<Cursor>.OptimizerRecord) {
    kind = record.kind
    stepCount = record.stepCount
    schedule = record.schedule
    maximumNorm = record.maximumNorm
    groups = record.groups.map { ($0.name, $0.learningRate, $0.weightDecay, $0.multiplier, $0.parameters) }
    states = record.states.map { ($0.parameter, $0.updateCount, $0.tensors) }
  }
}

extension Checkpoint {
  /// Checks a saved optimizer against `optimizer` and returns what puts it in.
  static func restoring(
    _ optimizer: Optimizer, _ key: String, _ names: Names, _ settings: RestoredOptimizer,
    _ file: SafetensorsFile
  ) throws -> () -> Void {
    let groups = settings.groups
    let place = "optimizer '\(key)'"
    let kind = "\(type(of: optimizer))"
    guard kind == settings.kind else {
      throw NNError.mismatch(.init(file.file.path, at: place, expected: kind, found: settings.kind))
    }
    let own = optimizer.groups.map { $0.parameters.map { names[$0, key] } }
    guard own == groups.map(\.parameters) else {
      throw NNError.mismatch(
        .init(
          file.file.path, at: place + ", groups",
          expected: "\(own.map(\.count)) parameters of the same names",
          found: "\(groups.map(\.parameters.count))"))
    }
    let parameters = Dictionary(
      optimizer.parameters.map { (names[$0, key], $0) }, uniquingKeysWith: { first, _ in first })
    var restored: [String: OptimizerState] = [:]
    for saved in settings.states {
      guard let parameter = parameters[saved.parameter] else {
        throw NNError.unexpected(
          .init(
            file.file.path, at: place, expected: "states of its parameters", found: "'\(saved.parameter)'"))
      }
      var state = OptimizerState()
      state.updateCount = saved.updateCount
      for part in saved.tensors {
        let (shape, dtype) = optimizer.stateLayout(part, of: parameter)
        state.tensors[part] = try tensor(file, stateName(key, part, saved.parameter), shape, dtype)
      }
      restored[saved.parameter] = state
    }
    return {
      optimizer.stepCount = settings.stepCount
      optimizer.schedule = settings.schedule
      optimizer.maximumNorm = settings.maximumNorm
      for (index, group) in groups.enumerated() {
        optimizer.groups[index].name = group.name
        optimizer.groups[index].learningRate = group.learningRate
        optimizer.groups[index].weightDecay = group.weightDecay
        optimizer.groups[index].multiplier = group.multiplier
      }
      for (name, parameter) in parameters { optimizer.setState(restored[name], of: parameter) }
    }
  }
}
