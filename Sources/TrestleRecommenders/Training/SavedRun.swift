import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Where a training is, beside model and optimizer.
struct SavedRun<Configuration: Codable>: Codable {
  var stopping: EarlyStopping
  var reports: [EpochReport] = []
  var model = ""
  /// What the data hashes to.
  var dataHash = ""
  var configuration: Configuration
  var best: HashedFile?

  private enum CodingKeys: String, CodingKey {
    case stopping, reports, model, configuration, best
    case dataHash = "splitHash"
  }

  init(stopping: EarlyStopping, configuration: Configuration) {
    (self.stopping, self.configuration) = (stopping, configuration)
  }

  /// Stops what no training with this patience leaves behind: epochs out of order, counts out of range, a best value
  /// without its parameters.
  func validate(patience: Int, path: String) throws(DataError) {
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
    try check("patience", stopping.patience == patience, "\(patience)", stopping.patience)
    let since = 0...numbers.count
    try check("epochs since the best", since.contains(stopping.sinceBest), "\(since)", stopping.sinceBest)
    let value = stopping.highest ?? 0
    try check("best value", value.isFinite, "a finite number", value)
    try check(
      "best parameters", (stopping.highest == nil) == (best == nil), "a file if there is a best value",
      best?.name ?? "none")
    guard let best else { return }
    try check(
      "best parameters", best.isPlain(HashedFile.prefix), "a file of this folder", best.name)
  }
}

extension SavedRun<TrainingConfiguration> {
  /// Stops unless this is the state of the same training, of which more epochs may be asked for than before, and so many ranks
  /// can go on with it.
  func check(
    _ model: String, _ split: DataSplit, _ configuration: TrainingConfiguration, ranks: Int, path: String
  ) throws(DataError) {
    var saved = self.configuration
    saved.epochs = configuration.epochs
    saved.accumulation = configuration.accumulation.map { _ in saved.accumulation ?? 1 }
    guard self.model == model, dataHash == split.hash, saved == configuration else {
      throw .otherRun(
        path, expected: "the state of \(model) on the split \(split.hash) with the same configuration",
        found: "\(self.model) on the split \(dataHash)")
    }
    try validate(patience: configuration.patience, path: path)
    let batches = self.configuration.accumulation ?? 1
    guard (ranks...max(ranks, 1 << 20)).contains(batches) else {
      throw .otherRun(
        path, expected: "at least one batch a step for each rank",
        found: "\(batches) of \(ranks) ranks: start fewer ranks")
    }
  }
}

extension DataError {
  /// A file that holds the state of another training.
  static func otherRun(_ path: String, expected: String, found: String) -> DataError {
    .malformed(path: path, line: 1, column: 1, expected: expected, found: found)
  }
}

/// A file of a training, such as the best parameters, which changes its name with its contents.
struct HashedFile: Codable {
  /// What the names of best parameters begin with.
  static let prefix = "best-"

  let name: String
  let sha256: String

  /// Whether the name is that of a file of the folder itself, and begins so.
  func isPlain(_ prefix: String) -> Bool {
    name.utf8.starts(with: prefix.utf8) && isPlainPath(name) && !name.utf8.contains(UInt8(ascii: "/"))
  }

  /// The tensors of the file, which must be there and undamaged.
  func tensors(in folder: URL) throws -> SafetensorsFile {
    let mapped = try MappedFile(folder.appending(path: name), access: .copied)
    var hash = SHA256()
    hash.update(mapped.bytes)
    let found = withExtendedLifetime(mapped) { hash.hexadecimal() }
    guard found == sha256 else {
      throw NNError.torn(
        .init(mapped.path, at: "contents", expected: "SHA-256 \(sha256)", found: "SHA-256 \(found)"))
    }
    return try SafetensorsFile(mapped)
  }
}

/// The folder that a training is saved in after every epoch.
struct RunFolder {
  let url: URL

  var manifest: URL { url.appending(path: "checkpoint.json") }

  private var bestNames: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    return names.filter { $0.hasPrefix(HashedFile.prefix) && $0.hasSuffix(".safetensors") }
  }

  /// Saves the state after `epoch` epochs. The best parameters go to a file of their own name first, the manifest then names
  /// it, and the former one goes last: killed at any moment, the folder holds the former state or the new one.
  func save<Configuration>(
    _ run: inout SavedRun<Configuration>, _ model: any Module, _ optimizer: Optimizer, epoch: Int,
    isBest: Bool
  ) throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    if isBest {
      let name = "\(HashedFile.prefix)\(epoch).safetensors"
      try model.save(to: url.appending(path: name))
      run.best = HashedFile(name: name, sha256: try SavedFolder.hash(url.appending(path: name)))
    }
    try Checkpoint.save(model, optimizers: ["": optimizer], cursor: run, to: url)
    for name in bestNames where name != run.best?.name {
      try? FileManager.default.removeItem(at: url.appending(path: name))
    }
  }

  /// Puts what the folder holds into model and optimizer, once all of it has been checked.
  ///
  /// - Parameter validate: the trainer's own check of where the training was.
  /// - Returns: the run, and the best parameters so far, none before the first; `nil` if the folder holds no state.
  func restore<Configuration>(
    _ model: any Module, _ optimizer: Optimizer, validating validate: (SavedRun<Configuration>) throws -> Void
  ) throws -> (run: SavedRun<Configuration>, best: [Tensor])? {
    guard FileManager.default.fileExists(atPath: manifest.path) else { return nil }
    var best: [Tensor] = []
    let restored = try Checkpoint.load(
      SavedRun<Configuration>.self, from: url, into: model, optimizers: ["": optimizer],
      validatingCursor: { run in
        try validate(run)
        if let file = run.best { best = try bestParameters(file, of: model) }
      })
    return (restored.cursor, best)
  }

  /// Says that the folder holds the state of another training.
  func otherRun(expected: String, found: String) -> DataError {
    .otherRun(manifest.path, expected: expected, found: found)
  }

  /// The best parameters, which must be there, undamaged, and of the model's shapes and types.
  private func bestParameters(_ best: HashedFile, of model: any Module) throws -> [Tensor] {
    let file = try best.tensors(in: url)
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
}
