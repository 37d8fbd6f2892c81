internal import CTrestleKernels

extension Tensor {
  /// The cross-correlation of images with kernels, as deep learning calls a convolution.
  ///
  /// The windows are the columns of a matrix, and the kernels the rows of another: their product does the work. What is
  /// stored of the former are the panels that are being multiplied.
  /// - Parameters:
  ///   - weight: `[outputs, channels / groups, kernel height, kernel width]`.
  ///   - bias: `[outputs]`; `nil` for none.
  ///   - stride: from one window to the next.
  ///   - padding: zeros beyond each edge.
  ///   - dilation: from one element of a window to the next.
  ///   - groups: in how many groups channels and outputs fall; each output sees the channels of its group.
  /// - Returns: `[batch, outputs, rows, columns]`; this tensor is `[batch, channels, height, width]`.
  public func convolved(
    with weight: Tensor, bias: Tensor? = nil, stride: (height: Int, width: Int) = (1, 1),
    padding: (height: Int, width: Int) = (0, 0), dilation: (height: Int, width: Int) = (1, 1), groups: Int = 1
  ) -> Tensor {
    precondition(
      rank == 4 && weight.rank == 4 && groups > 0 && shape[1] == weight.shape[1] * groups
        && weight.shape[0] % groups == 0 && (bias?.shape ?? [weight.shape[0]]) == [weight.shape[0]],
      "convolved: images \(shape), kernels \(weight.shape), bias \(bias.map { "\($0.shape)" } ?? "nil"), \(groups) groups"
    )
    let weight = weight.widened()
    let padded = widened().padded([(padding.height, padding.height), (padding.width, padding.width)])
    precondition(
      (padded.dtype == .float32 || padded.dtype == .float64) && weight.dtype == padded.dtype,
      "convolved: images \(dtype), kernels \(weight.dtype), expected both float32 or both float64")
    let plan = Convolution(
      images: padded.detached.dense(), weight: weight.detached.dense(), stride: stride, dilation: dilation,
      groups: groups)
    let (imagesNode, weightNode) = (padded.node, weight.node)
    var result = plan.result()
    if let tape = Tensor.tape("convolved", padded, weight) {
      result = tape.record("convolved", result) { upstream, pass in
        pass.add(plan.gradientOfImages(upstream.detached), to: imagesNode)
        pass.add(plan.gradientOfWeight(upstream.detached), to: weightNode)
      }
    }
    guard let bias else { return result }
    return result + bias.reshaped(to: [weight.shape[0], 1, 1] as Shape)
  }

  /// Numbers of half precision as `float32`; others as they are.
  private func widened() -> Tensor {
    dtype == .bfloat16 || dtype == .float16 ? converted(to: .float32) : self
  }

  /// The cross-correlation of sequences with kernels; see ``convolved(with:bias:stride:padding:dilation:groups:)``.
  ///
  /// - Parameters:
  ///   - weight: `[outputs, channels / groups, kernel length]`.
  ///   - bias: `[outputs]`; `nil` for none.
  ///   - stride: from one window to the next.
  ///   - padding: zeros beyond each end.
  ///   - dilation: from one element of a window to the next.
  ///   - groups: in how many groups channels and outputs fall.
  /// - Returns: `[batch, outputs, places]`; this tensor is `[batch, channels, length]`.
  public func convolved1D(
    with weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1
  ) -> Tensor {
    precondition(rank == 3 && weight.rank == 3, "convolved1D: sequences \(shape), kernels \(weight.shape)")
    return expanded(at: 2).convolved(
      with: weight.expanded(at: 2), bias: bias, stride: (1, stride), padding: (0, padding),
      dilation: (1, dilation), groups: groups
    ).squeezed(2)
  }

  /// The largest element of each window of images.
  ///
  /// - Parameters:
  ///   - kernel: the windows' height and width.
  ///   - stride: from one window to the next; by default they do not overlap.
  ///   - padding: −∞ beyond each edge.
  /// - Returns: `[batch, channels, rows, columns]`; this tensor is `[batch, channels, height, width]`.
  public func maxPooled(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int)? = nil,
    padding: (height: Int, width: Int) = (0, 0)
  ) -> Tensor {
    let step = stride ?? kernel
    precondition(
      rank == 4 && kernel.height > 0 && kernel.width > 0 && step.height > 0 && step.width > 0,
      "maxPooled: kernel \(kernel), stride \(step) of \(shape), expected [batch, channels, height, width]")
    let images = padded(
      [(padding.height, padding.height), (padding.width, padding.width)], with: .constant(-.infinity))
    let (found, places) = images.detached.dense().largestInWindows(kernel, step, placing: images.isTracked)
    let (node, full) = (images.node, images.shape)
    return images.recording("maxPooled", found) { upstream, pass in
      guard let places else { return }
      // The first of equal elements alone gets the gradient, as in PyTorch.
      let planes = upstream.detached.reshaped(to: places.shape)
      pass.add(
        planes.scatterAdded(at: places, along: 1, length: full[2] * full[3]).reshaped(to: full), to: node)
    }
  }

  /// The largest element of each window, and, if wanted, its position in its plane, `[planes, windows]`.
  private func largestInWindows(
    _ kernel: (height: Int, width: Int), _ stride: (height: Int, width: Int), placing isPlacing: Bool
  ) -> (values: Tensor, places: Tensor?) {
    let rows = windowCount(shape[2], kernel: kernel.height, stride: stride.height, dilation: 1)
    let columns = windowCount(shape[3], kernel: kernel.width, stride: stride.width, dilation: 1)
    let (planes, plane, size) = (shape[0] * shape[1], shape[2] * shape[3], dtype.byteCount)
    let values = Tensor(uninitialized: [shape[0], shape[1], rows, columns], dtype: dtype)
    let places = isPlacing ? Tensor(uninitialized: [planes, rows * columns], dtype: .int32) : nil
    let table = Kernels.table(dtype, "maxPooled")
    withExtendedLifetime((storage, places?.storage)) {
      Kernels.parallelRows(planes, cols: plane) { first, count in
        for index in first..<first + count {
          table.pointee.max_pool(
            data + index * plane * size, Int64(shape[3]), values.data + index * rows * columns * size,
            places.map { $0.pointer(Int32.self) + index * rows * columns }, Int64(rows), Int64(columns),
            Int64(kernel.height), Int64(kernel.width), Int64(stride.height), Int64(stride.width))
        }
      }
    }
    return (values, places)
  }

  /// The mean of each window of images; zeros beyond the edges count.
  ///
  /// - Parameters:
  ///   - kernel: the windows' height and width.
  ///   - stride: from one window to the next; by default they do not overlap.
  ///   - padding: zeros beyond each edge.
  /// - Returns: `[batch, channels, rows, columns]`; this tensor is `[batch, channels, height, width]`.
  public func averagePooled(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int)? = nil,
    padding: (height: Int, width: Int) = (0, 0)
  ) -> Tensor {
    padded([(padding.height, padding.height), (padding.width, padding.width)])
      .windows(kernel: kernel, stride: stride ?? kernel).mean(along: [4, 5])
  }
}
