import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// What the folder of a sharded training says of its files.
private struct ShardedManifest: Codable {
  static let name = "checkpoint.json"
  static let currentFormat = "trestle-sharded-training"

  var format = currentFormat
  var version = 1
  let run: SavedRun<TrainingConfiguration>
  let stepCount: Int
  /// How often users' and items' rows have been moved, and then each parameter of the network.
  let updateCounts: [Int]
  let userCount: Int
  let itemCount: Int
  let width: Int
  /// Each rank's rows and moments, in the order of the ranks.
  let files: [HashedFile]
  /// The rows at their best so far, by the ranks that there were then; none before the first evaluation.
  let bestFiles: [HashedFile]

  /// Stops what no training leaves behind.
  func validate(path: String) throws(DataError) {
    func check(_ place: String, _ isFine: Bool, _ expected: String, _ found: Any) throws(DataError) {
      guard isFine else {
        throw .malformed(path: path, line: 1, column: 1, expected: "\(place): \(expected)", found: "\(found)")
      }
    }
    try check("format", format == Self.currentFormat, Self.currentFormat, format)
    try check("version", version == 1, "1", version)
    let sizes = 1...Int(Int32.max)
    try check("users", sizes.contains(userCount), "\(sizes)", userCount)
    try check("items", sizes.contains(itemCount), "\(sizes)", itemCount)
    try check("steps", (0...(1 << 48)).contains(stepCount), "a number of steps", stepCount)
    try check(
      "updates", updateCounts.count >= 2 && updateCounts.allSatisfy { (0...stepCount).contains($0) },
      "two numbers or more up to \(stepCount)", updateCounts.prefix(100))
    let ranks = 1...65_536
    try check("files", ranks.contains(files.count), "a file of each rank", "\(files.count) files")
    try check(
      "best rows", run.best == nil ? bestFiles.isEmpty : ranks.contains(bestFiles.count),
      "a file of each rank if there is a best value", "\(bestFiles.count) files")
    for (list, prefix) in [(files, ShardedFolder.prefix), (bestFiles, HashedFile.prefix)] {
      for file in list {
        try check("files", file.isPlain(prefix), "a file of this folder", file.name)
      }
    }
  }
}

/// The folder in which the ranks of a sharded training keep their rows.
private struct ShardedFolder {
  static let prefix = "rows-"
  let url: URL

  var manifest: URL { url.appending(path: ShardedManifest.name) }

  /// The files of rows, those of killed trainings among them.
  var names: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    return names.filter {
      ($0.hasPrefix(Self.prefix) || $0.hasPrefix(HashedFile.prefix)) && $0.hasSuffix(".safetensors")
    }
  }
}

extension ShardedTrainer {
  private var tables: [(name: String, table: EmbeddingTable)] {
    [("users", model.users), ("items", model.items)]
  }

  /// What all ranks hold alike, and the first one saves.
  private var whole: ArraySlice<NamedParameter> { trained.namedParameters.dropFirst(tables.count) }

  /// Adam's memory of a row, beside the row.
  private static let moments = ["mean", "variance"]

  /// Saves every rank's rows under names of their own, and then the manifest that names them: killed at any moment, the folder
  /// holds the former state or the new one.
  func save(
    _ run: inout SavedRun<TrainingConfiguration>, isBest: Bool, _ split: DataSplit, to url: URL
  ) throws {
    let folder = ShardedFolder(url: url)
    let communicator = model.communicator
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    if isBest { bestFiles = try written(HashedFile.prefix, bestSources(), to: url) }
    run.best = bestFiles.first
    (run.model, run.dataHash, run.configuration) = (model.name, split.hash, configuration)
    run.configuration.accumulation = accumulation
    let files = try written(ShardedFolder.prefix, sources(), to: url)
    if communicator.rank == 0 {
      let manifest = ShardedManifest(
        run: run, stepCount: optimizer.stepCount,
        updateCounts: trained.parameters.map { optimizer.state(of: $0)?.updateCount ?? 0 },
        userCount: model.userCount, itemCount: model.itemCount, width: model.users.width, files: files,
        bestFiles: bestFiles)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try AtomicFile.write(Array(encoder.encode(manifest)), to: folder.manifest)
      let kept = Set((files + bestFiles).map(\.name))
      for old in folder.names where !kept.contains(old) {
        try? FileManager.default.removeItem(at: url.appending(path: old))
      }
      AtomicFile.removeLeftovers(in: url)
    }
    try communicator.barrier()
  }

