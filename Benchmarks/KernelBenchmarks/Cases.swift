import TrestleTensor

/// The cases, with the shapes, units and operation counts of the peers' script.
enum Cases {
  static var all: [Case] { products + rowWise + indexed + [attention] + tiny + arrays }

  private static func random(_ shape: Shape) -> Tensor {
    var generator = RandomGenerator(seed: 7)
    return .normal(shape, using: &generator)
  }

  private static func randomIndices(_ count: Int, below bound: Int, seed: UInt64) -> [Int32] {
    var generator = RandomGenerator(seed: seed)
    return (0..<count).map { _ in Int32(generator.index(below: bound)) }
  }

  private static var products: [Case] {
    let shapes = [
      (1024, 1024, 1024), (2048, 2048, 2048), (512, 576, 576), (512, 1536, 576), (512, 576, 1536),
      (2048, 64, 64), (128, 64, 64), (16, 576, 576),
    ]
    let float = shapes.map { m, n, k in
      let operations = 2 * Double(m * n * k)
      return Case(
        name: "matmul_f32_nt", shape: "\(m)x\(n)x\(k)", work: .operations(operations),
        calls: max(1, Int(2e8 / operations))
      ) {
        let (x, w) = (random([m, k]), random([n, k]))
        return { _ = x.matmul(w, transposingOther: true) }
      }
    }
    let brain = Case(
      name: "matmul_bf16_nt", shape: "2048x2048x2048", work: .operations(2 * 2048.0 * 2048 * 2048)
    ) {
      let (x, w) = (
        random([2048, 2048]).converted(to: .bfloat16), random([2048, 2048]).converted(to: .bfloat16)
      )
      return { _ = x.matmul(w, transposingOther: true) }
    }
    let vector = Case(name: "matvec_f32", shape: "49152x576", work: .bytes(49152 * 576 * 4)) {
      let (v, w) = (random([1, 576]), random([49152, 576]))
      return { _ = v.matmul(w, transposingOther: true) }
    }
    return float + [brain, vector]
  }

  /// Operations on a matrix of 16 MiB.
  private static var rowWise: [Case] {
    let operations: [(String, Double, (Tensor, Tensor) -> Tensor)] = [
      ("softmax", 2, { x, _ in x.softmax() }),
      ("layer_norm", 2, { x, w in x.layerNormalized(gain: w, bias: w) }),
      ("gelu", 2, { x, _ in x.gelu() }),
      ("silu", 2, { x, _ in x.silu() }),
      ("exp", 2, { x, _ in x.exp() }),
      ("add", 3, { x, _ in x + x }),
      ("sum_all", 1, { x, _ in x.sum() }),
      ("sum_rows", 1, { x, _ in x.sum(along: [0]) }),
    ]
    return operations.map { name, passes, operation in
      Case(name: name, shape: "4096x1024", work: .bytes(passes * 4096 * 1024 * 4)) {
        let (x, w) = (random([4096, 1024]), random([1024]))
        return { _ = operation(x, w) }
      }
    }
  }

  /// Embedding rows read and added to, and a sparse matrix times a dense one.
  private static var indexed: [Case] {
    let (height, count, width) = (100_000, 65536, 64)
    let gather = Case(
      name: "gather_rows", shape: "100000x64[65536]", work: .bytes(2 * Double(count * width * 4))
    ) {
      let table = random([height, width])
      let indices = Tensor(randomIndices(count, below: height, seed: 1))
      return { _ = table.gatheredRows(indices) }
    }
    let add = Case(
      name: "index_add_rows", shape: "100000x64[65536]", work: .bytes(3 * Double(count * width * 4))
    ) {
      let (rows, table) = (random([count, width]), Tensor.zeros([height, width]))
      let indices = Tensor(randomIndices(count, below: height, seed: 1))
      return { table.scatterAddInPlace(rows, at: indices) }
    }
    // A matrix has one form here, whether its entries came as coordinates or compressed: the peer has two.
    let sparse = ["spmm_coo", "spmm_csr"].map { name in
      Case(name: name, shape: "20000x20000 1M nnz x64", work: .operations(2e6 * 64)) {
        let size = 20000
        let matrix = SparseMatrix(
          rowCount: size, columnCount: size, rows: randomIndices(1_000_000, below: size, seed: 2),
          columns: randomIndices(1_000_000, below: size, seed: 3),
          values: random([1_000_000]).scalars(as: Float.self), isSymmetric: false)
        let dense = random([size, 64])
        return { _ = matrix.matmul(dense) }
      }
    }
    return [gather, add] + sparse
  }

  private static var attention: Case {
    // Half of the products of every query with every key, and the same for the values.
    Case(name: "attention_causal", shape: "4x9x256x64", work: .operations(4 * 9 * 256 * 256 * 64 * 2)) {
      let x = random([4 * 256, 9, 64])
      let sequences = PackedSequences(lengths: [256, 256, 256, 256])
      return { _ = x.attention(keys: x, values: x, sequences: sequences, isCausal: true) }
    }
  }

  /// The cost of an operation as such: a chain of 1000 additions on a tape.
  private static var tiny: [Case] {
    let length = 1000
    func chain(_ x: Tensor) -> Tensor {
      var y = x
      for _ in 0..<length { y = y + 1.0 }
      return y
    }
    let forward = Case(name: "tiny_op_forward", shape: "8x8 add, taped", work: .chain(length)) {
      let value = random([8, 8])
      return { _ = chain(Tape().variable(value)) }
    }
    let both = Case(name: "tiny_op_forward_backward", shape: "8x8 add, taped", work: .chain(length)) {
      let value = random([8, 8])
      return {
        let x = Tape().variable(value)
        _ = chain(x).sum().gradients(of: [x])
      }
    }
    return [forward, both]
  }
}
