import Foundation
import Trestle

extension FuzzTarget {
  /// The state of a training whose rows are cut over ranks: what its folder says, and a rank's rows.
  static var sharded: [FuzzTarget] {
    [
      FuzzTarget("sharded", seeds: { [try files.get()["checkpoint.json"] ?? []] }) { bytes in
        try resume(replacing: "checkpoint.json", with: bytes)
      },
      FuzzTarget("sharded-rows", seeds: { [try rows().bytes] }) { bytes in
        let (name, intact) = try rows()
        let manifest = try String(decoding: files.get()["checkpoint.json"] ?? [], as: UTF8.self)
        let damaged = manifest.replacingOccurrences(of: hash(of: intact), with: hash(of: bytes))
        try resume(replacing: name, with: bytes, manifest: Array(damaged.utf8))
      },
    ]
  }

  private static func hash(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.hexadecimal()
  }

  private static let split = Result {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (12, 10, 90)
    return try SyntheticWorld(world, seed: 1).dataset().interactions.split(.ratio(), seed: 1)
  }

  private static func trainer(epochs: Int) throws -> ShardedTrainer {
    var shape = LightGCN.Configuration()
    (shape.dimension, shape.layers) = (4, 1)
    let training = try split.get().training
    let model = ShardedLightGCN(
      training: training, configuration: shape, communicator: SingleProcess(), using: RandomGenerator(seed: 3)
    )
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.patience) = (epochs, 256, 50)
    return try ShardedTrainer(model, training: training, configuration: configuration)
  }

  private static let files = Result {
    let folder = try Scratch.subfolder("sharded-seed")
    _ = try trainer(epochs: 2).fit(split.get(), checkpoint: folder)
    return try Scratch.files(of: folder)
  }

  private static func rows() throws -> (name: String, bytes: [UInt8]) {
    let file = try files.get().first { $0.key.hasPrefix("rows-") }
    return (file?.key ?? "", file?.value ?? [])
  }

  private static func resume(
    replacing name: String, with bytes: [UInt8], manifest: [UInt8]? = nil
  ) throws {
    var files = try files.get()
    if let manifest { files["checkpoint.json"] = manifest }
    files[name] = bytes
    let folder = try Scratch.subfolder("sharded")
    for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
    let trainer = try trainer(epochs: 3)
    let before = trainer.model.parameters.map { $0.detached.floats }
    do {
      _ = try trainer.fit(split.get(), checkpoint: folder)
    } catch {
      // Rows may be finite and so large that scores are no numbers: then the training has failed, not the reading.
      var isTraining = error is TensorError
      if case .notANumber? = error as? DataError { isTraining = true }
      precondition(
        trainer.model.parameters.map { $0.detached.floats } == before || isTraining,
        "a refused state has changed the model")
      throw error
    }
  }
}
