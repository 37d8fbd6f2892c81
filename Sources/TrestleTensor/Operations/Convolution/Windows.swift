/// The number of windows along a dimension.
func windowCount(_ length: Int, kernel: Int, stride: Int, dilation: Int) -> Int {
  let reach = dilation * (kernel - 1) + 1
  return length < reach ? 0 : (length - reach) / stride + 1
}

extension Tensor {
  /// All windows of images: `[batch, channels, rows, columns, kernel height, kernel width]`, a view.
  ///
  /// - Parameters:
  ///   - kernel: the windows' height and width.
  ///   - stride: from one window to the next.
  ///   - dilation: from one element of a window to the next.
  /// - Precondition: this tensor is `[batch, channels, height, width]`.
  public func windows(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int) = (1, 1),
    dilation: (height: Int, width: Int) = (1, 1)
  ) -> Tensor {
    precondition(
      rank == 4 && kernel.height > 0 && kernel.width > 0 && stride.height > 0 && stride.width > 0
        && dilation.height > 0 && dilation.width > 0,
      "windows: kernel \(kernel), stride \(stride), dilation \(dilation) of \(shape), expected [batch, channels, height, width]"
    )
    let rows = windowCount(
      shape[2], kernel: kernel.height, stride: stride.height, dilation: dilation.height)
    let columns = windowCount(
      shape[3], kernel: kernel.width, stride: stride.width, dilation: dilation.width)
    let result: Shape = [shape[0], shape[1], rows, columns, kernel.height, kernel.width]
    var steps = Strides()
    (steps[0], steps[1]) = (strides[0], strides[1])
    (steps[2], steps[3]) = (strides[2] * stride.height, strides[3] * stride.width)
    (steps[4], steps[5]) = (strides[2] * dilation.height, strides[3] * dilation.width)
    let view = Tensor(storage: storage, offset: offset, shape: result, strides: steps, dtype: dtype)
    let (node, full) = (self.node, shape)
    return recording("windows", view) { upstream, pass in
      pass.add(upstream.detached.overlapAdded(into: full, stride: stride, dilation: dilation), to: node)
    }
  }

  /// The transpose of ``windows(kernel:stride:dilation:)``: each element of an image is the sum of its places in windows.
  func overlapAdded(
    into image: Shape, stride: (height: Int, width: Int), dilation: (height: Int, width: Int)
  ) -> Tensor {
    let result = Tensor.zeros(image, dtype: dtype)
    let (rows, columns, height, width) = (shape[2], shape[3], shape[4], shape[5])
    func add<Scalar: FloatingPoint>(_: Scalar.Type) {
      withExtendedLifetime((storage, result.storage)) {
        // A task for each plane: no two write one element.
        ThreadPool.shared.run(image[0] * image[1]) { plane in
          let source = pointer(Scalar.self) + plane / image[1] * strides[0] + plane % image[1] * strides[1]
          let target = result.pointer(Scalar.self) + plane * image[2] * image[3]
          for y in 0..<height {
            for x in 0..<width {
              let part = source + y * strides[4] + x * strides[5]
              for row in 0..<rows {
                let line =
                  target + (row * stride.height + y * dilation.height) * image[3] + x * dilation.width
                let from = part + row * strides[2]
                for column in 0..<columns { line[column * stride.width] += from[column * strides[3]] }
              }
            }
          }
        }
      }
    }
    switch dtype {
    case .float32: add(Float.self)
    case .float64: add(Double.self)
    default: preconditionFailure("windows: gradients are float32 or float64, not \(dtype)")
    }
    return result
  }
}
