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

  static let manifestName = "checkpoint.json"

  /// Saves a training state, replacing the folder's earlier checkpoint.
  ///
  /// - Parameters:
  ///   - module: whose parameters, buffers and dropout layers' random states are saved.
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
    sources += module.namedBuffers.map {
      SafetensorsSource(name: "buffers/" + $0.name, tensor: $0.buffer.value)
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
  ///   - validate: the caller's own check of the cursor, and of what belongs to it; nothing is changed if it throws.
  /// - Throws: ``NNError`` for a checkpoint that is torn, foreign or of another model; `FormatError` if a file
  ///   cannot be read; what `validate` throws.
  public static func load<Cursor: Codable>(
    _ cursor: Cursor.Type = Cursor.self, from folder: URL, into module: some Module,
    optimizers: [String: Optimizer], validatingCursor validate: (Cursor) throws -> Void = { _ in }
  ) throws -> Restored<Cursor> {
    let manifest = try readManifest(Cursor.self, folder)
    try manifest.validate(path: folder.path)
    let file = try openTensors(manifest.tensors, folder)
    var changes: [() -> Void] = []
    let named = module.namedParameters
    try requireEqual(manifest.parameters, named.map(\.name), folder, "parameters")
    for item in named {
      let value = try tensor(file, "parameters/" + item.name, item.parameter.shape, item.parameter.dtype)
      changes.append { item.parameter.update(to: value) }
    }
    for item in module.namedBuffers {
      let buffer = item.buffer
      let value = try tensor(file, "buffers/" + item.name, buffer.value.shape, buffer.value.dtype)
      changes.append { buffer.update(to: value) }
    }
    try requireEqual(manifest.optimizers.keys.sorted(), optimizers.keys.sorted(), folder, "optimizers")
    let names = Names(module)
    for (key, optimizer) in optimizers {
      guard let record = manifest.optimizers[key] else { continue }
      changes.append(
        try restoring(optimizer, key, names, RestoredOptimizer(record), file))
    }
    let layers = dropoutLayers(module)
    try requireEqual(manifest.dropout.keys.sorted(), layers.map(\.0).sorted(), folder, "dropout layers")
    for (name, layer) in layers {
      guard let state = manifest.dropout[name] else { continue }
      changes.append { layer.generator = state }
    }
    try validate(manifest.cursor)
    for change in changes { change() }
    return Restored(generators: manifest.generators, cursor: manifest.cursor)
  }

  // MARK: Names

  /// The parameters' names by identity.
  struct Names {
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

  static func stateName(_ optimizer: String, _ part: String, _ parameter: String) -> String {
    "optimizers/\(optimizer)/\(part)/\(parameter)"
  }
}
