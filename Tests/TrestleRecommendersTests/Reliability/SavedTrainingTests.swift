import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A trainer takes over all of a saved state or nothing of it.
@Suite struct SavedTrainingTests {
  private let folder: TemporaryFolder
  private let split: DataSplit

  init() throws {
    folder = try TemporaryFolder(inMemory: true)
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (20, 15, 200)
    split = try SyntheticWorld(world, seed: 1).dataset().interactions.split(.ratio(), seed: 1)
    _ = try trainer(epochs: 3).fit(split, checkpoint: folder.url)
  }

  private func trainer(epochs: Int, width: Int = 4, seed: UInt64 = 3) throws -> RecommenderTrainer {
    var generator = RandomGenerator(seed: seed)
    var shape = MatrixFactorization.Configuration()
    shape.dimension = width
    let model = MatrixFactorization(
      userCount: split.training.userCount, itemCount: split.training.itemCount, configuration: shape,
      using: &generator)
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize) = (epochs, 64)
    return try RecommenderTrainer(model, training: split.training, configuration: configuration)
  }

  private func expectRefused(_ what: String, _ make: () throws -> RecommenderTrainer) throws {
    let trainer = try make()
    let before = trainer.model.parameters.map { $0.detached.floats }
    #expect(throws: (any Error).self, "\(what)") { try trainer.fit(split, checkpoint: folder.url) }
    #expect(trainer.model.parameters.map { $0.detached.floats } == before, "\(what)")
    #expect(trainer.epoch == 0 && trainer.optimizer.stepCount == 0, "\(what)")
  }

  @Test func aCheckpointOfAnotherRunChangesNothing() throws {
    try expectRefused("another seed") {
      let other = try trainer(epochs: 5)
      var configuration = other.configuration
      configuration.seed = 9
      return try RecommenderTrainer(other.model, training: split.training, configuration: configuration)
    }
    // The same configuration goes on.
    let reports = try trainer(epochs: 4).fit(split, checkpoint: folder.url)
    #expect(reports.map(\.epoch) == [0, 1, 2, 3])
  }

  @Test func aMissingBestStateIsAnError() throws {
    try FileManager.default.removeItem(at: try folder.bestFile)
    try expectRefused("no best state") { try trainer(epochs: 3) }
  }

  @Test func aBestStateOfAnotherTypeOrContentIsAnError() throws {
    let url = try folder.bestFile
    let file = try SafetensorsFile(url, access: .copied)
    let whole = try Data(contentsOf: url)
    let sources = try file.names.map {
      SafetensorsSource(name: $0, tensor: try file.tensor($0).converted(to: .float64))
    }
    try SafetensorsWriter.write(sources, to: url)
    try expectRefused("another hash") { try trainer(epochs: 3) }
    var hash = SHA256()
    hash.update(try Array(Data(contentsOf: url)))
    try folder.editCursor { $0["best"] = ["name": url.lastPathComponent, "sha256": hash.hexadecimal()] }
    try expectRefused("another type") { try trainer(epochs: 3) }
    hash = SHA256()
    hash.update(Array(whole))
    try whole.write(to: url)
    try folder.editCursor {
      $0["best"] = ["name": "../" + url.lastPathComponent, "sha256": hash.hexadecimal()]
    }
    try expectRefused("another folder") { try trainer(epochs: 3) }
    try folder.editCursor { $0["best"] = ["name": url.lastPathComponent, "sha256": hash.hexadecimal()] }
    _ = try trainer(epochs: 3).fit(split, checkpoint: folder.url)
  }

  @Test(arguments: [-1, Int.max, 7])
  func epochsOutOfOrderAreRefused(epoch: Int) throws {
    try folder.editCursor { cursor in
      var reports = try #require(cursor["reports"] as? [[String: Any]])
      reports[reports.count - 1]["epoch"] = epoch
      cursor["reports"] = reports
    }
    try expectRefused("epoch \(epoch)") { try trainer(epochs: 5) }
  }

  @Test(arguments: [("sinceBest", -1), ("sinceBest", Int.max), ("patience", -5)])
  func countsOutOfRangeAreRefused(key: String, value: Int) throws {
    try folder.editCursor { cursor in
      var stopping = try #require(cursor["stopping"] as? [String: Any])
      stopping[key] = value
      cursor["stopping"] = stopping
    }
    try expectRefused("\(key) \(value)") { try trainer(epochs: 5) }
  }

  @Test func aFailedSaveLeavesTheFormerState() throws {
    // Without the right to write, which root has anyway, a folder in the manifest's place makes the save fail.
    let manifest = folder.url.appending(path: "checkpoint.json")
    let saved = try Data(contentsOf: manifest)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
    #expect(names.filter { $0.hasSuffix(".safetensors") }.count == 2, "\(names)")
    #expect(throws: (any Error).self) {
      try trainer(epochs: 5).fit(split, checkpoint: folder.url) { _ in
        try? FileManager.default.removeItem(at: manifest)
        try? FileManager.default.createDirectory(at: manifest, withIntermediateDirectories: true)
      }
    }
    try FileManager.default.removeItem(at: manifest)
    try saved.write(to: manifest)
  }
}
