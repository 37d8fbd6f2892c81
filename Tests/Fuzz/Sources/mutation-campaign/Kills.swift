import Foundation
import Trestle
import TrestleTestSupport

#if canImport(Glibc)
  import Glibc
#endif

/// What is done while the process is killed, and what must be there afterwards.
enum KillTask: String, CaseIterable {
  /// Saves checkpoints of a network, one after another.
  case checkpoint
  /// Replaces a folder of several files.
  case folder
  /// Trains a recommender with a checkpoint after each epoch, from the start whenever it is done.
  case training
  /// Runs a bridge with a checkpoint after each epoch.
  case bridge
  /// Saves a fitted recommender, loads it again and asks it.
  case serving

  private struct Cursor: Codable { var step: Int }

  private static func network(_ value: Double) -> MLP {
    var generator = RandomGenerator(seed: 1)
    let model = MLP(widths: [64, 64, 8], using: &generator)
    for parameter in model.parameters { parameter.update(to: Tensor.full(parameter.shape, value)) }
    return model
  }

  private static func dataset() throws -> Dataset {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (40, 30, 600)
    return try SyntheticWorld(world, seed: 1).dataset()
  }

  private static func fit(
    _ folder: URL, epochs: Int, onEpoch: (EpochReport) -> Void = { _ in }
  ) throws -> [EpochReport] {
    let split = try dataset().interactions.split(.ratio(), seed: 1)
    var generator = RandomGenerator(seed: 3)
    let model = MatrixFactorization(
      userCount: split.training.userCount, itemCount: split.training.itemCount, using: &generator)
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.patience) = (epochs, 64, 1_000_000)
    let trainer = try RecommenderTrainer(model, training: split.training, configuration: configuration)
    return try trainer.fit(split, checkpoint: folder) { onEpoch($0) }
  }

  private static func trainer(_ folder: URL, epochs: Int) throws -> BridgeTrainer {
    let composition = try SmallComposition(seed: 5, users: 20, items: 12)
    let phase = BridgePhase(name: "domain", side: .domain, epochs: epochs, patience: 0)
    return try BridgeTrainer(
      BridgeStrategy(name: "plain", phases: [phase]), composition.context, folder: folder)
  }

  /// The file that says that a process has saved for the first time and goes on.
  static func mark(of folder: URL) -> URL { URL(filePath: folder.path + ".at-work") }

  /// Works without end.
  func run(in folder: URL) throws {
    ThreadPool.shared.setThreadCount(1)
    var isMarked = false
    func mark() {
      if !isMarked {
        isMarked = FileManager.default.createFile(atPath: Self.mark(of: folder).path, contents: nil)
      }
    }
    switch self {
    case .checkpoint:
      var step = (try? check(folder)) ?? 0
      while true {
        step += 1
        try Checkpoint.save(
          Self.network(Double(step)), optimizers: [:], cursor: Cursor(step: step), to: folder)
        mark()
      }
    case .folder:
      var step = (try? check(folder)) ?? 0
      while true {
        step += 1
        try AtomicFolder.write(to: folder) { new in
          for name in ["a", "b", "c"] {
            try AtomicFile.write(Array("\(step)".utf8), to: new.appending(path: name))
          }
        }
        mark()
      }
    case .training: _ = try Self.fit(folder, epochs: 1_000_000) { _ in mark() }
    case .bridge:
      let trainer = try Self.trainer(folder, epochs: 1_000_000)
      trainer.onEpoch = { _ in mark() }
      try trainer.run()
    case .serving:
      let data = try Self.dataset()
      var options = FitOptions()
      options.epochs = 1
      let recommender = try data.fit(.itemKNN, options: options)
      while true {
        try recommender.save(to: folder)
        mark()
        _ = try FittedRecommender(contentsOf: folder).recommend(for: data.userIDs[0])
      }
    }
  }

  /// How far the saved state has come; an error if there is no whole one.
  func check(_ folder: URL) throws -> Int {
    switch self {
    case .checkpoint:
      let fresh = Self.network(-1)
      let restored = try Checkpoint.load(Cursor.self, from: folder, into: fresh, optimizers: [:])
      let values = Set(fresh.parameters.flatMap { $0.detached.floats })
      guard values == [Float(restored.cursor.step)] else { throw Mixture(found: "\(values)") }
      return restored.cursor.step
    case .folder:
      let steps = try Set(
        ["a", "b", "c"].map {
          try String(decoding: Data(contentsOf: folder.appending(path: $0)), as: UTF8.self)
        })
      guard steps.count == 1, let step = steps.first.flatMap({ Int($0) }) else {
        throw Mixture(found: "\(steps)")
      }
      return step
    case .training: return try Self.fit(folder, epochs: 0).count
    case .bridge:
      let trainer = try Self.trainer(folder, epochs: 1_000_000)
      trainer.requestStop()
      do { try trainer.run() } catch BridgeError.interrupted {}
      return trainer.records.count
    case .serving:
      let recommender = try FittedRecommender(contentsOf: folder)
      _ = try recommender.recommend(for: recommender.catalogue.userIDs[0])
      return 0
    }
  }

  struct Mixture: Error { let found: String }
}

/// Kills processes at random moments and looks at what they leave.
struct KillCampaign {
  let count: Int
  let seed: UInt64

  /// - Returns: whether each time a whole state was there, no older than the one before.
  func run() throws -> Bool {
    let base = FileManager.default.temporaryDirectory.appending(path: "trestle-kills-\(getpid())")
    try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: base) }
    var generator = RandomGenerator(seed: seed)
    var isWhole = true
    print("task | kills | states found whole | last state | leftovers cleared")
    for task in KillTask.allCases {
      let folder = base.appending(path: task.rawValue)
      var (last, kills, found, cleared) = (0, 0, 0, 0)
      for _ in 0..<count / KillTask.allCases.count {
        let process = Process()
        process.executableURL = URL(filePath: CommandLine.arguments[0])
        process.arguments = ["--save", task.rawValue, folder.path]
        try? FileManager.default.removeItem(at: KillTask.mark(of: folder))
        try process.run()
        if generator.index(below: 4) > 0 { waitForWork(of: process, in: folder) }
        usleep(UInt32(generator.index(below: 200_000)))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        kills += 1
        if process.terminationReason != .uncaughtSignal {
          print("  \(task): the process ended by itself with \(process.terminationStatus)")
          isWhole = false
        }
        // Before the first save there may be nothing yet.
        let exists = FileManager.default.fileExists(atPath: folder.path)
        guard exists, found > 0 || hasState(task, folder) else { continue }
        do {
          let step = try task.check(folder)
          if step < last { throw KillTask.Mixture(found: "\(step) after \(last)") }
          (last, found) = (step, found + 1)
        } catch {
          print("  \(task): \(error)")
          isWhole = false
        }
        cleared += AtomicFile.removeLeftovers(in: base).count + AtomicFile.removeLeftovers(in: folder).count
      }
      print("\(task) | \(kills) | \(found) | \(last) | \(cleared)")
    }
    return isWhole
  }

  /// Three kills of four come while the process saves, however slow the machine is; the others while it begins.
  private func waitForWork(of process: Process, in folder: URL) {
    for _ in 0..<6_000 where process.isRunning {
      if FileManager.default.fileExists(atPath: KillTask.mark(of: folder).path) { return }
      usleep(10_000)
    }
  }

  private func hasState(_ task: KillTask, _ folder: URL) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    switch task {
    case .checkpoint, .training: return names.contains("checkpoint.json")
    case .bridge: return names.contains("checkpoint.safetensors")
    case .folder, .serving: return !names.isEmpty
    }
  }
}
