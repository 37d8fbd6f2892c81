internal import CTrestleKernels

/// The product of kernels with the windows of images, `[outputs, depth] · [depth, places]` for each image and group.
///
/// The matrix of windows is never stored: a task makes the panels of some places over a range of the depth, which stay in its
/// core's cache, multiplies them and goes on to the next range. Tasks depend on the shapes alone.
struct Convolution {
  /// `[batch, channels, height, width]` with their padding, dense.
  let images: Tensor
  /// `[outputs, channels / groups, height, width]`, dense.
  let weight: Tensor
  let stride: (height: Int, width: Int)
  let dilation: (height: Int, width: Int)
  let groups: Int
  /// The windows of an image, below and beside each other.
  private let rows: Int
  private let columns: Int

  init(
    images: Tensor, weight: Tensor, stride: (height: Int, width: Int), dilation: (height: Int, width: Int),
    groups: Int
  ) {
    (self.images, self.weight, self.groups) = (images, weight, groups)
    (self.stride, self.dilation) = (stride, dilation)
    let windows = images.windows(
      kernel: (weight.shape[2], weight.shape[3]), stride: stride, dilation: dilation)
    (rows, columns) = (windows.shape[2], windows.shape[3])
  }

  private var batch: Int { images.shape[0] }
  private var outputs: Int { weight.shape[0] / groups }
  private var depth: Int { weight.shape.dropFirst().reduce(1, *) }
  private var places: Int { rows * columns }

  // MARK: Forward

  /// `[batch, outputs, rows, columns]`.
  func result() -> Tensor {
    let shape: Shape = [batch, weight.shape[0], rows, columns]
    guard depth > 0 else { return .zeros(shape, dtype: images.dtype) }
    let result = Tensor(uninitialized: shape, dtype: images.dtype)
    guard shape.elementCount > 0 else { return result }
    let matrices = KernelProduct.table.pointee
    let kernels = images.dtype == .float64 ? matrices.f64 : matrices.f32
    let ranges = (depth + Int(kernels.longest_k) - 1) / Int(kernels.longest_k)
    let range = (depth + ranges - 1) / ranges
    let tileRows = Int(kernels.tile_rows)
    let packedRows = (outputs + tileRows - 1) / tileRows * tileRows
    let size = images.dtype.byteCount
    MatrixWorkspace.withBytes(groups * packedRows * depth * size) { packed in
      nonisolated(unsafe) let packed = packed
      ThreadPool.shared.run(groups * ranges) { task in
        let (group, start) = (task / ranges, task % ranges * range)
        pack(
          group, start..<min(depth, start + range), kernels,
          packed + (group * depth + start) * packedRows * size)
      }
      let width = 8 * Int(kernels.tile_columns)
      let across = (places + width - 1) / width
      withExtendedLifetime((images.storage, result.storage)) {
        ThreadPool.shared.run(batch * groups * across) { task in
          let first = task % across * width
          multiply(
            matrix: task / across, first..<min(places, first + width), range, kernels,
            packed + task / across % groups * depth * packedRows * size, packedRows, result)
        }
      }
    }
    return result
  }

  /// The panels of a group's kernels over a range of the depth.
  private func pack(
    _ group: Int, _ range: Range<Int>, _ kernels: trestle_product_kernels, _ panels: UnsafeMutableRawPointer
  ) {
    var operand = trestle_operand(
      data: weight.data + group * outputs * depth * weight.dtype.byteCount, stride: Int64(depth),
      storage: Int32(kernels.storage), k_is_contiguous: 1)
    kernels.pack(
      &operand, 0, Int64(outputs), Int64(range.lowerBound), Int64(range.count), 0, panels, Int64(range.count),
      0)
  }

  /// Some places of one image and group.
  private func multiply(
    matrix: Int, _ window: Range<Int>, _ range: Int, _ kernels: trestle_product_kernels,
    _ packed: UnsafeRawPointer, _ packedRows: Int, _ result: Tensor
  ) {
    let (size, tile, lanes) = (images.dtype.byteCount, Int(kernels.tile_columns), Int(kernels.lanes))
    let unfold = Kernels.table(images.dtype, "convolved").pointee.unfold
    let origin = images.data + matrix * (images.shape[1] / groups) * images.shape[2] * images.shape[3] * size
    let target = result.data + (matrix * outputs * places + window.lowerBound) * size
    let starts = window.map {
      Int64($0 / columns * stride.height * images.shape[3] + $0 % columns * stride.width)
    }
    let steps = self.steps
    MatrixWorkspace.withBytes((window.count + tile) * range * size) { panels in
      for start in Swift.stride(from: 0, to: depth, by: range) {
        let count = min(range, depth - start)
        starts.withUnsafeBufferPointer { starts in
          steps.withUnsafeBufferPointer { steps in
            for column in Swift.stride(from: 0, to: window.count, by: tile) {
              let lines = min(tile, window.count - column)
              unfold?(
                origin, steps.baseAddress.map { $0 + start }, Int64(count),
                starts.baseAddress.map { $0 + column }, Int64(lines), panels + column * count * size,
                Int64((lines + lanes - 1) / lanes * lanes))
            }
          }
        }
        kernels.multiply(
          packed + start * packedRows * size, panels, Int64(outputs), Int64(window.count), Int64(count), 1,
          start > 0 ? 1 : 0, target, Int64(places))
      }
    }
  }

  /// How far each element of a window is from its first one.
  private var steps: [Int64] {
    let (height, width) = (weight.shape[2], weight.shape[3])
    return (0..<depth).map { index in
      let (channel, y, x) = (index / (height * width), index / width % height, index % width)
      return Int64(
        (channel * images.shape[2] + y * dilation.height) * images.shape[3] + x * dilation.width)
    }
  }

  // MARK: Backward

  /// The gradient of the images, with their padding: the windows' gradients, added up where they overlap.
  func gradientOfImages(_ upstream: Tensor) -> Tensor {
    let kernels = weight.reshaped(to: [groups, outputs, depth] as Shape).expanded(at: 0)
      .broadcast(to: [batch, groups, outputs, depth])
    let windows = kernels.matmul(byGroups(upstream), transposingSelf: true)
      .reshaped(to: [batch, images.shape[1], weight.shape[2], weight.shape[3], rows, columns] as Shape)
    return windows.permuted([0, 1, 4, 5, 2, 3])
      .overlapAdded(into: images.shape, stride: stride, dilation: dilation)
  }

  /// The gradient of the kernels.
  func gradientOfWeight(_ upstream: Tensor) -> Tensor {
    let windows = images.windows(
      kernel: (weight.shape[2], weight.shape[3]), stride: stride, dilation: dilation
    ).permuted([0, 1, 4, 5, 2, 3]).reshaped(to: [batch, groups, depth, places] as Shape)
    return byGroups(upstream).matmul(windows, transposingOther: true).sum(along: [0])
      .reshaped(to: weight.shape)
  }

  private func byGroups(_ upstream: Tensor) -> Tensor {
    upstream.reshaped(to: [batch, groups, outputs, places] as Shape)
  }
}
