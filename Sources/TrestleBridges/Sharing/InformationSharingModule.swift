import TrestleTensor

/// The store of user and item representations that both sides read and write in turn: the S of BDLM.
///
/// For each entity it holds a row of the shared width, how sure of it its writers were, how often the row was written, by whom
/// last, and how many writes came from each side. Rows are unit-normalised on writing when the configuration says so, which keeps the two
/// sides from meeting at zero.
///
/// Source: Zhang et al., *Bridging the Information Gap Between Domain-Specific Model and General LLM for Personalized
/// Recommendation* (2023). The paper leaves the form of the update open; the exponential average is our choice.
public final class InformationSharingModule {
  /// How the store works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The shared width, d.
    public var width: Int
    /// The share of a written row that replaces the old one, ρ; the first write replaces all.
    public var writeRate: Double
    /// Whether rows are scaled to length 1.
    public var isNormalized: Bool

    /// A store of rows of `width` numbers.
    public init(width: Int = 64, writeRate: Double = 0.5, isNormalized: Bool = true) {
      self.width = width
      self.writeRate = writeRate
      self.isNormalized = isNormalized
    }
  }

  /// The rows of one kind of entity and the record of their writing.
  public struct Table: Sendable {
    /// `[count, width]`.
    public fileprivate(set) var rows: Tensor
    /// How sure of each row its writers were, from 0 to 1; 0 for one that nobody has written.
    public fileprivate(set) var confidences: [Float]
    /// The inverse of the written rows' mean confidence; 0 if nobody is sure of any.
    fileprivate var confidenceScale = 0.0
    /// How often each row was written.
    public fileprivate(set) var versions: [Int32]
    /// How many of the writes came from the domain side.
    public fileprivate(set) var domainWrites: [Int32]
    /// Who wrote each row last; `nil` if nobody has.
    public fileprivate(set) var lastWriters: [SideRole?]

    fileprivate init(count: Int, width: Int) {
      rows = .zeros([count, width])
      confidences = Array(repeating: 0, count: count)
      versions = Array(repeating: 0, count: count)
      domainWrites = versions
      lastWriters = Array(repeating: nil, count: count)
    }

    /// Takes the mean confidence anew, after writing.
    fileprivate mutating func measureConfidence() {
      let written = versions.indices.filter { versions[$0] > 0 }
      let total = written.reduce(0.0) { $0 + Double(confidences[$1]) }
      confidenceScale = total > 0 ? Double(written.count) / total : 0
    }

    /// The mean standard deviation of a coordinate over the written rows: near 0 means that the store has collapsed.
    public var spread: Double {
      let written = versions.indices.filter { versions[$0] > 0 }.map(Int32.init)
      guard written.count > 1 else { return 0 }
      return rows.gatheredRows(Tensor(written)).variance(along: [0]).sqrt().mean().item
    }
  }

  /// How the store works.
  public let configuration: Configuration
  /// The users' rows.
  public private(set) var users: Table
  /// The items' rows.
  public private(set) var items: Table

  /// An empty store for the entities of `vocabulary`.
  public init(_ vocabulary: EntityVocabulary, configuration: Configuration = Configuration()) {
    self.configuration = configuration
    users = Table(count: vocabulary.userCount, width: configuration.width)
    items = Table(count: vocabulary.itemCount, width: configuration.width)
  }

  /// The table of a kind.
  public subscript(kind: EntityKind) -> Table { kind == .user ? users : items }

  /// The rows of `ids`, `[ids, width]`, not tracked: whoever reads learns from them, and cannot change them thereby.
  public func read(_ kind: EntityKind, _ ids: Tensor) -> Tensor { self[kind].rows.gatheredRows(ids) }

  /// Whether each of `ids` has been written, as 1 or 0, `[ids]`.
  public func isWritten(_ kind: EntityKind, _ ids: Tensor) -> Tensor {
    let versions = self[kind].versions
    return Tensor(ids.scalars(as: Int32.self).map { versions[Int($0)] > 0 ? Float(1) : 0 })
  }

  /// How much each of `ids` counts in a distance to the store, `[ids]`: its confidence in proportion to the mean over all written rows,
  /// so that the distance keeps its weight, whatever the writers' confidence; 0 for a row that nobody has written.
  public func relativeConfidence(_ kind: EntityKind, _ ids: Tensor) -> Tensor {
    let (confidences, scale) = (self[kind].confidences, self[kind].confidenceScale)
    return Tensor(ids.scalars(as: Int32.self).map { Float(Double(confidences[Int($0)]) * scale) })
  }

  /// Writes rows: S ← (1 − ρ) S + ρ · rows, or the rows themselves where nothing was written before.
  ///
  /// - Parameters:
  ///   - kind: whose rows: users or items.
  ///   - ids: the entities, each once.
  ///   - rows: `[ids, width]`; a row of zeros says that the writer knows nothing, and is skipped.
  ///   - writer: the side that writes.
  ///   - confidences: how sure of each row the writer is, from 0 to 1, averaged as the rows are; `nil` for 1.
  ///   - rate: ρ, if not that of the configuration.
  public func write(
    _ kind: EntityKind, ids: [Int32], rows: Tensor, by writer: SideRole, confidences: [Float]? = nil,
    rate: Double? = nil
  ) {
    precondition(
      confidences.map { $0.count == ids.count && $0.allSatisfy { (0...1).contains($0) } } ?? true,
      "InformationSharingModule.write: a confidence from 0 to 1 for each of \(ids.count) entities")
    precondition(
      rows.shape == [ids.count, configuration.width],
      "InformationSharingModule.write: rows \(rows.shape) for \(ids.count) entities of width \(configuration.width)"
    )
    var table = self[kind]
    let rate = Float(rate ?? configuration.writeRate)
    let incoming = (configuration.isNormalized ? rows.detached.unitNormalized() : rows.detached).floats
    let width = configuration.width
    var values = table.rows.floats
    for (position, id) in ids.enumerated() {
      let row = incoming[position * width..<(position + 1) * width]
      guard row.contains(where: { $0 != 0 }) else { continue }
      let start = Int(id) * width
      let share: Float = table.versions[Int(id)] == 0 ? 1 : rate
      for (offset, value) in row.enumerated() {
        values[start + offset] = (1 - share) * values[start + offset] + share * value
      }
      let confidence = confidences?[position] ?? 1
      // Rounding must not bring a mean of ones above 1.
      table.confidences[Int(id)] = min((1 - share) * table.confidences[Int(id)] + share * confidence, 1)
      table.versions[Int(id)] += 1
      table.domainWrites[Int(id)] += writer == .domain ? 1 : 0
      table.lastWriters[Int(id)] = writer
    }
    let updated = Tensor(values, shape: table.rows.shape)
    table.rows = configuration.isNormalized ? updated.unitNormalized() : updated
    table.measureConfidence()
    if kind == .user { users = table } else { items = table }
  }
}

