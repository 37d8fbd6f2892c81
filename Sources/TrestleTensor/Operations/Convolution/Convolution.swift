extension Tensor {
  /// The cross-correlation of images with kernels, as deep learning calls a convolution.
  ///
  /// The windows become rows of a matrix, and the kernels another: one product does the work.
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
    let padded = padded([(padding.height, padding.height), (padding.width, padding.width)])
    let windows = padded.windows(
      kernel: (weight.shape[2], weight.shape[3]), stride: stride, dilation: dilation)
    let (batch, rows, columns) = (shape[0], windows.shape[2], windows.shape[3])
    let (channels, outputs) = (weight.shape[1], weight.shape[0] / groups)
    let depth = channels * weight.shape[2] * weight.shape[3]
    // [groups, outputs, depth] · [batch, groups, depth, places]
    let columnsOfWindows =
      windows.permuted([0, 1, 4, 5, 2, 3]).reshaped(to: [batch, groups, depth, rows * columns] as Shape)
    let kernels = weight.reshaped(to: [groups, outputs, depth] as Shape)
    let products = kernels.expanded(at: 0).broadcast(to: [batch, groups, outputs, depth]).matmul(
      columnsOfWindows)
    let result = products.reshaped(to: [batch, groups * outputs, rows, columns] as Shape)
    guard let bias else { return result }
    return result + bias.reshaped(to: [groups * outputs, 1, 1] as Shape)
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
    let windows = padded(
      [(padding.height, padding.height), (padding.width, padding.width)], with: .constant(-.infinity)
    ).windows(kernel: kernel, stride: stride ?? kernel)
    let rows = windows.reshaped(
      to: Shape(Array(windows.shape.prefix(4)) + [kernel.height * kernel.width]))
    // The first of equal elements alone gets the gradient, as in PyTorch.
    return rows.gathered(rows.detached.argmax().expanded(at: -1), along: -1).squeezed(-1)
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
