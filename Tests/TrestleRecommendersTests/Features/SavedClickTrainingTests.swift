import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A trainer of click models takes over all of a saved state or nothing of it, and goes on in the same bits.
@Suite struct SavedClickTrainingTests {
  private struct Stop: Error {}

  private let folder: TemporaryFolder
  private let training: FeatureTable
  private let validation: FeatureTable

  init() throws {
    folder = try TemporaryFolder(inMemory: true)
    let table = try Self.table(rows: 400, seed: 1)
    training = table.selecting(rows: Array(0..<300))
    validation = table.selecting(rows: Array(300..<400))
  }

  private static func table(rows: Int, seed: UInt64) throws -> FeatureTable {
    var generator = RandomGenerator(seed: seed)
    let users = (0..<rows).map { _ in generator.index(below: 9) }
    let items = (0..<rows).map { _ in generator.index(below: 7) }
    var table = FeatureTable(rowCount: rows)
    try table.addCategories("user", users.map { "u\($0)" })
    try table.addCategories("item", items.map { "i\($0)" })
    try table.addNumbers("hour", users.map { _ in Float(generator.index(below: 24)) })
    try table.setLabels(zip(users, items).map { ($0 + $1) % 3 == 0 || generator.uniform() < 0.2 })
    return table
  }

