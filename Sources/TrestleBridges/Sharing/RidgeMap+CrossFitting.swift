import TrestleTensor

extension RidgeMap {
  /// Predicts each row by a map fitted without it: in five folds, drawn by `seed`.
  ///
  /// What comes out holds only what the inputs say about the outputs in general, not the row's own output.
  /// Rows whose input is zero stay zero and take no part; rows of no weight are predicted, and teach nothing.
  static func crossFitted(
    inputs: Tensor, outputs: Tensor, strength: Double, weights: [Float], seed: UInt64, folds: Int = 5
  ) -> Tensor {
    let count = inputs.shape[0]
    let energies = inputs.squared().sum(along: [1]).floats
    var order = (0..<Int32(count)).filter { energies[Int($0)] > 0 }
    var generator = RandomGenerator(seed: seed).split(2)
    generator.shuffle(&order)
    let result = Tensor.zeros([count, outputs.shape[1]])
    for fold in 0..<folds {
      let held = order.enumerated().filter { $0.offset % folds == fold }.map(\.element)
      let kept = order.enumerated().filter { $0.offset % folds != fold && weights[Int($0.element)] > 0 }.map(
        \.element)
      guard !held.isEmpty, kept.count > 1 else { continue }
      let map = RidgeMap(
        inputs: inputs.gatheredRows(Tensor(kept)), outputs: outputs.gatheredRows(Tensor(kept)),
        strength: strength, weights: Tensor(kept.map { weights[Int($0)] }))
      result.scatterAddInPlace(map(inputs.gatheredRows(Tensor(held))), at: Tensor(held))
    }
    return result
  }
}
