import Testing
import TrestleBridges
import TrestleTensor
import TrestleTestSupport

/// What strategies read back is checked where it is read: a damaged state is an error, never a crash later on.
@Suite struct SavedStrategyTests {
  /// The same elements with one replaced, or in another type or shape.
  private static func damaged(_ tensor: Tensor) -> [(String, Tensor)] {
    let shape = tensor.shape
    var result: [(String, Tensor)] = []
    func replacing<Scalar: TensorScalar>(_ values: [Scalar], with value: Scalar) -> Tensor {
      var values = values
      values[values.count / 2] = value
      return Tensor(values, shape: shape)
    }
    if tensor.dtype == .int32 {
      let values = tensor.scalars(as: Int32.self)
      for value in [Int32.max, .min] { result.append(("\(value)", replacing(values, with: value))) }
      result.append(("another type", Tensor(values.map(Float.init), shape: shape)))
    } else {
      for value in [Float.nan, -.infinity] {
        result.append(("\(value)", replacing(tensor.floats, with: value)))
      }
      result.append(("another type", tensor.converted(to: .float64)))
    }
    let count = shape[0]
    if count > 1 { result.append(("a row too few", tensor.sliced(0..<count - 1, along: 0))) }
    if shape.rank == 2, shape[1] > 1 {
      result.append(("a column too few", tensor.sliced(0..<shape[1] - 1, along: 1)))
      result.append(("no columns", Tensor.zeros([count, 0], dtype: tensor.dtype)))
    }
    return result
  }

  @Test(arguments: SavedStrategy.all)
  func damagedStatesAreRefused(saved: SavedStrategy) throws {
    let strategy = saved.make()
    try BridgeTrainer(strategy, saved.context()).run()
    let state = strategy.saveState()
    #expect(!state.tensors.isEmpty || !state.values.isEmpty, "\(saved) keeps nothing")
    let context = try saved.context()
    // Undamaged it is taken over.
    try saved.make().loadState(state, context)
    for (name, tensor) in state.tensors {
      // Codes may be of any length: without a column they are others.
      for (what, other) in Self.damaged(tensor) where name != "codes" || what != "a column too few" {
        var damaged = state
        damaged.tensors[name] = other
        #expect(throws: BridgeError.self, "\(saved), \(name): \(what)") {
          try saved.make().loadState(damaged, context)
        }
      }
    }
    for name in state.values.keys {
      for value in ["x", "", "nan", "-1", "\(Int.max)", "1e999", "9999999999999999999999"] {
        var damaged = state
        damaged.values[name] = value
        if value == "x" {
          #expect(throws: BridgeError.self, "\(saved), \(name)") {
            try saved.make().loadState(damaged, context)
          }
        } else {
          try? saved.make().loadState(damaged, context)
        }
      }
    }
  }
}
