import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

extension BridgeTrainer {
  /// What the header of a checkpoint says, beside the tensors.
  private struct Header: Codable {
    var format = 2
    var bridge: String
    var fingerprint: String
    var vocabulary: EntityVocabulary
    var splitHash: String
    var cursor: BridgeCursor
    var stateValues: [String: String]
    /// Updates of each parameter, by role and name.
    var updates: [String: [String: Int]]
    /// The same of the best state, by name.
    var bestUpdates: [String: Int]
    /// The bridge's values in the best state.
    var bestStateValues: [String: String]
    var records: [BridgeEpochRecord]
    /// How many batches make a step, if it is more than one.
    var accumulation: Int?
  }

  /// The checkpoint's file.
  var checkpointURL: URL? { folder?.appending(path: "checkpoint.safetensors") }

  private func sides() -> [(role: SideRole, side: any ParameterGroups)] {
    SideRole.allCases.compactMap { role in (context.side(role) as? any ParameterGroups).map { (role, $0) } }
  }

  /// Saves everything that a resumed run needs, in one atomic write.
  func save() throws {
    guard let folder, let checkpointURL, communicator.rank == 0 else { return }
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
    for (name, tensor) in best.values { tensors["best.\(name)"] = tensor }
    for (name, tensor) in best.state.tensors { tensors["best_state.\(name)"] = tensor }
    for (name, state) in best.moments {
      for (kind, tensor) in state.tensors { tensors["best_\(kind).\(name)"] = tensor }
    }
    let state = bridge.saveState()
    for (name, tensor) in state.tensors { tensors["bridge.\(name)"] = tensor }
    let header = Header(
      bridge: bridge.name, fingerprint: fingerprint, vocabulary: context.domain.vocabulary,
      splitHash: context.split.hash, cursor: cursor, stateValues: state.values, updates: updates,
      bestUpdates: best.moments.mapValues(\.updateCount), bestStateValues: best.state.values,
      records: records,
      accumulation: accumulation == 1 ? nil : accumulation)
    let encoder = RecordCoding.encoder()
    let text = String(decoding: try encoder.encode(header), as: UTF8.self)
    try SafetensorsWriter.write(
      tensors.map { SafetensorsSource(name: $0.key, tensor: $0.value) }, metadata: ["run": text],
      to: checkpointURL)
    let lines = try records.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    try AtomicFile.write(Array(lines.joined().utf8), to: folder.appending(path: "metrics.jsonl"))
  }

  /// Continues from the checkpoint, if there is one. Everything is checked first: a checkpoint that is refused changes
  /// neither sides nor trainer, and the bridge gets its own state back.
  ///
  /// - Returns: whether there was one.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a checkpoint of another run, and
  ///   `FormatError` for a torn one.
  func resume() throws -> Bool {
    guard let url = try checkpointToResume() else { return false }
    defer { if url != checkpointURL { try? FileManager.default.removeItem(at: url) } }
    let file = try SafetensorsFile(url, access: .copied)
    let header = try readHeader(file)
    try validate(header, file)
    var state = BridgeState()
    state.values = header.stateValues
    for name in file.names where name.utf8.starts(with: "bridge.".utf8) {
      state.tensors[String(name.dropFirst(7))] = try file.tensor(name).copied()
    }
    var saved = SavedValues()
    for (role, side) in sides() {
      let own = side.parameterGroups.flatMap(\.parameters)
      try read(own, of: role, header, file, into: &saved)
    }
    // The bridge's own parameters may exist only once its state does.
    let before = bridge.saveState()
    do {
      try bridge.loadState(state, context)
      for (role, side) in sides() {
        try read(parameters(of: role, side), of: role, header, file, into: &saved)
      }
      try readBest(header, file, into: &saved)
    } catch {
      try? bridge.loadState(before, context)
      throw error
    }
    for (parameter, value) in saved.values { parameter.update(to: value) }
    for (role, _) in sides() {
      let optimizer = AdamW(groups: [])
      for (parameter, state) in saved.states[role] ?? [] { optimizer.setState(state, of: parameter) }
      optimizers[role] = optimizer
    }
    best = saved.best
    accumulation = header.accumulation ?? 1
    cursor = header.cursor
    records = header.records
    return true
  }

  /// What a checkpoint holds for parameters, checked and not yet put in.
  private struct SavedValues {
    var values: [(Parameter, Tensor)] = []
    var states: [SideRole: [(Parameter, OptimizerState)]] = [:]
    var best = BestState()
    var seen: [SideRole: Set<ObjectIdentifier>] = [:]
  }

  /// Reads the values and moments of parameters that have not been read yet.
  private func read(
    _ parameters: [(name: String, parameter: Parameter)], of role: SideRole, _ header: Header,
    _ file: SafetensorsFile, into saved: inout SavedValues
  ) throws {
    for (name, parameter) in parameters
    where saved.seen[role, default: []].insert(ObjectIdentifier(parameter)).inserted {
      saved.values.append(
        (parameter, try tensor(file, "\(role.rawValue).value.\(name)", like: parameter)))
      guard let count = header.updates[role.rawValue]?[name] else { continue }
      var state = OptimizerState()
      state.updateCount = count
      for kind in ["mean", "variance"] {
        state.tensors[kind] = try tensor(file, "\(role.rawValue).\(kind).\(name)", like: parameter)
      }
      saved.states[role, default: []].append((parameter, state))
    }
  }

