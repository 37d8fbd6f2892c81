import Foundation
import Trestle
import TrestleTestSupport

extension FuzzTarget {
  /// Saved states of training. After a state has been taken over, training goes on for a step; a refused state must leave
  /// everything as it was.
  static var states: [FuzzTarget] {
    [
      FuzzTarget("checkpoint", seeds: { [try networkFiles.get().manifest] }) { bytes in
        try loadNetwork(manifest: bytes, tensors: networkFiles.get().tensors)
      },
      FuzzTarget("checkpoint-tensors", seeds: { [try networkFiles.get().tensors] }) { bytes in
        try loadNetwork(manifest: rehashed(networkFiles.get().manifest, bytes), tensors: bytes)
      },
      FuzzTarget("recommender", seeds: { [try recommenderFiles.get()["checkpoint.json"] ?? []] }) { bytes in
        try resumeRecommender(replacing: "checkpoint.json", with: bytes)
      },
      FuzzTarget("recommender-best", seeds: { [try bestFile().bytes] }) { bytes in
        let (name, _) = try bestFile()
        let manifest = try recommenderFiles.get()["checkpoint.json"] ?? []
        try resumeRecommender(replacing: name, with: bytes, manifest: rehashed(manifest, bytes, key: "best"))
      },
      FuzzTarget(
        "language-side",
        seeds: {
          let url = Scratch.folder.appending(path: "language-side-seed")
          try composition.get().language.save(to: url)
          return [try Array(Data(contentsOf: url))]
        }
      ) { bytes in
        let side = try composition.get().language
        let before = values(of: side.parameterGroups)
        do {
          try side.load(from: Scratch.file("language-side", bytes))
        } catch {
          precondition(values(of: side.parameterGroups) == before, "a refused state has changed the side")
          throw error
        }
      },
      FuzzTarget("generator", seeds: { [try Array(JSONEncoder().encode(RandomGenerator(seed: 1)))] }) {
        bytes in
        guard var generator = try? JSONDecoder().decode(RandomGenerator.self, from: Data(bytes)) else {
          return
        }
        _ = generator.index(below: 10)
        _ = generator.normal()
      },
    ] + SavedStrategy.all.map(bridge)
  }

  private static func values(of groups: [BridgeParameterGroup]) -> [[UInt32]] {
    groups.flatMap(\.parameters).map { $0.parameter.detached.floats.map(\.bitPattern) }
  }

  // MARK: Networks

  private struct Cursor: Codable { var step: Int }

  /// A small network in training.
  private struct Training {
    let model: MLP
    let optimizer: AdamW

    init(seed: UInt64) {
      var generator = RandomGenerator(seed: seed)
      model = MLP(widths: [4, 5, 2], dropout: 0.3, using: &generator)
      optimizer = AdamW(model.parameters, learningRate: 0.01)
      optimizer.schedule = .cosine(warmup: 2, total: 20)
    }

    func step() {
      let (_, gradients) = valueAndGradients(of: model.parameters) {
        Losses.crossEntropy(model(Tensor.ones([3, 4])), labels: Tensor([0, 1, 0] as [Int32]))
      }
      optimizer.update(with: gradients)
    }
  }

  private static let networkFiles = Result {
    let folder = try Scratch.subfolder("network-seed")
    let training = Training(seed: 1)
    training.step()
    try Checkpoint.save(
      training.model, optimizers: ["": training.optimizer], generators: ["data": RandomGenerator(seed: 2)],
      cursor: Cursor(step: 1), to: folder)
    return (
      manifest: try Array(Data(contentsOf: folder.appending(path: "checkpoint.json"))),
      tensors: try Array(Data(contentsOf: folder.appending(path: "tensors-0.safetensors")))
    )
  }

  private static func loadNetwork(manifest: [UInt8], tensors: [UInt8]) throws {
    let folder = Scratch.folder.appending(path: "network")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(manifest).write(to: folder.appending(path: "checkpoint.json"))
    try Data(tensors).write(to: folder.appending(path: "tensors-0.safetensors"))
    let training = Training(seed: 2)
    let before = training.model.parameters.map { $0.detached.floats }
    do {
      let restored = try Checkpoint.load(
        Cursor.self, from: folder, into: training.model, optimizers: ["": training.optimizer])
      for var generator in restored.generators.values { _ = generator.index(below: 5) }
    } catch {
      precondition(
        training.model.parameters.map { $0.detached.floats } == before && training.optimizer.stepCount == 0,
        "a refused checkpoint has changed the model")
      throw error
    }
    training.step()
  }

