import TrestleRecommenders
import TrestleTensor

/// What is read back from a saved state, checked before it is used: a state is a file that anybody may have written.
extension BridgeState {
  /// A saved `float32` tensor of the given shape without infinities or not-a-numbers.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if there is none such.
  public func finiteTensor(_ name: String, shape: Shape) throws(BridgeError) -> Tensor {
    let tensor = try tensor(name, shape: shape, dtype: .float32)
    try tensor.requireFinite(name)
    return tensor
  }

  /// A saved `float32` tensor of the given shape whose elements are from 0 to 1.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if there is none such.
  public func shares(_ name: String, shape: Shape) throws(BridgeError) -> Tensor {
    let tensor = try finiteTensor(name, shape: shape)
    if let wrong = tensor.floats.first(where: { !(0...1).contains($0) }) {
      throw .invalidState(path: "bridge state", place: name, expected: "0...1", found: "\(wrong)")
    }
    return tensor
  }

  /// A saved `int32` tensor of the given shape whose elements name rows of a table: all from 0 to one below `count`.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if there is none such.
  public func indices(_ name: String, shape: Shape, below count: Int) throws(BridgeError) -> Tensor {
    let tensor = try tensor(name, shape: shape, dtype: .int32)
    for value in tensor.scalars(as: Int32.self) where value < 0 || Int(value) >= count {
      throw .invalidState(
        path: "bridge state", place: name, expected: "numbers from 0 to \(count - 1)", found: "\(value)")
    }
    return tensor
  }

  /// A saved whole number within a range; `nil` if the state has none of that name.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for anything else of that name.
  public func integer(_ name: String, in range: ClosedRange<Int>) throws(BridgeError) -> Int? {
    guard let text = values[name] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw .invalidState(
        path: "bridge state", place: name,
        expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
        found: String(text.prefix(60)))
    }
    return value
  }
}

extension Tensor {
  /// Stops numbers that are none.
  fileprivate func requireFinite(_ place: String) throws(BridgeError) {
    if let bad = floats.first(where: { !$0.isFinite }) {
      throw .invalidState(path: "bridge state", place: place, expected: "finite numbers", found: "\(bad)")
    }
  }
}

extension FrozenRows {
  /// The rows saved by ``save(into:prefix:)``, of any width.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for rows of another number or type, or with numbers
  ///   that are none.
  public init(from state: BridgeState, prefix: String, _ vocabulary: EntityVocabulary) throws(BridgeError) {
    try self.init(from: state, prefix: prefix, vocabulary, widths: [:])
  }

  /// The rows saved by ``save(into:prefix:)``, of the widths that are expected.
  ///
  /// - Parameters:
  ///   - state: what was saved.
  ///   - prefix: what the names begin with.
  ///   - vocabulary: says how many rows there are of each kind.
  ///   - widths: how wide rows of a kind must be; a kind that is not in it may have any width.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for rows of another number, width or type, or with
  ///   numbers that are none.
  public init(
    from state: BridgeState, prefix: String, _ vocabulary: EntityVocabulary, widths: [EntityKind: Int]
  ) throws(BridgeError) {
    self.init()
    for kind in EntityKind.allCases {
      let name = "\(prefix).\(kind.rawValue)s"
      guard let rows = state.tensors[name] else { continue }
      let count = vocabulary.count(of: kind)
      guard rows.rank == 2, rows.shape[0] == count, rows.dtype == .float32, rows.shape[1] > 0,
        widths[kind] ?? rows.shape[1] == rows.shape[1]
      else {
        throw .invalidState(
          path: "bridge state", place: name,
          expected: "\(count) rows" + (widths[kind].map { " of \($0) numbers" } ?? ""),
          found: "\(rows.dtype) \(rows.shape)")
      }
      try rows.requireFinite(name)
      self[kind] = rows
    }
  }
}

extension BridgeContext {
  /// Saved rows of the recommender, as ``domainRows()`` takes them.
  func savedDomainRows(_ state: BridgeState, prefix: String = "rows") throws(BridgeError) -> FrozenRows {
    let side = try domain.contextual
    var widths: [EntityKind: Int] = [:]
    for kind in EntityKind.allCases where side.representationSources(kind).contains(.row) {
      widths[kind] = side.representationWidth(kind, source: .row)
    }
    return try FrozenRows(from: state, prefix: prefix, domain.vocabulary, widths: widths)
  }

  /// Saved vectors of texts, as ``textRows(from:readsUsers:)`` takes them.
  func savedTextRows(
    _ state: BridgeState, prefix: String = "text", from source: RepresentationSource,
    readsUsers: Bool = false
  ) throws(BridgeError) -> FrozenRows {
    let side = try language.contextual
    var widths: [EntityKind: Int] = [:]
    if side.representationSources(.item).contains(source) {
      widths[.item] = side.representationWidth(.item, source: source)
      widths[.user] = widths[.item]
    }
    if readsUsers, side.representationSources(.user).contains(source) {
      widths[.user] = side.representationWidth(.user, source: source)
    }
    return try FrozenRows(from: state, prefix: prefix, domain.vocabulary, widths: widths)
  }
}