extension InformationSharingModule {
  /// Adds the store's content to a state, under names that begin with `prefix`.
  public func save(into state: inout BridgeState, prefix: String = "sharing") {
    for kind in EntityKind.allCases {
      let table = self[kind]
      let name = "\(prefix).\(kind.rawValue)s"
      state.tensors["\(name).rows"] = table.rows
      state.tensors["\(name).confidences"] = Tensor(table.confidences)
      state.tensors["\(name).versions"] = Tensor(table.versions)
      state.tensors["\(name).domain_writes"] = Tensor(table.domainWrites)
      state.tensors["\(name).last_writers"] = Tensor(
        table.lastWriters.map { writer -> Int32 in writer.map { $0 == .domain ? 0 : 1 } ?? -1 })
    }
  }

  /// Takes over the content saved by ``save(into:prefix:)``.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if a tensor is missing, of another shape or type,
  ///   or holds what no writing leaves behind. The store is as it was then.
  public func load(from state: BridgeState, prefix: String = "sharing") throws(BridgeError) {
    let (savedUsers, savedItems) = (
      try saved(.user, in: state, prefix), try saved(.item, in: state, prefix)
    )
    (users, items) = (savedUsers, savedItems)
  }

  private func saved(
    _ kind: EntityKind, in state: BridgeState, _ prefix: String
  ) throws(BridgeError) -> Table {
    var table = self[kind]
    let name = "\(prefix).\(kind.rawValue)s"
    let count = table.versions.count
    /// Whole numbers for all entities, each in its range.
    func numbers(_ part: String, _ range: (Int) -> ClosedRange<Int32>) throws(BridgeError) -> [Int32] {
      let place = "\(name).\(part)"
      let values = try state.tensor(place, shape: [count], dtype: .int32).scalars(as: Int32.self)
      for (index, value) in values.enumerated() where !range(index).contains(value) {
        throw .invalidState(
          path: "bridge state", place: place, expected: "\(range(index))", found: "\(value)")
      }
      return values
    }
    table.rows = try state.finiteTensor("\(name).rows", shape: table.rows.shape)
    table.versions = try numbers("versions") { _ in 0...(1 << 30) }
    // States of before have none: then every writer was sure.
    table.confidences = table.versions.map { $0 > 0 ? 1 : 0 }
    let place = "\(name).confidences"
    if state.tensors[place] != nil {
      let saved = try state.tensor(place, shape: [count], dtype: .float32).floats
      if let wrong = saved.first(where: { !(0...1).contains($0) }) {
        throw .invalidState(path: "bridge state", place: place, expected: "0...1", found: "\(wrong)")
      }
      table.confidences = saved
    }
    table.measureConfidence()
    table.domainWrites = try numbers("domain_writes") { [versions = table.versions] in 0...versions[$0] }
    table.lastWriters = try numbers("last_writers") { _ in -1...1 }.map {
      $0 == 0 ? .domain : $0 == 1 ? .language : nil
    }
    return table
  }
}

extension BridgeState {
  /// A saved tensor of the given shape and type.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if there is none such.
  public func tensor(_ name: String, shape: Shape, dtype: DType) throws(BridgeError) -> Tensor {
    guard let tensor = tensors[name] else {
      throw .invalidState(path: "bridge state", place: name, expected: "\(dtype) \(shape)", found: "nothing")
    }
    guard tensor.shape == shape, tensor.dtype == dtype else {
      throw .invalidState(
        path: "bridge state", place: name, expected: "\(dtype) \(shape)",
        found: "\(tensor.dtype) \(tensor.shape)")
    }
    return tensor
  }
}