  /// The manifest with the size and hash of other bytes, as somebody would write it who made both.
  private static func rehashed(_ manifest: [UInt8], _ bytes: [UInt8], key: String = "tensors") throws
    -> [UInt8]
  {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update($0) }
    let digest = hash.hexadecimal()
    guard var root = try JSONSerialization.jsonObject(with: Data(manifest)) as? [String: Any] else {
      return manifest
    }
    if key == "best", var cursor = root["cursor"] as? [String: Any],
      var best = cursor["best"] as? [String: Any]
    {
      best["sha256"] = digest
      cursor["best"] = best
      root["cursor"] = cursor
    } else if var file = root[key] as? [String: Any] {
      file["sha256"] = digest
      file["byteCount"] = bytes.count
      root[key] = file
    }
    return try Array(JSONSerialization.data(withJSONObject: root, options: [.sortedKeys]))
  }

  // MARK: Recommenders

  private static let recommenderSplit = Result {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (12, 10, 90)
    return try SyntheticWorld(world, seed: 1).dataset().interactions.split(.ratio(), seed: 1)
  }

  private static func recommenderTrainer(epochs: Int) throws -> RecommenderTrainer {
    let split = try recommenderSplit.get()
    var generator = RandomGenerator(seed: 3)
    var shape = MatrixFactorization.Configuration()
    shape.dimension = 4
    let model = MatrixFactorization(
      userCount: split.training.userCount, itemCount: split.training.itemCount, configuration: shape,
      using: &generator)
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.patience) = (epochs, 256, 50)
    return try RecommenderTrainer(model, training: split.training, configuration: configuration)
  }

  private static let recommenderFiles = Result {
    let folder = try Scratch.subfolder("recommender-seed")
    _ = try recommenderTrainer(epochs: 2).fit(recommenderSplit.get(), checkpoint: folder)
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Array(Data(contentsOf: folder.appending(path: name)))
    }
    return files
  }

  private static func bestFile() throws -> (name: String, bytes: [UInt8]) {
    let file = try recommenderFiles.get().first { $0.key.hasPrefix("best-") }
    return (file?.key ?? "", file?.value ?? [])
  }

  private static func resumeRecommender(
    replacing name: String, with bytes: [UInt8], manifest: [UInt8]? = nil
  ) throws {
    var files = try recommenderFiles.get()
    if let manifest { files["checkpoint.json"] = manifest }
    files[name] = bytes
    let folder = try Scratch.subfolder("recommender")
    for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
    let trainer = try recommenderTrainer(epochs: 3)
    let before = trainer.model.parameters.map { $0.detached.floats }
    do {
      _ = try trainer.fit(recommenderSplit.get(), checkpoint: folder)
    } catch {
      precondition(
        trainer.model.parameters.map { $0.detached.floats } == before || error is TensorError,
        "a refused state has changed the model")
      throw error
    }
  }

  // MARK: Bridges

  private nonisolated(unsafe) static let composition = Result {
    try SmallComposition(seed: 5, users: 12, items: 10)
  }

  /// The checkpoint of a bridge's run that was stopped after the first epoch of its last phase, where the bridge has all that
  /// it keeps, and resumed to the end.
  private static func bridge(_ saved: SavedStrategy) -> FuzzTarget {
    let name = "bridge-" + saved.name
    return FuzzTarget(
      name,
      seeds: {
        let folder = try Scratch.subfolder(name + "-seed")
        let strategy = saved.make()
        let trainer = try BridgeTrainer(strategy, saved.context(), folder: folder)
        trainer.onEpoch = { [weak trainer, last = strategy.phases.last?.name] record in
          if record.phase == last { trainer?.requestStop() }
        }
        do { try trainer.run() } catch BridgeError.interrupted {}
        return [try Array(Data(contentsOf: folder.appending(path: "checkpoint.safetensors")))]
      }
    ) { bytes in
      let folder = try Scratch.subfolder(name)
      try Data(bytes).write(to: folder.appending(path: "checkpoint.safetensors"))
      let trainer = try BridgeTrainer(saved.make(), saved.context(), folder: folder)
      // One batch after the resumption shows whether what was taken over can be used.
      trainer.requestStop()
      do { try trainer.run() } catch BridgeError.interrupted {}
    }
  }
}