  /// Writes a file of this rank; returns all ranks', once they are there.
  private func written(
    _ prefix: String, _ sources: [SafetensorsSource], to url: URL
  ) throws -> [HashedFile] {
    let communicator = model.communicator
    let name = "\(prefix)\(epoch)-\(communicator.rank)-of-\(communicator.size).safetensors"
    let place = url.appending(path: name)
    try SafetensorsWriter.write(sources, metadata: ["format": ShardedManifest.currentFormat], to: place)
    let own = HashedFile(name: name, sha256: try SavedFolder.hash(place))
    return try (0..<communicator.size).map { try communicator.broadcast(own, from: $0) }
  }

  /// What this rank saves: its rows, the first one the network, too.
  private var saved: some Sequence<NamedParameter> {
    trained.namedParameters.prefix(model.communicator.rank == 0 ? .max : tables.count)
  }

  private func bestSources() -> [SafetensorsSource] {
    saved.map { SafetensorsSource(name: $0.name, tensor: $0.parameter.detached) }
  }

  private func sources() -> [SafetensorsSource] {
    bestSources()
      + saved.flatMap { item in
        let state = optimizer.state(of: item.parameter)
        return Self.moments.compactMap { moment in
          state?.tensors[moment].map { SafetensorsSource(name: "\(item.name).\(moment)", tensor: $0) }
        }
      }
  }

  /// Takes over the state in a folder, if there is one, once all ranks have checked what they need of it.
  ///
  /// - Returns: the run, and this rank's best rows so far; none before the first evaluation.
  func resume(
    from url: URL, _ split: DataSplit
  ) throws -> (SavedRun<TrainingConfiguration>, [Tensor])? {
    let folder = ShardedFolder(url: url)
    let communicator = model.communicator
    let found = try communicator.rank == 0 ? manifest(of: folder, split) : nil
    guard let manifest = try communicator.broadcast(found) else { return nil }
    let files = try shards(manifest.files, folder)
    let bestShards = try shards(manifest.bestFiles, folder)
    var values: [[String: Tensor]] = []
    func read(_ updateCount: Int, _ name: String, _ value: (String, [SafetensorsFile?]) throws -> Tensor)
      throws
    {
      var tensors = ["value": try value(name, files)]
      for moment in Self.moments where updateCount > 0 {
        tensors[moment] = try value("\(name).\(moment)", files)
      }
      if !bestShards.isEmpty { tensors["best"] = try value(name, bestShards) }
      values.append(tensors)
    }
    for ((name, table), count) in zip(tables, manifest.updateCounts) {
      try read(count, name) { name, files in
        try Self.rows(table.ownRange, of: name, rowCount: table.rowCount, table.width, files)
      }
    }
    for (item, count) in zip(whole, manifest.updateCounts.dropFirst(tables.count)) {
      try read(count, item.name) { name, files in
        try Self.tensor(name, shape: item.parameter.shape, files.first ?? nil)
      }
    }
    // No rank has refused: from here on nothing can be.
    try communicator.barrier()
    accumulation = manifest.run.configuration.accumulation ?? 1
    optimizer.stepCount = manifest.stepCount
    for ((parameter, tensors), count) in zip(zip(trained.parameters, values), manifest.updateCounts) {
      tensors["value"].map { parameter.update(to: $0) }
      var state = OptimizerState()
      state.updateCount = count
      for moment in Self.moments { state.tensors[moment] = tensors[moment] }
      optimizer.setState(count > 0 ? state : nil, of: parameter)
    }
    bestFiles = manifest.bestFiles
    epoch = manifest.run.reports.count
    return (manifest.run, values.compactMap { $0["best"] })
  }