  private func trainer(
    epochs: Int, dropout: Double = 0.2, on table: FeatureTable? = nil,
    _ change: (inout ClickTrainingConfiguration) -> Void = { _ in }
  ) throws -> ClickTrainer {
    var generator = RandomGenerator(seed: 3)
    var shape = DeepFM.Configuration()
    (shape.dimension, shape.hidden, shape.dropout) = (4, [8], dropout)
    let table = table ?? training
    let model = DeepFM(table.schema, configuration: shape, using: &generator)
    var configuration = ClickTrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.patience) = (epochs, 64, 50)
    configuration.learningRate = 1e-2
    change(&configuration)
    return try ClickTrainer(model, training: table, configuration: configuration)
  }

  private func bits(_ trainer: ClickTrainer) -> [[UInt32]] {
    trainer.model.parameters.map { $0.detached.floats.map(\.bitPattern) }
  }

  private func withoutTimes(_ reports: [EpochReport]) -> [[Double]] {
    reports.map { [Double($0.epoch), $0.loss, $0.validation ?? -1] }
  }

  private func expectRefused(
    _ what: String, _ trainer: ClickTrainer, validation: FeatureTable? = nil
  ) throws {
    let before = bits(trainer)
    #expect(throws: (any Error).self, "\(what)") {
      try trainer.fit(validation: validation ?? self.validation, checkpoint: folder.url)
    }
    #expect(bits(trainer) == before && trainer.epoch == 0 && trainer.optimizer.stepCount == 0, "\(what)")
  }

  @Test(arguments: ClickTrainingConfiguration.Measure.allCases)
  func aStoppedTrainingGoesOnInTheSameBits(_ measure: ClickTrainingConfiguration.Measure) throws {
    try withSteadyInstructionSet {
      let whole = try trainer(epochs: 6) { $0.measure = measure }
      let expected = try whole.fit(validation: validation)
      // Stopped after each epoch, and once asked for fewer epochs.
      for _ in 0..<2 {
        #expect(throws: Stop.self) {
          try trainer(epochs: 6) { $0.measure = measure }
            .fit(validation: validation, checkpoint: folder.url) { _ in throw Stop() }
        }
      }
      let fewer = try trainer(epochs: 4) { $0.measure = measure }
      #expect(try fewer.fit(validation: validation, checkpoint: folder.url).count == 4)
      let last = try trainer(epochs: 6) { $0.measure = measure }
      let found = try last.fit(validation: validation, checkpoint: folder.url)
      #expect(withoutTimes(found) == withoutTimes(expected) && found.count == 6)
      #expect(bits(last) == bits(whole))
      // The model is left at its best.
      let metrics = try last.model.evaluate(on: validation)
      switch measure {
      case .auc: #expect(metrics.auc == expected.compactMap(\.validation).max())
      case .logLoss: #expect(metrics.logLoss == expected.compactMap(\.validation).min())
      }
    }
  }

  @Test func withoutValidationTheLastEpochIsKept() throws {
    try withSteadyInstructionSet {
      let whole = try trainer(epochs: 3)
      try whole.fit()
      #expect(throws: Stop.self) {
        try trainer(epochs: 3).fit(checkpoint: folder.url) { _ in throw Stop() }
      }
      let last = try trainer(epochs: 3)
      #expect(try last.fit(checkpoint: folder.url).count == 3)
      #expect(bits(last) == bits(whole))
    }
  }

  @Test func aCheckpointOfAnotherRunChangesNothing() throws {
    try trainer(epochs: 2).fit(validation: validation, checkpoint: folder.url)
    try expectRefused("another seed", trainer(epochs: 4) { $0.seed = 9 })
    try expectRefused("another measure", trainer(epochs: 4) { $0.measure = .logLoss })
    try expectRefused("another rate of dropout", trainer(epochs: 4, dropout: 0.4))
    let fewer = training.selecting(rows: Array(0..<299))
    try expectRefused("other training data", trainer(epochs: 4, on: fewer))
    let other = validation.selecting(rows: Array((0..<100).reversed()))
    try expectRefused("other validation data", trainer(epochs: 4), validation: other)
    #expect(try trainer(epochs: 4).fit(validation: validation, checkpoint: folder.url).count == 4)
  }

  @Test func aDamagedStateChangesNothing() throws {
    try trainer(epochs: 3).fit(validation: validation, checkpoint: folder.url)
    let manifest = folder.url.appending(path: "checkpoint.json")
    let whole = try Data(contentsOf: manifest)
    for (key, value) in [("sinceBest", -1), ("sinceBest", Int.max), ("patience", -5)] {
      try folder.editCursor { cursor in
        var stopping = try #require(cursor["stopping"] as? [String: Any])
        stopping[key] = value
        cursor["stopping"] = stopping
      }
      try expectRefused("\(key) \(value)", trainer(epochs: 4))
      try whole.write(to: manifest)
    }
    let best = try folder.bestFile
    let parameters = try Data(contentsOf: best)
    try (parameters.dropLast() + [parameters.last.map { $0 ^ 1 } ?? 0]).write(to: best)
    try expectRefused("a damaged best state", trainer(epochs: 4))
    try FileManager.default.removeItem(at: best)
    try expectRefused("no best state", trainer(epochs: 4))
    try folder.editCursor { $0["best"] = nil }
    try expectRefused("a best value without parameters", trainer(epochs: 4))
    try parameters.write(to: best)
    try whole.write(to: manifest)
    #expect(try trainer(epochs: 4).fit(validation: validation, checkpoint: folder.url).count == 4)
  }

  @Test func validationOfOneKindIsSaidBeforeAnEpoch() throws {
    let rows = validation.labels.indices.filter { !validation.labels[$0] }
    let others = validation.selecting(rows: rows)
    let trainer = try trainer(epochs: 2)
    do {
      try trainer.fit(validation: others)
      Issue.record("no error")
    } catch {
      #expect(
        "\(error)"
          == "the validation of DeepFM: expected clicked examples and others for the AUC, or the measure logLoss, or no validation data, found 0 clicked of \(rows.count)"
      )
    }
    #expect(trainer.epoch == 0)
    let reports = try self.trainer(epochs: 2) { $0.measure = .logLoss }.fit(validation: others)
    #expect(reports.compactMap(\.validation).count == 2)
    #expect(throws: DataError.self) {
      try trainer.fit(validation: FeatureTable(rowCount: 0, schema: training.schema))
    }
  }

  @Test func aModelThatGivesNoNumbersIsAnError() throws {
    let trainer = try trainer(epochs: 3) { $0.learningRate = 1e38 }
    #expect(throws: (any Error).self) { try trainer.fit(validation: validation) }
  }

  @Test func aTableIsItsHash() throws {
    let table = try Self.table(rows: 40, seed: 1)
    #expect(try table.hash == Self.table(rows: 40, seed: 1).hash)
    #expect(try table.hash != Self.table(rows: 40, seed: 2).hash)
    #expect(table.hash != table.selecting(rows: Array((0..<40).reversed())).hash)
    #expect(table.selecting(rows: Array(0..<40)).hash == table.hash)
  }
}