  /// Reads the best state, which must be there as a whole if the phase has had a best epoch.
  private func readBest(_ header: Header, _ file: SafetensorsFile, into saved: inout SavedValues) throws {
    let cursor = header.cursor
    func names(_ prefix: String) -> [String] {
      file.names.filter { $0.utf8.starts(with: prefix.utf8) }.map { String($0.dropFirst(prefix.count)) }
    }
    guard bridge.phases.indices.contains(cursor.phase) else { return }
    let phase = bridge.phases[cursor.phase]
    guard let side = context.side(phase.side) as? any ParameterGroups else { return }
    let all = trained(in: phase, side)
    let known = Dictionary(
      all.map { (ByteKey($0.name), $0.parameter) }, uniquingKeysWith: { first, _ in first })
    func parameter(_ name: String) throws -> Parameter {
      if let parameter = known[name] { return parameter }
      throw invalid(file, "best.\(name)", "a parameter of '\(side.name)'", "none of that name")
    }
    for name in names("best.") {
      saved.best.values[name] = try tensor(file, "best.\(name)", like: parameter(name))
    }
    for (name, count) in header.bestUpdates {
      var state = OptimizerState()
      state.updateCount = count
      for kind in ["mean", "variance"] {
        state.tensors[kind] = try tensor(file, "best_\(kind).\(name)", like: parameter(name))
      }
      saved.best.moments[name] = state
    }
    for name in names("best_state.") {
      saved.best.state.tensors[name] = try file.tensor("best_state.\(name)").copied()
    }
    saved.best.state.values = header.bestStateValues
    guard phase.keepsBest, cursor.bestValidation > BridgeCursor().bestValidation else { return }
    for (name, _, _) in all where saved.best.values[name] == nil {
      throw invalid(file, "best.\(name)", "the value at the best validation", "none")
    }
  }

  private func readHeader(_ file: SafetensorsFile) throws -> Header {
    guard let text = file.metadata["run"] else {
      throw invalid(file, "run", "a bridge run's record", "none")
    }
    let header: Header
    do {
      // Read by the bounded parser first: it limits depth and size before the decoder sees the text.
      _ = try JSONValue(parsing: text, source: file.path)
      header = try RecordCoding.decoder().decode(Header.self, from: Data(text.utf8))
    } catch {
      throw invalid(file, "run", "a bridge run's record", "\(error)")
    }
    func check(_ place: String, _ expected: String, _ found: String) throws {
      guard expected.hasSameBytes(as: found) else { throw invalid(file, place, expected, found) }
    }
    try check("format", "2", "\(header.format)")
    try check("bridge", bridge.name, header.bridge)
    try check("fingerprint", fingerprint, header.fingerprint)
    try check("vocabulary", "\(context.domain.vocabulary)", "\(header.vocabulary)")
    try check("split", context.split.hash, header.splitHash)
    return header
  }

  /// Stops places and counts that no run of this bridge leaves behind.
  private func validate(_ header: Header, _ file: SafetensorsFile) throws {
    let cursor = header.cursor
    let counts = 0...(1 << 40)
    func check<Value: Comparable>(_ place: String, _ value: Value, in range: ClosedRange<Value>) throws {
      guard range.contains(value) else { throw invalid(file, place, "\(range)", "\(value)") }
    }
    let batches = header.accumulation ?? 1
    try check("accumulation", batches, in: 1...(1 << 20))
    guard batches == wantedAccumulation ?? batches, batches >= communicator.size else {
      throw invalid(
        file, "accumulation", "\(wantedAccumulation ?? communicator.size) batches a step", "\(batches)")
    }
    let phases = bridge.phases
    try check("cursor.phase", cursor.phase, in: 0...phases.count)
    let epochs = phases.indices.contains(cursor.phase) ? phases[cursor.phase].epochs : 0
    try check("cursor.epoch", cursor.epoch, in: 0...max(epochs, 0))
    try check("cursor.batch", cursor.batch, in: counts)
    try check("cursor.examples", cursor.examples, in: counts)
    try check("cursor.sinceBest", cursor.sinceBest, in: 0...(cursor.epoch + 1))
    for (role, count) in cursor.epochsOf {
      guard SideRole(rawValue: role) != nil else {
        throw invalid(file, "cursor.epochsOf", "a side", role)
      }
      try check("cursor.epochsOf.\(role)", count, in: counts)
    }
    for number in [cursor.loss, cursor.bridgeLoss, cursor.bestValidation] where !number.isFinite {
      throw invalid(file, "cursor", "finite numbers", "\(number)")
    }
    for (role, updates) in header.updates {
      for (name, count) in updates { try check("updates.\(role).\(name)", count, in: 1...(1 << 48)) }
    }
    for (name, count) in header.bestUpdates { try check("bestUpdates.\(name)", count, in: 1...(1 << 48)) }
    for record in header.records { try check("records", record.epoch, in: counts) }
  }

  private func invalid(
    _ file: SafetensorsFile, _ place: String, _ expected: String, _ found: String
  ) -> BridgeError {
    .invalidState(path: file.path, place: place, expected: expected, found: found)
  }

  /// A tensor of the parameter's shape and type, in memory of its own.
  private func tensor(
    _ file: SafetensorsFile, _ name: String, like parameter: Parameter
  ) throws -> Tensor {
    let tensor = try file.tensor(name)
    guard tensor.shape == parameter.shape, tensor.dtype == parameter.dtype else {
      throw invalid(
        file, name, "\(parameter.dtype) \(parameter.shape)", "\(tensor.dtype) \(tensor.shape)")
    }
    return tensor.copied()
  }
}
