import TrestleTensor

/// AdamW with moments in 8 bits: a quarter of the memory that AdamW remembers.
///
/// Moments are kept in blocks of 256 with a scale each, in codes that lie denser towards 0; a step computes in `float32`.
/// Parameters are `float32`. A row-sparse gradient moves all rows, as a dense one does: use ``AdamW`` for large embeddings.
///
/// Source: Dettmers et al., *8-bit Optimizers via Block-wise Quantization* (2021).
public final class AdamW8bit: AdamW {
  /// One step, in place.
  public override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    func taken(_ name: String, in state: inout OptimizerState) -> Tensor {
      if let kept = state.tensors.removeValue(forKey: name) { return kept }
      let (shape, dtype) = stateLayout(name, of: parameter)
      return .zeros(shape, dtype: dtype)
    }
    var mean = taken("mean", in: &state)
    var variance = taken("variance", in: &state)
    var meanScales = taken("mean scales", in: &state)
    var varianceScales = taken("variance scales", in: &state)
    parameter.applyEightBitAdam(
      gradient, mean: &mean, variance: &variance, meanScales: &meanScales, varianceScales: &varianceScales,
      settings(of: step, count: state.updateCount))
    state.tensors["mean"] = mean
    state.tensors["variance"] = variance
    state.tensors["mean scales"] = meanScales
    state.tensors["variance scales"] = varianceScales
  }

  /// Codes are `uint8`, one for each element; scales `float32`, one for each block.
  public override func stateLayout(_ name: String, of parameter: Parameter) -> (shape: Shape, dtype: DType) {
    let count = parameter.shape.elementCount
    return name.hasSuffix("scales")
      ? ([(count + EightBitCodes.blockSize - 1) / EightBitCodes.blockSize], .float32) : ([count], .uint8)
  }
}
