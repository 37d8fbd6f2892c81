import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

extension BridgeTrainer {
  /// What the header of a checkpoint says, beside the tensors.
  private struct Header: Codable {
    var format = 1
    var bridge: String
    var fingerprint: String
    var vocabulary: EntityVocabulary
    var splitHash: String
    var cursor: BridgeCursor
    var stateValues: [String: String]
    /// Updates of each parameter, by role and name.
    var updates: [String: [String: Int]]
    var records: [BridgeEpochRecord]
  }

  /// The checkpoint's file.
  var checkpointURL: URL? { folder?.appending(path: "checkpoint.safetensors") }

  private func sides() -> [(role: SideRole, side: any ParameterGroups)] {
    SideRole.allCases.compactMap { role in (context.side(role) as? any ParameterGroups).map { (role, $0) } }
  }

  /// A side's parameters, and the bridge's own that train with it, each once.
  private func parameters(
    of role: SideRole, _ side: any ParameterGroups
  ) -> [(name: String, parameter: Parameter)] {
    var seen = Set<ObjectIdentifier>()
    let own = bridge.phases.filter { $0.side == role }.flatMap { bridge.parameterGroups(in: $0) }
    return (side.parameterGroups + own).flatMap(\.parameters).filter {
      seen.insert(ObjectIdentifier($0.parameter)).inserted
    }
  }

  /// Saves everything that a resumed run needs, in one atomic write.
  func save() throws {
    guard let folder, let checkpointURL else { return }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var tensors: [String: Tensor] = [:]
    var updates: [String: [String: Int]] = [:]
    for (role, side) in sides() {
      for (name, parameter) in parameters(of: role, side) {
        tensors["\(role.rawValue).value.\(name)"] = parameter.detached
        guard let state = optimizers[role]?.state(of: parameter) else { continue }
        updates[role.rawValue, default: [:]][name] = state.updateCount
        for (kind, tensor) in state.tensors { tensors["\(role.rawValue).\(kind).\(name)"] = tensor }
      }
    }
    for (name, tensor) in best { tensors["best.\(name)"] = tensor }
    let state = bridge.saveState()
    for (name, tensor) in state.tensors { tensors["bridge.\(name)"] = tensor }
    let header = Header(
      bridge: bridge.name, fingerprint: fingerprint, vocabulary: context.domain.vocabulary,
      splitHash: context.split.hash, cursor: cursor, stateValues: state.values, updates: updates,
      records: records)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let text = String(decoding: try encoder.encode(header), as: UTF8.self)
    try SafetensorsWriter.write(
      tensors.map { SafetensorsSource(name: $0.key, tensor: $0.value) }, metadata: ["run": text],
      to: checkpointURL)
    let lines = try records.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try AtomicFile.write(Array(lines.joined().utf8), to: folder.appending(path: "metrics.jsonl"))
  }

  /// Continues from the checkpoint, if there is one.
  ///
  /// - Returns: whether there was one.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a checkpoint of another run, and
  ///   `FormatError` for a torn one.
  func resume() throws -> Bool {
    guard let checkpointURL, FileManager.default.fileExists(atPath: checkpointURL.path) else { return false }
    let file = try SafetensorsFile(checkpointURL)
    let path = checkpointURL.path
    let header = try readHeader(file, path)
    // The bridge first: its own parameters may exist only once its state does.
    var state = BridgeState()
    state.values = header.stateValues
    best = [:]
    for name in file.names {
      if name.hasPrefix("bridge.") {
        state.tensors[String(name.dropFirst(7))] = try file.tensor(name).copied()
      }
      if name.hasPrefix("best.") { best[String(name.dropFirst(5))] = try file.tensor(name).copied() }
    }
    try bridge.loadState(state, context)
    for (role, side) in sides() {
      let optimizer = AdamW(groups: [])
      for (name, parameter) in parameters(of: role, side) {
        parameter.update(to: try tensor(file, "\(role.rawValue).value.\(name)", parameter.shape, path))
        guard let count = header.updates[role.rawValue]?[name] else { continue }
        var state = OptimizerState()
        state.updateCount = count
        for kind in ["mean", "variance"] {
          state.tensors[kind] = try tensor(file, "\(role.rawValue).\(kind).\(name)", parameter.shape, path)
        }
        optimizer.setState(state, of: parameter)
      }
      optimizers[role] = optimizer
    }
    cursor = header.cursor
    records = header.records
    return true
  }

  private func readHeader(_ file: SafetensorsFile, _ path: String) throws -> Header {
    guard let text = file.metadata["run"],
      let header = try? JSONDecoder().decode(Header.self, from: Data(text.utf8))
    else {
      throw BridgeError.invalidState(
        path: path, place: "run", expected: "a bridge run's record", found: "none")
    }
    func check(_ place: String, _ expected: String, _ found: String) throws {
      guard expected == found else {
        throw BridgeError.invalidState(path: path, place: place, expected: expected, found: found)
      }
    }
    try check("format", "1", "\(header.format)")
    try check("bridge", bridge.name, header.bridge)
    try check("fingerprint", fingerprint, header.fingerprint)
    try check("vocabulary", "\(context.domain.vocabulary)", "\(header.vocabulary)")
    try check("split", context.split.hash, header.splitHash)
    return header
  }

  /// A tensor of the file in memory of its own: the file may be replaced while the run goes on.
  private func tensor(_ file: SafetensorsFile, _ name: String, _ shape: Shape, _ path: String) throws
    -> Tensor
  {
    let tensor = try file.tensor(name)
    guard tensor.shape == shape else {
      throw BridgeError.invalidState(
        path: path, place: name, expected: "shape \(shape)", found: "shape \(tensor.shape)")
    }
    return tensor.copied()
  }
}
