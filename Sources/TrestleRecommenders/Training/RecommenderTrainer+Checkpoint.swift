import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Where a training is, beside model and optimizer.
struct SavedRun: Codable {
  /// The file of the best parameters, which changes its name with its contents.
  struct BestFile: Codable {
    let name: String
    let sha256: String
  }

  var stopping: EarlyStopping
  var reports: [EpochReport] = []
  var model = ""
  var splitHash = ""
  var configuration = TrainingConfiguration()
  var best: BestFile?

  init(stopping: EarlyStopping) { self.stopping = stopping }

  /// Stops what no training of `configuration` leaves behind: epochs out of order, counts out of range, a best value
  /// without its parameters.
  func validate(_ configuration: TrainingConfiguration, path: String) throws(DataError) {
    func check(_ place: String, _ isFine: Bool, _ expected: String, _ found: Any) throws(DataError) {
      guard isFine else {
        throw .malformed(path: path, line: 1, column: 1, expected: "\(place): \(expected)", found: "\(found)")
      }
    }
    let numbers = reports.map(\.epoch)
    try check(
      "reports", numbers.elementsEqual(0..<numbers.count), "epochs from 0 in order", numbers.prefix(20))
    let losses: [Double] = reports.flatMap { [$0.loss, $0.validation ?? 0, $0.seconds] as [Double] }
    try check("reports", losses.allSatisfy(\.isFinite), "finite numbers", "others")
    try check(
      "patience", stopping.patience == configuration.patience, "\(configuration.patience)", stopping.patience)
    let since = 0...numbers.count
    try check("epochs since the best", since.contains(stopping.sinceBest), "\(since)", stopping.sinceBest)
    let value = stopping.highest ?? 0
    try check("best value", value.isFinite, "a finite number", value)
    try check(
      "best parameters", (stopping.highest == nil) == (best == nil), "a file if there is a best value",
      best?.name ?? "none")
    guard let best else { return }
    try check(
      "best parameters",
      best.name.utf8.starts(with: SavedRun.bestPrefix.utf8) && isPlainPath(best.name)
        && !best.name.utf8.contains(UInt8(ascii: "/")), "a file of this folder", best.name)
  }

  static let bestPrefix = "best-"
}

extension RecommenderTrainer {
  private static func bestNames(in folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasPrefix(SavedRun.bestPrefix) && $0.hasSuffix(".safetensors") }
  }

  /// Saves the state. The best parameters go to a file of their own name first, the manifest then names it, and the
  /// former one goes last: killed at any moment, the folder holds the former state or the new one.
  func save(_ run: inout SavedRun, isBest: Bool, _ split: DataSplit, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if isBest {
      let name = "\(SavedRun.bestPrefix)\(epoch).safetensors"
      try model.save(to: folder.appending(path: name))
      run.best = .init(name: name, sha256: try Self.hash(of: MappedFile(folder.appending(path: name))))
    }
    (run.model, run.splitHash, run.configuration) = (model.name, split.hash, configuration)
    run.configuration.accumulation = accumulation == 1 ? nil : accumulation
    try Checkpoint.save(model, optimizers: ["": optimizer], cursor: run, to: folder)
    for name in Self.bestNames(in: folder) where name != run.best?.name {
      try? FileManager.default.removeItem(at: folder.appending(path: name))
    }
  }

  /// Takes over the state in `folder`, if there is one, once all of it has been checked.
  ///
  /// - Returns: the run, and the best parameters so far; none before the first evaluation.
  func resume(from folder: URL, _ split: DataSplit) throws -> (SavedRun, [Tensor])? {
    let own = try communicator.rank == 0 ? restored(from: folder, split) : nil
    guard let run = try communicator.broadcast(own?.0) else { return nil }
    try adopt(accumulation: run.configuration.accumulation ?? 1)
    try communicator.broadcastState(of: model, optimizers: ["": optimizer])
    let best =
      run.best == nil
      ? []
      : try zip(model.parameters, own?.1 ?? model.parameters.map(\.detached)).map {
        try communicator.broadcast($1)
      }
    epoch = run.reports.count
    return (run, best)
  }

  /// Stops unless all ranks train the same.
  func requireAgreement(_ split: DataSplit) throws {
    guard communicator.size > 1 else { return }
    var settings = configuration
    settings.accumulation = accumulation
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    try communicator.requireAgreement(on: Array(encoder.encode(settings)), about: "configuration")
    try communicator.requireAgreement(on: Array(split.hash.utf8), about: "split")
    try communicator.requireSameParameters(model)
  }

  /// What the folder holds, put into model and optimizer.
  private func restored(from folder: URL, _ split: DataSplit) throws -> (SavedRun, [Tensor])? {
    let manifest = folder.appending(path: "checkpoint.json")
    guard FileManager.default.fileExists(atPath: manifest.path) else { return nil }
    var best: [Tensor] = []
    let restored = try Checkpoint.load(
      SavedRun.self, from: folder, into: model, optimizers: ["": optimizer],
      validatingCursor: { run in
        // More epochs may be asked for than before.
        var saved = run.configuration
        saved.epochs = configuration.epochs
        saved.accumulation = configuration.accumulation.map { _ in saved.accumulation ?? 1 }
        guard run.model == model.name, run.splitHash == split.hash, saved == configuration else {
          throw DataError.malformed(
            path: manifest.path, line: 1, column: 1,
            expected: "the state of \(model.name) on the split \(split.hash) with the same configuration",
            found: "\(run.model) on the split \(run.splitHash)")
        }
        try run.validate(configuration, path: manifest.path)
        let (batches, ranks) = (run.configuration.accumulation ?? 1, communicator.size)
        guard (ranks...max(ranks, 1 << 20)).contains(batches) else {
          throw DataError.malformed(
            path: manifest.path, line: 1, column: 1, expected: "at least one batch a step for each rank",
            found: "\(batches) of \(ranks) ranks: start fewer ranks")
        }
        if let file = run.best { best = try bestParameters(file, folder) }
      })
    return (restored.cursor, best)
  }

  /// The best parameters, which must be there, undamaged, and of the model's shapes and types.
  private func bestParameters(_ best: SavedRun.BestFile, _ folder: URL) throws -> [Tensor] {
    let mapped = try MappedFile(folder.appending(path: best.name), access: .copied)
    let hash = Self.hash(of: mapped)
    guard hash == best.sha256 else {
      throw NNError.torn(
        .init(mapped.path, at: "contents", expected: "SHA-256 \(best.sha256)", found: "SHA-256 \(hash)"))
    }
    let file = try SafetensorsFile(mapped)
    return try model.namedParameters.map { item in
      let value = try file.tensor(item.name)
      guard value.shape == item.parameter.shape, value.dtype == item.parameter.dtype else {
        throw NNError.mismatch(
          .init(
            file.path, at: item.name, expected: "\(item.parameter.dtype) \(item.parameter.shape)",
            found: "\(value.dtype) \(value.shape)"))
      }
      return value
    }
  }

  private static func hash(of file: MappedFile) -> String {
    var hash = SHA256()
    hash.update(file.bytes)
    return withExtendedLifetime(file) { hash.hexadecimal() }
  }
}
