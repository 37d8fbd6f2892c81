import TrestleTensor

/// The values of some elements of a parameter and what is remembered about them, for a rule that looks at each element alone.
struct ElementwiseUpdate {
  /// The elements' values.
  var value: Tensor
  /// The gradient, scaled.
  let gradient: Tensor
  /// What is remembered, by name.
  var state: [String: Tensor]

  /// Applies a rule to all elements for a dense gradient, or to those of the named rows for a row-sparse one.
  ///
  /// - Parameters:
  ///   - names: the tensors of the state, of the parameter's shape; zeros before the first update.
  ///   - rule: changes value and state.
  static func apply(
    to parameter: Parameter, _ gradient: Gradient, _ state: inout OptimizerState, names: [String],
    scale: Double,
    _ rule: (inout ElementwiseUpdate) -> Void
  ) {
    func full(_ name: String, in state: inout OptimizerState) -> Tensor {
      state.tensors.removeValue(forKey: name) ?? .zeros(parameter.shape, dtype: parameter.dtype)
    }
    switch gradient {
    case .dense(let tensor):
      let remembered = names.map { ($0, full($0, in: &state)) }
      var update = ElementwiseUpdate(
        value: parameter.detached, gradient: scale == 1 ? tensor.detached : tensor.detached * scale,
        state: Dictionary(uniqueKeysWithValues: remembered))
      rule(&update)
      parameter.update(to: update.value)
      state.tensors.merge(update.state) { _, new in new }
    case .rows(let rows):
      let sparse = rows.coalesced()
      let indices = sparse.indices
      var tables = Dictionary(uniqueKeysWithValues: names.map { ($0, full($0, in: &state)) })
      let gradient = sparse.values.detached
      var update = ElementwiseUpdate(
        value: parameter.detached.gatheredRows(indices), gradient: scale == 1 ? gradient : gradient * scale,
        state: tables.mapValues { $0.gatheredRows(indices) })
      rule(&update)
      parameter.replaceRows(at: indices, by: update.value)
      for (name, values) in update.state {
        guard var table = tables.removeValue(forKey: name) else { continue }
        table.replaceRows(at: indices, by: values)
        state.tensors[name] = table
      }
    }
  }
}