  /// What the folder says, once it has been checked; `nil` if it holds no state.
  private func manifest(of folder: ShardedFolder, _ split: DataSplit) throws -> ShardedManifest? {
    guard FileManager.default.fileExists(atPath: folder.manifest.path) else { return nil }
    // Read by the bounded parser first: it limits depth and size before the decoder sees the same bytes.
    let bytes = try [UInt8](contentsOf: folder.manifest, limit: JSONLimits().byteCount)
    _ = try bytes.withUnsafeBytes { try JSONValue(parsing: $0, source: folder.manifest.path) }
    guard let manifest = try? JSONDecoder().decode(ShardedManifest.self, from: Data(bytes)) else {
      throw DataError.otherRun(
        folder.manifest.path, expected: "the state of a sharded training", found: "another file")
    }
    try manifest.validate(path: folder.manifest.path)
    guard manifest.userCount == model.userCount, manifest.itemCount == model.itemCount,
      manifest.width == model.users.width
    else {
      throw DataError.otherRun(
        folder.manifest.path,
        expected: "\(model.userCount) users, \(model.itemCount) items and width \(model.users.width)",
        found: "\(manifest.userCount), \(manifest.itemCount) and \(manifest.width)")
    }
    guard manifest.updateCounts.count == trained.parameters.count else {
      throw DataError.otherRun(
        folder.manifest.path, expected: "\(trained.parameters.count) parameters",
        found: "\(manifest.updateCounts.count)")
    }
    try manifest.run.check(
      model.name, split, configuration, ranks: model.communicator.size, path: folder.manifest.path)
    return manifest
  }

  /// The files of former ranks, undamaged; `nil` for one that holds nothing of this rank's.
  private func shards(_ files: [HashedFile], _ folder: ShardedFolder) throws -> [SafetensorsFile?] {
    let hasNetwork = !whole.isEmpty
    return try files.enumerated().map { index, file in
      let isWanted =
        index == 0 && hasNetwork
        || tables.contains { _, table in
          block(of: index, size: files.count, count: table.rowCount).overlaps(table.ownRange)
        }
      return isWanted ? try file.tensors(in: folder.url) : nil
    }
  }

  /// Some rows of a table, put together from the ranges of former ranks.
  private static func rows(
    _ range: Range<Int>, of name: String, rowCount: Int, _ width: Int, _ files: [SafetensorsFile?]
  ) throws -> Tensor {
    let result = Tensor(uninitialized: [range.count, width], dtype: .float32)
    for (index, file) in files.enumerated() {
      let theirs = block(of: index, size: files.count, count: rowCount)
      let common = theirs.clamped(to: range)
      guard !common.isEmpty, let file else { continue }
      let value = try file.tensor(name)
      guard value.shape == [theirs.count, width], value.dtype == .float32 else {
        throw NNError.mismatch(
          .init(
            file.path, at: name, expected: "float32 [\(theirs.count), \(width)]",
            found: "\(value.dtype) \(value.shape)"))
      }
      result.overwriteRows(
        from: common.lowerBound - range.lowerBound,
        with: value.sliced(
          common.lowerBound - theirs.lowerBound..<common.upperBound - theirs.lowerBound, along: 0
        ).dense())
    }
    let place = result.firstNonFiniteIndex.map { "row \(range.lowerBound + $0 / max(width, 1))" }
    try requireFinite(place, name, files.compactMap { $0?.path })
    return result
  }

  /// A tensor of the network, of the first rank's file.
  private static func tensor(_ name: String, shape: Shape, _ file: SafetensorsFile?) throws -> Tensor {
    guard let file else { preconditionFailure("\(name): the first rank's file was not read") }
    let value = try file.tensor(name)
    guard value.shape == shape, value.dtype == .float32 else {
      throw NNError.mismatch(
        .init(file.path, at: name, expected: "float32 \(shape)", found: "\(value.dtype) \(value.shape)"))
    }
    try requireFinite(value.firstNonFiniteIndex.map { "element \($0)" }, name, [file.path])
    return value
  }

  private static func requireFinite(_ place: String?, _ name: String, _ paths: [String]) throws {
    guard let place else { return }
    throw NNError.mismatch(
      .init(paths.joined(separator: ", "), at: name, expected: "finite numbers", found: "another in \(place)")
    )
  }
}
