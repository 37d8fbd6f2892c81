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
