import TrestleTensor

extension Cases {
  /// The operations of array libraries: on a matrix of 16 MiB, or on what is usual for them.
  static var arrays: [Case] { elementwise + ordered + rearranged + algebra + images }

  private static func large(_ seed: UInt64 = 7) -> Tensor {
    var generator = RandomGenerator(seed: seed)
    return .normal([4096, 1024], using: &generator)
  }

  private static func onMatrix(
    _ name: String, passes: Double, _ operation: @escaping (Tensor, Tensor) -> Tensor
  ) -> Case {
    Case(name: name, shape: "4096x1024", work: .bytes(passes * 4096 * 1024 * 4)) {
      let (x, y) = (large(), large(8).absolute())
      return { _ = operation(x, y) }
    }
  }

  private static var elementwise: [Case] {
    [
      onMatrix("log1p", passes: 2) { $1.log1p() }, onMatrix("expm1", passes: 2) { x, _ in x.expm1() },
      onMatrix("round", passes: 2) { x, _ in x.rounded() }, onMatrix("sign", passes: 2) { x, _ in x.sign() },
      onMatrix("power_tensor", passes: 3) { $1.power($0) },
      onMatrix("remainder", passes: 3) { $0.remainder(dividingBy: $1) },
      onMatrix("compare", passes: 3) { $0.isAtLeast($1) },
      onMatrix("where", passes: 4) { Tensor.where($0, $0, $1) },
      onMatrix("to_bool", passes: 1.25) { x, _ in x.converted(to: .bool) },
      onMatrix("any_axis", passes: 1) { x, _ in x.any(along: 1) },
    ]
  }

  private static var ordered: [Case] {
    [
      onMatrix("cumsum_rows", passes: 2) { x, _ in x.cumulativeSum(along: 1) },
      onMatrix("cumsum_columns", passes: 2) { x, _ in x.cumulativeSum(along: 0) },
      onMatrix("argmax_rows", passes: 1) { x, _ in x.argmax(along: 1) },
      onMatrix("argmin_columns", passes: 1) { x, _ in x.argmin(along: 0) },
      onMatrix("topk_50", passes: 1) { x, _ in x.topK(50, along: 1).values },
      Case(name: "sort_rows", shape: "512x1024", work: .bytes(2 * 512 * 1024 * 4)) {
        let x = large().sliced(0..<512, along: 0)
        return { _ = x.sorted(along: 1) }
      },
      Case(name: "unique", shape: "262144 of 1000", work: .bytes(262_144 * 4)) {
        var generator = RandomGenerator(seed: 3)
        let x = Tensor((0..<262_144).map { _ in Int32(generator.index(below: 1000)) })
        return { _ = x.unique().values }
      },
    ]
  }

  private static var rearranged: [Case] {
    [
      onMatrix("transpose", passes: 2) { x, _ in x.transposed().reshaped(to: [4_194_304] as Shape) },
      onMatrix("flip", passes: 2) { x, _ in x.flipped(along: [0, 1]).reshaped(to: [4_194_304] as Shape) },
      onMatrix("roll", passes: 2) { x, _ in x.rolled(by: 100, along: 1) },
      onMatrix("pad", passes: 2) { x, _ in x.padded([(1, 1), (1, 1)]) },
      onMatrix("tile", passes: 3) { x, _ in x.tiled([2, 1]) },
      onMatrix("stride", passes: 1) { x, _ in
        x[Axis.stride(by: 2), Axis.all].reshaped(to: [2_097_152] as Shape)
      },
      onMatrix("mask_rows", passes: 1) { x, _ in
        x.selecting(where: Tensor((0..<4096).map { $0 % 2 == 0 }))
      },
      Case(name: "gather_axis", shape: "4096x1024[4096x64]", work: .bytes(2 * 4096 * 64 * 4)) {
        let x = large()
        let indices = x.topK(64).indices
        return { _ = x.gathered(indices, along: 1) }
      },
      Case(name: "scatter_axis", shape: "4096x64 into 4096x1024", work: .bytes(4096 * 1024 * 4)) {
        let (values, indices) = large().topK(64)
        return { _ = values.scatterAdded(at: indices, along: 1, length: 1024) }
      },
      Case(name: "one_hot", shape: "4096 of 1024", work: .bytes(4096 * 1024 * 4)) {
        let indices = large().argmax()
        return { _ = Tensor.oneHot(indices, count: 1024) }
      },
    ]
  }

  private static var algebra: [Case] {
    [
      Case(
        name: "einsum_bqd_bkd", shape: "36x256x64", work: .operations(2 * 36 * 256 * 256 * 64), calls: 4
      ) {
        var generator = RandomGenerator(seed: 7)
        let x = Tensor.normal([36, 256, 64], using: &generator)
        return { _ = Tensor.einsum("bqd,bkd->bqk", x, x) }
      },
      Case(name: "cholesky", shape: "64x64x64", work: .operations(64 * 64 * 64 * 64 / 3)) {
        var generator = RandomGenerator(seed: 7)
        let x = Tensor.normal([64, 64, 64], using: &generator)
        let definite = x.matmul(x, transposingOther: true) + Tensor.identity(64)
        return { _ = try? definite.cholesky() }
      },
      Case(name: "solve", shape: "64x64x64", work: .operations(64 * 64 * 64 * 64 * 2 / 3)) {
        var generator = RandomGenerator(seed: 7)
        let x = Tensor.normal([64, 64, 64], using: &generator)
        let right = Tensor.normal([64, 64, 1], using: &generator)
        return { _ = try? x.solving(right) }
      },
    ]
  }

  private static var images: [Case] {
    func random(_ shape: Shape) -> Tensor {
      var generator = RandomGenerator(seed: 7)
      return .normal(shape, using: &generator)
    }
    return [
      Case(
        name: "conv2d_3x3", shape: "8x64x32x32 to 64",
        work: .operations(2 * 8 * 64 * 32 * 32 * 64 * 9)
      ) {
        let (x, w) = (random([8, 64, 32, 32]), random([64, 64, 3, 3]))
        return { _ = x.convolved(with: w, padding: (1, 1)) }
      },
      Case(name: "maxpool_2x2", shape: "8x64x32x32", work: .bytes(8 * 64 * 32 * 32 * 4)) {
        let x = random([8, 64, 32, 32])
        return { _ = x.maxPooled(kernel: (2, 2)) }
      },
    ]
  }
}
