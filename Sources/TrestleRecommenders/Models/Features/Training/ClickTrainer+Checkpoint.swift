import Foundation
import TrestleNN
import TrestleTensor

extension ClickTrainer {
  /// The model's name and, if it is one of the package's, how it is built.
  var modelDescription: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let architecture = ClickArchitecture(of: model), let text = try? encoder.encode(architecture) else {
      return model.name
    }
    return model.name + " " + String(decoding: text, as: UTF8.self)
  }

  /// What training and validation data hash to.
  func dataHash(_ validation: FeatureTable?) -> String {
    var hash = StableHash()
    hash.combine(training.hash)
    hash.combine(validation?.hash ?? "")
    return hash.hexadecimal
  }

  /// Takes over the state in `folder`, if there is one, once all of it has been checked.
  ///
  /// - Parameter run: what this training would save before its first epoch.
  /// - Returns: the run, and the best parameters so far; none without validation data.
  func resume(
    _ run: SavedRun<ClickTrainingConfiguration>, from folder: RunFolder
  ) throws -> (SavedRun<ClickTrainingConfiguration>, [Tensor])? {
    let restored = try folder.restore(model, optimizer) { (saved: SavedRun<ClickTrainingConfiguration>) in
      // More epochs may be asked for than before.
      var configuration = saved.configuration
      configuration.epochs = run.configuration.epochs
      guard saved.model == run.model, saved.dataHash == run.dataHash, configuration == run.configuration
      else {
        throw folder.otherRun(
          expected: "the state of \(run.model) on the data \(run.dataHash) with the same configuration",
          found: "\(saved.model) on the data \(saved.dataHash)")
      }
      try saved.validate(patience: configuration.patience, path: folder.manifest.path)
    }
    guard let restored else { return nil }
    var resumed = restored.run
    resumed.configuration = run.configuration
    epoch = resumed.reports.count
    return (resumed, restored.best)
  }
}
