import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

extension RecommenderTrainer {
  /// Saves the state; see ``RunFolder``.
  func save(
    _ run: inout SavedRun<TrainingConfiguration>, isBest: Bool, _ split: DataSplit, to folder: URL
  ) throws {
    (run.model, run.dataHash, run.configuration) = (model.name, split.hash, configuration)
    run.configuration.accumulation = accumulation == 1 ? nil : accumulation
    try RunFolder(url: folder).save(&run, model, optimizer, epoch: epoch, isBest: isBest)
  }

  /// Takes over the state in `folder`, if there is one, once all of it has been checked.
  ///
  /// - Returns: the run, and the best parameters so far; none before the first evaluation.
  func resume(
    from folder: URL, _ split: DataSplit
  ) throws -> (SavedRun<TrainingConfiguration>, [Tensor])? {
    let own = try communicator.rank == 0 ? restored(from: RunFolder(url: folder), split) : nil
    guard let run = try communicator.broadcast(own?.run) else { return nil }
    try adopt(accumulation: run.configuration.accumulation ?? 1)
    try communicator.broadcastState(of: model, optimizers: ["": optimizer])
    let best =
      run.best == nil
      ? []
      : try zip(model.parameters, own?.best ?? model.parameters.map(\.detached)).map {
        try communicator.broadcast($1)
      }
    epoch = run.reports.count
    return (run, best)
  }

  /// Stops unless all ranks train the same.
  func requireAgreement(_ split: DataSplit) throws {
    try communicator.requireAgreement(on: configuration, accumulation: accumulation, split)
    try communicator.requireSameParameters(model)
  }

  /// What the folder holds, put into model and optimizer.
  private func restored(
    from folder: RunFolder, _ split: DataSplit
  ) throws -> (run: SavedRun<TrainingConfiguration>, best: [Tensor])? {
    try folder.restore(model, optimizer) { run in
      try run.check(
        model.name, split, configuration, ranks: communicator.size, path: folder.manifest.path)
    }
  }
}

extension Communicator {
  /// Stops unless all ranks train alike on the same data.
  func requireAgreement(
    on configuration: TrainingConfiguration, accumulation: Int, _ split: DataSplit
  ) throws {
    guard size > 1 else { return }
    var settings = configuration
    settings.accumulation = accumulation
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    try requireAgreement(on: Array(encoder.encode(settings)), about: "configuration")
    try requireAgreement(on: Array(split.hash.utf8), about: "split")
  }
}
