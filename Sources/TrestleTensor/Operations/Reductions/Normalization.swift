internal import CTrestleKernels

extension Tensor {
  /// Rows per task of a normalisation's backward pass, whose column sums are added up in this fixed order.
  private static let backwardRows = 256

  /// (x − mean) / √(variance + ε) · γ + β over the last dimension.
  ///
  /// - Parameters:
  ///   - gain: γ, `[features]`, or `nil` for 1.
  ///   - bias: β, `[features]`, or `nil` for 0.
  ///   - epsilon: ε, which keeps the root from zero.
  ///
  /// Source: Ba, Kiros and Hinton, *Layer Normalization* (2016).
  public func layerNormalized(gain: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5) -> Tensor {
    let cols = shape.lastDimension
    precondition(
      rank >= 1 && (gain?.elementCount ?? cols) == cols && (bias?.elementCount ?? cols) == cols,
      "layerNormalized: gain \(gain.map { "\($0.shape)" } ?? "nil"), bias \(bias.map { "\($0.shape)" } ?? "nil") for \(shape)"
    )
    let rows = shape.rowCount
    let x = detached.dense()
    let (g, b) = (gain?.detached.dense(), bias?.detached.dense())
    let y = Tensor(uninitialized: shape, dtype: dtype)
    let mean = Tensor(uninitialized: [rows], dtype: dtype)
    let rstd = Tensor(uninitialized: [rows], dtype: dtype)
    let table = Kernels.table(dtype, "layerNormalized")
    let size = dtype.byteCount
    withExtendedLifetime((x.storage, g?.storage, b?.storage)) {
      Kernels.parallelRows(rows, cols: cols) { row, count in
        let shift = row * cols * size
        table.pointee.layer_norm(
          x.data + shift, g?.data, b?.data, y.data + shift, mean.data + row * size, rstd.data + row * size,
          Int64(count), Int64(cols), epsilon)
      }
    }
    var inputs = [self]
    if let gain { inputs.append(gain) }
    if let bias { inputs.append(bias) }
    guard let tape = Tensor.commonTape("layerNormalized", inputs) else { return y }
    let (xNode, gNode, bNode) = (node, gain?.node ?? -1, bias?.node ?? -1)
    return tape.record("layerNormalized", y) { dy, pass in
      let upstream = dy.dense()
      let dx = Tensor(uninitialized: x.shape, dtype: x.dtype)
      let parts = Tensor.normalizationBackward(rows: rows, cols: cols, dtype: x.dtype) { row, count, dg, db in
        let shift = row * cols * size
        table.pointee.layer_norm_backward(
          x.data + shift, g?.data, mean.data + row * size, rstd.data + row * size, upstream.data + shift,
          dx.data + shift, dg, db, Int64(count), Int64(cols))
      }
      withExtendedLifetime((x.storage, g?.storage, mean.storage, rstd.storage, upstream.storage)) {}
      pass.add(dx, to: xNode)
      pass.add(parts.gain, to: gNode)
      pass.add(parts.bias, to: bNode)
    }
  }

  /// x / √(mean(x²) + ε) · γ over the last dimension.
  ///
  /// Source: Zhang and Sennrich, *Root Mean Square Layer Normalization* (2019).
  public func rmsNormalized(gain: Tensor? = nil, epsilon: Double = 1e-6) -> Tensor {
    let cols = shape.lastDimension
    precondition(
      rank >= 1 && (gain?.elementCount ?? cols) == cols,
      "rmsNormalized: gain \(gain.map { "\($0.shape)" } ?? "nil") for \(shape)")
    let rows = shape.rowCount
    let x = detached.dense()
    let g = gain?.detached.dense()
    let y = Tensor(uninitialized: shape, dtype: dtype)
    let rstd = Tensor(uninitialized: [rows], dtype: dtype)
    let table = Kernels.table(dtype, "rmsNormalized")
    let size = dtype.byteCount
    withExtendedLifetime((x.storage, g?.storage)) {
      Kernels.parallelRows(rows, cols: cols) { row, count in
        let shift = row * cols * size
        table.pointee.rms_norm(
          x.data + shift, g?.data, y.data + shift, rstd.data + row * size, Int64(count), Int64(cols), epsilon)
      }
    }
    guard let tape = Tensor.tape("rmsNormalized", self, gain ?? self) else { return y }
    let (xNode, gNode) = (node, gain?.node ?? -1)
    return tape.record("rmsNormalized", y) { dy, pass in
      let upstream = dy.dense()
      let dx = Tensor(uninitialized: x.shape, dtype: x.dtype)
      let parts = Tensor.normalizationBackward(rows: rows, cols: cols, dtype: x.dtype) { row, count, dg, _ in
        let shift = row * cols * size
        table.pointee.rms_norm_backward(
          x.data + shift, g?.data, rstd.data + row * size, upstream.data + shift, dx.data + shift,
          gNode >= 0 ? dg : nil, Int64(count), Int64(cols))
      }
      withExtendedLifetime((x.storage, g?.storage, rstd.storage, upstream.storage)) {}
      pass.add(dx, to: xNode)
      pass.add(parts.gain, to: gNode)
    }
  }

  /// Runs a normalisation's backward kernel over fixed blocks of rows and adds up the blocks' parameter gradients.
  private static func normalizationBackward(
    rows: Int, cols: Int, dtype: DType,
    _ body: (Int, Int, UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void
  ) -> (gain: Tensor, bias: Tensor) {
    let blocks = Swift.max(1, (rows + backwardRows - 1) / backwardRows)
    let gain = Tensor.zeros([blocks, cols], dtype: dtype)
    let bias = Tensor.zeros([blocks, cols], dtype: dtype)
    let size = dtype.byteCount
    Kernels.parallel(rows, grain: backwardRows) { row, count in
      let shift = (row / backwardRows) * cols * size
      body(row, count, gain.data + shift, bias.data + shift)
    }
    return (gain.sum(along: [0]), bias.sum(along: [0]))
  }

  /// Each row of the last dimension divided by its length; a row shorter than ε is divided by ε.
  public func unitNormalized(epsilon: Double = 1e-12) -> Tensor {
    let x = detached.dense()
    let norms = x.norm()
    let smallest = Tensor.full(Shape(shape.dropLast()), epsilon, dtype: dtype)
    let lengths = Tensor.maximum(norms, smallest)
    let inverse = lengths.reciprocal().expanded(at: -1)
    let y = x * inverse
    let node = self.node
    return recording("unitNormalized", y) { dy, pass in
      // A row that is divided by ε is only scaled: its length plays no part.
      let isLong = 1 - norms.isLess(than: smallest)
      let along = (y.rowDot(dy.dense()) * isLong).expanded(at: -1)
      pass.add((dy - y * along) * inverse, to: node)
    }
  }
}
