import Foundation
import TrestleFormats
import TrestleTensor

/// A training that can stop and go on as if it had not: with the same bits.
///
/// A checkpoint is a folder: a safetensors file with parameters and optimizer moments, and `checkpoint.json` with the
/// rest (steps, schedules, random states, the caller's cursor) and the tensor file's name and SHA-256. The tensor file
/// is written first, under a name of its own, then the manifest replaces the old one in one step; a crash at any
/// moment leaves the old checkpoint or the new one.
///
/// ```swift
/// struct Cursor: Codable { var epoch: Int; var batch: Int }
/// try Checkpoint.save(model, optimizers: ["": optimizer], generators: ["data": generator],
///   cursor: Cursor(epoch: 3, batch: 17), to: folder)
/// let restored = try Checkpoint.load(Cursor.self, from: folder, into: model, optimizers: ["": optimizer])
/// ```
public enum Checkpoint {
  /// What a checkpoint gives back beside the state that it puts into model and optimizers.
  public struct Restored<Cursor: Codable> {
    /// The random generators that were saved, by name.
    public let generators: [String: RandomGenerator]
    /// Where the training was.
    public let cursor: Cursor
  }

  private static let manifestName = "checkpoint.json"

  /// Saves a training state, replacing the folder's earlier checkpoint.
  ///
  /// - Parameters:
  ///   - module: whose parameters and dropout layers' random states are saved.
  ///   - optimizers: by name; every parameter of theirs belongs to the module.
  ///   - generators: further random states.
  ///   - cursor: whatever else the training needs to go on: position in the data, best metric.
  ///   - folder: made if it does not exist.
  /// - Throws: `FormatError` if a file cannot be written.
  public static func save<Cursor: Codable>(
    _ module: some Module, optimizers: [String: Optimizer], generators: [String: RandomGenerator] = [:],
    cursor: Cursor, to folder: URL
  ) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let names = Names(module)
    var sources = module.namedParameters.map {
      SafetensorsSource(name: "parameters/" + $0.name, tensor: $0.parameter.detached)
    }
    var records: [String: CheckpointManifest<Cursor>.OptimizerRecord] = [:]
    for (key, optimizer) in optimizers {
      records[key] = record(optimizer, key, names, &sources)
    }
    let previous = tensorFiles(in: folder)
    let fileName = freshName(besides: previous)
    let file = folder.appending(path: fileName)
    try SafetensorsWriter.write(sources, metadata: ["format": "trestle-checkpoint"], to: file)
    let manifest = CheckpointManifest(
      format: CheckpointManifest<Cursor>.formatName, version: CheckpointManifest<Cursor>.currentVersion,
      tensors: try describe(file, fileName), parameters: module.namedParameters.map(\.name),
      optimizers: records, dropout: dropoutStates(module), generators: generators, cursor: cursor)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(Array(encoder.encode(manifest)), to: folder.appending(path: manifestName))
    for old in previous { try? FileManager.default.removeItem(at: folder.appending(path: old)) }
    AtomicFile.removeLeftovers(in: folder)
  }

  /// Puts a saved state into a module and its optimizers; nothing is changed if anything does not fit.
  ///
  /// - Parameters:
  ///   - cursor: the type that was saved.
  ///   - folder: the folder that the state was saved in.
  ///   - module: with the same parameters as the one that was saved.
  ///   - optimizers: with the same groups.
  /// - Throws: ``NNError`` for a checkpoint that is torn, foreign or of another model; `FormatError` if a file
  ///   cannot be read.
  public static func load<Cursor: Codable>(
    _ cursor: Cursor.Type = Cursor.self, from folder: URL, into module: some Module,
    optimizers: [String: Optimizer]
  ) throws -> Restored<Cursor> {
    let manifest = try readManifest(Cursor.self, folder)
    let file = try openTensors(manifest.tensors, folder)
    let path = file.file.path
    var changes: [() -> Void] = []
    let named = module.namedParameters
    try requireEqual(manifest.parameters, named.map(\.name), folder, "parameters")
    for item in named {
      let value = try tensor(file, "parameters/" + item.name, shape: item.parameter.shape)
      guard value.dtype == item.parameter.dtype else {
        throw NNError.mismatch(
          .init(path, at: item.name, expected: "\(item.parameter.dtype)", found: "\(value.dtype)"))
      }
      changes.append { item.parameter.update(to: value) }
    }
    try requireEqual(manifest.optimizers.keys.sorted(), optimizers.keys.sorted(), folder, "optimizers")
    let names = Names(module)
    for (key, optimizer) in optimizers {
      guard let record = manifest.optimizers[key] else { continue }
      changes.append(
        try restoring(
          optimizer, key, names, (record.kind, record.stepCount, record.schedule, record.maximumNorm),
          groups: record.groups.map {
            ($0.name, $0.learningRate, $0.weightDecay, $0.multiplier, $0.parameters)
          }, states: record.states.map { ($0.parameter, $0.updateCount, $0.tensors) }, file))
    }
    let layers = dropoutLayers(module)
    try requireEqual(manifest.dropout.keys.sorted(), layers.map(\.0).sorted(), folder, "dropout layers")
    for (name, layer) in layers {
      guard let state = manifest.dropout[name] else { continue }
      changes.append { layer.generator = state }
    }
    for change in changes { change() }
    return Restored(generators: manifest.generators, cursor: manifest.cursor)
  }

  // MARK: Names

  /// The parameters' names by identity.
  private struct Names {
    private var byIdentity: [ObjectIdentifier: String] = [:]

    init(_ module: some Module) {
      for item in module.namedParameters { byIdentity[ObjectIdentifier(item.parameter)] = item.name }
    }

    subscript(parameter: Parameter, optimizer: String) -> String {
      guard let name = byIdentity[ObjectIdentifier(parameter)] else {
        preconditionFailure(
          "Checkpoint: a parameter of shape \(parameter.shape) of optimizer '\(optimizer)' is not in the module"
        )
      }
      return name
    }
  }

  private static func dropoutLayers(_ module: some Module) -> [(String, Dropout)] {
    module.namedModules.compactMap { item in (item.module as? Dropout).map { (item.name, $0) } }
  }

  private static func dropoutStates(_ module: some Module) -> [String: RandomGenerator] {
    Dictionary(dropoutLayers(module).map { ($0.0, $0.1.generator) }, uniquingKeysWith: { first, _ in first })
  }

  // MARK: Optimizers

  private static func record<Cursor>(
    _ optimizer: Optimizer, _ key: String, _ names: Names, _ sources: inout [SafetensorsSource]
  ) -> CheckpointManifest<Cursor>.OptimizerRecord {
    var states: [CheckpointManifest<Cursor>.State] = []
    for parameter in optimizer.parameters {
      guard let state = optimizer.state(of: parameter) else { continue }
      let name = names[parameter, key]
      for (part, tensor) in state.tensors {
        sources.append(SafetensorsSource(name: stateName(key, part, name), tensor: tensor))
      }
      states.append(
        .init(parameter: name, updateCount: state.updateCount, tensors: state.tensors.keys.sorted()))
    }
    return .init(
      kind: "\(type(of: optimizer))", stepCount: optimizer.stepCount, schedule: optimizer.schedule,
      maximumNorm: optimizer.maximumNorm,
      groups: optimizer.groups.map { group in
        .init(
          name: group.name, learningRate: group.learningRate, weightDecay: group.weightDecay,
          multiplier: group.multiplier, parameters: group.parameters.map { names[$0, key] })
      }, states: states)
  }

  private static func stateName(_ optimizer: String, _ part: String, _ parameter: String) -> String {
    "optimizers/\(optimizer)/\(part)/\(parameter)"
  }

  /// Checks a saved optimizer against `optimizer` and returns what puts it in.
  private static func restoring(
    _ optimizer: Optimizer, _ key: String, _ names: Names,
    _ settings: (kind: String, stepCount: Int, schedule: LearningRateSchedule, maximumNorm: Double?),
    groups: [(name: String, rate: Double, decay: Double, multiplier: Double, parameters: [String])],
    states: [(parameter: String, updateCount: Int, tensors: [String])], _ file: SafetensorsFile
  ) throws -> () -> Void {
    let place = "optimizer '\(key)'"
    let kind = "\(type(of: optimizer))"
    guard kind == settings.kind && settings.stepCount >= 0 else {
      throw NNError.mismatch(.init(file.file.path, at: place, expected: kind, found: settings.kind))
    }
    let own = optimizer.groups.map { $0.parameters.map { names[$0, key] } }
    guard own == groups.map(\.parameters) else {
      throw NNError.mismatch(
        .init(
          file.file.path, at: place + ", groups",
          expected: "\(own.map(\.count)) parameters of the same names",
          found: "\(groups.map(\.parameters.count))"))
    }
    let parameters = Dictionary(
      optimizer.parameters.map { (names[$0, key], $0) }, uniquingKeysWith: { first, _ in first })
    var restored: [String: OptimizerState] = [:]
    for saved in states {
      guard let parameter = parameters[saved.parameter] else {
        throw NNError.unexpected(
          .init(
            file.file.path, at: place, expected: "states of its parameters", found: "'\(saved.parameter)'"))
      }
      var state = OptimizerState()
      state.updateCount = saved.updateCount
      for part in saved.tensors {
        state.tensors[part] = try tensor(
          file, stateName(key, part, saved.parameter), shape: parameter.shape)
      }
      restored[saved.parameter] = state
    }
    return {
      optimizer.stepCount = settings.stepCount
      optimizer.schedule = settings.schedule
      optimizer.maximumNorm = settings.maximumNorm
      for (index, group) in groups.enumerated() {
        optimizer.groups[index].name = group.name
        optimizer.groups[index].learningRate = group.rate
        optimizer.groups[index].weightDecay = group.decay
        optimizer.groups[index].multiplier = group.multiplier
      }
      for (name, parameter) in parameters { optimizer.setState(restored[name], of: parameter) }
    }
  }

  // MARK: Files

  /// A tensor copied out of the file: its bytes must not change with the file.
  private static func tensor(_ file: SafetensorsFile, _ name: String, shape: Shape) throws -> Tensor {
    let value = try file.tensor(name)
    guard value.shape == shape else {
      throw NNError.mismatch(
        .init(file.file.path, at: name, expected: "\(shape)", found: "\(value.shape)"))
    }
    return value.copied()
  }

  private static func tensorFiles(in folder: URL) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasPrefix("tensors-") && $0.hasSuffix(".safetensors") }.sorted()
  }

  private static func freshName(besides names: [String]) -> String {
    var number = 0
    while names.contains("tensors-\(number).safetensors") { number += 1 }
    return "tensors-\(number).safetensors"
  }

  private static func describe<Cursor>(
    _ file: URL, _ name: String
  ) throws -> CheckpointManifest<Cursor>.TensorFile {
    let mapped = try MappedFile(file)
    var hash = SHA256()
    hash.update(mapped.bytes)
    return withExtendedLifetime(mapped) {
      .init(name: name, byteCount: mapped.count, sha256: hash.hexadecimal())
    }
  }

  private static func readManifest<Cursor: Codable>(
    _ type: Cursor.Type, _ folder: URL
  ) throws -> CheckpointManifest<Cursor> {
    let url = folder.appending(path: manifestName)
    // Read by the bounded parser first: it limits depth and size before the decoder sees the bytes.
    _ = try JSONValue(contentsOf: url)
    let data = try Data(contentsOf: url)
    let decoder = JSONDecoder()
    guard let header = try? decoder.decode(CheckpointHeader.self, from: data),
      header.format == CheckpointManifest<Cursor>.formatName
    else {
      throw NNError.foreign(
        .init(
          url.path, at: "format", expected: "'\(CheckpointManifest<Cursor>.formatName)'", found: "another"))
    }
    guard header.version == CheckpointManifest<Cursor>.currentVersion else {
      throw NNError.foreign(
        .init(
          url.path, at: "version", expected: "\(CheckpointManifest<Cursor>.currentVersion)",
          found: "\(header.version)"))
    }
    do {
      return try decoder.decode(CheckpointManifest<Cursor>.self, from: data)
    } catch {
      throw NNError.foreign(
        .init(
          url.path, at: "manifest", expected: "a checkpoint whose cursor is a \(Cursor.self)",
          found: "\(error)"))
    }
  }

  private static func openTensors<Cursor>(
    _ expected: CheckpointManifest<Cursor>.TensorFile, _ folder: URL
  ) throws -> SafetensorsFile {
    guard expected.name.hasPrefix("tensors-"), !expected.name.contains("/") else {
      throw NNError.foreign(
        .init(folder.path, at: "tensors", expected: "a file of this folder", found: "'\(expected.name)'"))
    }
    let url = folder.appending(path: expected.name)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw NNError.torn(
        .init(folder.path, at: "tensors", expected: "'\(expected.name)'", found: "no such file"))
    }
    let actual: CheckpointManifest<Cursor>.TensorFile = try describe(url, expected.name)
    guard actual.byteCount == expected.byteCount && actual.sha256 == expected.sha256 else {
      throw NNError.torn(
        .init(
          url.path, at: "contents", expected: "\(expected.byteCount) bytes, SHA-256 \(expected.sha256)",
          found: "\(actual.byteCount) bytes, SHA-256 \(actual.sha256)"))
    }
    return try SafetensorsFile(url)
  }

  private static func requireEqual(
    _ found: [String], _ expected: [String], _ folder: URL, _ place: String
  ) throws {
    guard found != expected else { return }
    let missing = expected.filter { !found.contains($0) }
    let extra = found.filter { !expected.contains($0) }
    guard missing.isEmpty else {
      throw NNError.missing(.init(folder.path, at: place, expected: list(missing), found: list(extra)))
    }
    throw NNError.unexpected(
      .init(folder.path, at: place, expected: "\(expected.count) in the model's order", found: list(extra)))
  }
}
