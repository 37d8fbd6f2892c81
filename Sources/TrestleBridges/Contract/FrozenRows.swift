import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Rows of users and items that a bridge takes once and keeps: they are part of its state.
public struct FrozenRows: Sendable {
  private var tables: [EntityKind: Tensor] = [:]

  /// No rows.
  public init() {}

  /// The rows of a kind, `[count, width]`; `nil` for none. What is put in is detached.
  public subscript(kind: EntityKind) -> Tensor? {
    get { tables[kind] }
    set { tables[kind] = newValue?.detached }
  }

  /// Adds the rows to a state, under names that begin with `prefix`.
  public func save(into state: inout BridgeState, prefix: String) {
    for (kind, rows) in tables { state.tensors["\(prefix).\(kind.rawValue)s"] = rows }
  }

  /// A state that holds these rows alone, under the names of ``save(into:prefix:)``.
  func state(prefix: String) -> BridgeState {
    var state = BridgeState()
    save(into: &state, prefix: prefix)
    return state
  }

  /// What fills an input's slots: these rows through the projector of their kind, `[ids, inputWidth]`; `nil` for a kind that
  /// lacks either.
  func slots(
    through projectors: [EntityKind: MLP]
  ) -> (_ kind: EntityKind, _ ids: Tensor) -> Tensor? {
    { [tables] kind, ids in
      guard let rows = tables[kind], let projector = projectors[kind] else { return nil }
      return projector(rows.gatheredRows(ids))
    }
  }
}

extension BridgeContext {
  /// The recommender's rows of users and items as it scores with them now, each of length 1.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the domain side has none.
  func domainRows() throws -> FrozenRows {
    var rows = FrozenRows()
    for kind in EntityKind.allCases {
      rows[kind] = try domain.representations(ofAll: kind, from: .row).unitNormalized()
    }
    return rows
  }

  /// The mean of the rows of the items that each user has in training, `[users, width]`; zeros for a user without any.
  ///
  /// - Parameter items: `[items, width]`.
  public func historyMeans(of items: Tensor) -> Tensor {
    let matrix = UserItemMatrix(split.training)
    var users: [Int32] = []
    var columns: [Int32] = []
    var values: [Float] = []
    for user in 0..<matrix.userCount {
      let own = matrix.items(of: user)
      users += own.map { _ in Int32(user) }
      columns += own
      values += own.map { _ in 1 / Float(own.count) }
    }
    return SparseMatrix(
      rowCount: split.userCount, columnCount: split.itemCount, rows: users, columns: columns, values: values
    ).matmul(items)
  }

  /// What the language side makes of the items, centred and of length 1, and the means of users' histories of that: the texts
  /// that mechanisms with frozen text vectors learn from.
  ///
  /// - Parameters:
  ///   - source: where the items' vectors come from.
  ///   - readsUsers: whether users' vectors come from there too, centred likewise, rather than from histories.
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the side has none from there.
  public func textRows(
    from source: RepresentationSource, readsUsers: Bool = false
  ) throws -> FrozenRows {
    let items = try language.representations(ofAll: .item, from: source)
    var rows = FrozenRows()
    // Centred: the states of a language model share a large common part that tells nothing apart.
    let centred = (items - items.mean(along: [0])).unitNormalized()
    rows[.item] = centred
    if readsUsers {
      let users = try language.representations(ofAll: .user, from: source)
      rows[.user] = (users - users.mean(along: [0])).unitNormalized()
    } else {
      rows[.user] = historyMeans(of: centred)
    }
    return rows
  }
}

extension BridgeParameterGroup {
  /// The parameters of a bridge's own module, under names that begin with the group's.
  public init(name: String, module: some Module, learningRate: Double, weightDecay: Double = 0) {
    self.init(
      name: name, parameters: module.namedParameters.map { ("\(name).\($0.name)", $0.parameter) },
      learningRate: learningRate, weightDecay: weightDecay)
  }

  /// A group for each kind of entity that has a module: `name.user` and `name.item`.
  static func groups(
    _ name: String, of modules: [EntityKind: some Module], learningRate: Double
  ) -> [BridgeParameterGroup] {
    EntityKind.allCases.compactMap { kind in
      modules[kind].map {
        BridgeParameterGroup(name: "\(name).\(kind.rawValue)", module: $0, learningRate: learningRate)
      }
    }
  }
}
