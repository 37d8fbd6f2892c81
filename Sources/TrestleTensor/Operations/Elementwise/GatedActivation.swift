internal import CTrestleKernels

extension Tensor {
  /// silu(self) · up, the gated activation of the LLaMA family, in one pass.
  ///
  /// Source: Shazeer, *GLU Variants Improve Transformer* (2020).
  public func swiGLU(up: Tensor) -> Tensor {
    precondition(
      shape == up.shape && dtype == up.dtype, "swiGLU: gate \(dtype) \(shape), up \(up.dtype) \(up.shape)")
    let (g, u) = (detached.dense(), up.detached.dense())
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let table = Kernels.table(dtype, "swiGLU")
    let size = dtype.byteCount
    withExtendedLifetime((g.storage, u.storage)) {
      Kernels.parallel(elementCount) { start, count in
        let shift = start * size
        table.pointee.swiglu(g.data + shift, u.data + shift, result.data + shift, Int64(count))
      }
    }
    guard let tape = Tensor.tape("swiGLU", self, up) else { return result }
    let (gNode, uNode) = (node, up.node)
    return tape.record("swiGLU", result) { dy, pass in
      let upstream = dy.dense()
      let dg = Tensor(uninitialized: g.shape, dtype: g.dtype)
      let du = Tensor(uninitialized: g.shape, dtype: g.dtype)
      withExtendedLifetime((g.storage, u.storage, upstream.storage)) {
        Kernels.parallel(g.elementCount) { start, count in
          let shift = start * size
          table.pointee.swiglu_backward(
            g.data + shift, u.data + shift, upstream.data + shift, dg.data + shift, du.data + shift,
            Int64(count))
        }
      }
      pass.add(dg, to: gNode)
      pass.add(du, to: uNode)
    }
  }
}
