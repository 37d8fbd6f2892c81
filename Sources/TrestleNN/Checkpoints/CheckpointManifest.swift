import TrestleFormats
import TrestleTensor

/// The JSON side of a checkpoint: everything but the tensors.
struct CheckpointManifest<Cursor: Codable>: Codable {
  static var formatName: String { "trestle-checkpoint" }
  static var currentVersion: Int { 1 }

  struct TensorFile: Codable {
    let name: String
    let byteCount: Int
    let sha256: String
  }

  struct Group: Codable, Equatable {
    let name: String
    let learningRate: Double
    let weightDecay: Double
    let multiplier: Double
    let parameters: [String]
  }

  struct State: Codable {
    let parameter: String
    let updateCount: Int
    let tensors: [String]
  }

  struct OptimizerRecord: Codable {
    let kind: String
    let stepCount: Int
    let schedule: LearningRateSchedule
    let maximumNorm: Double?
    let groups: [Group]
    let states: [State]
  }

  let format: String
  let version: Int
  let tensors: TensorFile
  let parameters: [String]
  let optimizers: [String: OptimizerRecord]
  /// The states of the module's dropout layers, by name.
  let dropout: [String: RandomGenerator]
  let generators: [String: RandomGenerator]
  let cursor: Cursor
}

/// What is read first: enough to tell whether the rest can be read.
struct CheckpointHeader: Codable {
  let format: String
  let version: Int
}

extension CheckpointManifest {
  /// More steps than any training takes; counts up to here can be counted on without overflow.
  private static var maximumCount: Int { 1 << 48 }

  /// Stops counts and rates that no training leaves behind.
  ///
  /// - Throws: ``NNError/foreign(_:)`` with the place and the range.
  func validate(path: String) throws {
    func check(_ place: String, _ isFine: Bool, _ expected: String, _ found: Any) throws {
      guard isFine else {
        throw NNError.foreign(.init(path, at: place, expected: expected, found: "\(found)"))
      }
    }
    try check("tensors", tensors.byteCount >= 0, "a size", tensors.byteCount)
    for (name, optimizer) in optimizers.sorted(by: { $0.key < $1.key }) {
      let place = "optimizer '\(name)'"
      let counts = 0...Self.maximumCount
      try check(place + ", steps", counts.contains(optimizer.stepCount), "\(counts)", optimizer.stepCount)
      try check(
        place + ", schedule", optimizer.schedule.isValid(upTo: Self.maximumCount),
        "steps and factors in range",
        optimizer.schedule)
      let norm = optimizer.maximumNorm ?? 1
      try check(place + ", maximumNorm", norm.isFinite && norm >= 0, "a finite number from 0", norm)
      for group in optimizer.groups {
        let numbers = [group.learningRate, group.weightDecay, group.multiplier]
        // No single-precision parameter stays finite under larger ones.
        try check(
          place + ", groups", numbers.allSatisfy { abs($0) <= 1e12 }, "rates of at most 1e12", numbers)
      }
      var seen = Set<ByteKey>()
      for state in optimizer.states {
        let updates = 1...Self.maximumCount
        try check(place + ", updates", updates.contains(state.updateCount), "\(updates)", state.updateCount)
        try check(
          place + ", states", seen.insert(ByteKey(state.parameter)).inserted, "each parameter once",
          state.parameter)
      }
    }
  }
}

extension LearningRateSchedule {
  /// Whether all numbers are such that every step has a finite factor.
  fileprivate func isValid(upTo limit: Int) -> Bool {
    switch self {
    case .constant(let warmup): (0...limit).contains(warmup)
    case .linear(let warmup, let total, let final), .cosine(let warmup, let total, let final):
      (0...limit).contains(warmup) && (0...limit).contains(total) && final.isFinite
    case .step(let interval, let factor): (1...limit).contains(interval) && factor.isFinite
    }
  }
}
