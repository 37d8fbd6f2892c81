import Foundation
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// How each of PyTorch's fixture cases is written here.
enum ParityOperations {
  typealias Inputs = [String: Tensor]
  typealias Run = @Sendable (Inputs) -> Tensor

  static let all: [String: Run] = {
    var table: [String: Run] = [:]
    for part in [unary, binary, reductions, products, views, normalisations, attention, rows, losses] {
      table.merge(part) { first, _ in first }
    }
    return table
  }()

  private static func of(_ name: String = "x", _ f: @escaping @Sendable (Tensor) -> Tensor) -> Run {
    { inputs in f(get(inputs, name)) }
  }

  private static func both(
    _ a: String = "a", _ b: String = "b", _ f: @escaping @Sendable (Tensor, Tensor) -> Tensor
  ) -> Run {
    { inputs in f(get(inputs, a), get(inputs, b)) }
  }

  private static func get(_ inputs: Inputs, _ name: String) -> Tensor {
    guard let tensor = inputs[name] else { preconditionFailure("the fixture has no input '\(name)'") }
    return tensor
  }

  private static let unary: [String: Run] = {
    let functions: [String: @Sendable (Tensor) -> Tensor] = [
      "neg": { $0.negated() }, "abs": { $0.absolute() }, "exp": { $0.exp() }, "square": { $0.squared() },
      "tanh": { $0.tanh() }, "sigmoid": { $0.sigmoid() }, "relu": { $0.relu() }, "gelu": { $0.gelu() },
      "gelu_tanh": { $0.geluTanh() }, "silu": { $0.silu() }, "softplus": { $0.softplus() },
      "sin": { $0.sin() }, "cos": { $0.cos() }, "log": { $0.log() }, "sqrt": { $0.sqrt() },
      "rsqrt": { $0.rsqrt() }, "reciprocal": { $0.reciprocal() },
    ]
    var table = functions.mapValues { of("x", $0) }
    for (name, f) in functions where !["neg", "abs", "square"].contains(name) {
      table[name + "_wide"] = of("x", f)
    }
    table["clamp"] = of { $0.clamped(to: -1...1.5) }
    table["power"] = of { $0.power(2.5) }
    return table
  }()

  private static let binary: [String: Run] = {
    let functions: [String: @Sendable (Tensor, Tensor) -> Tensor] = [
      "add": { $0 + $1 }, "subtract": { $0 - $1 }, "multiply": { $0 * $1 }, "divide": { $0 / $1 },
      "maximum": { Tensor.maximum($0, $1) }, "minimum": { Tensor.minimum($0, $1) },
    ]
    var table: [String: Run] = [:]
    for (name, f) in functions {
      for suffix in ["", "_row", "_column", "_outer", "_scalar"] { table[name + suffix] = both("a", "b", f) }
    }
    table["where"] = { inputs in
      let (a, b) = (get(inputs, "a"), get(inputs, "b"))
      return Tensor.select(get(inputs, "mask").converted(to: a.dtype), a, b)
    }
    return table
  }()

  private static let reductions: [String: Run] = [
    "sum_all": of { $0.sum() }, "mean_all": of { $0.mean() },
    "sum_axis0": of { $0.sum(along: [0]) }, "mean_axis0": of { $0.mean(along: [0]) },
    "sum_axis1": of { $0.sum(along: [1]) }, "mean_axis1": of { $0.mean(along: [1]) },
    "sum_last": of { $0.sum(along: [-1]) }, "mean_last": of { $0.mean(along: [-1]) },
    "sum_axes02": of { $0.sum(along: [0, 2]) }, "mean_axes02": of { $0.mean(along: [0, 2]) },
    "sum_keep": of { $0.sum(along: [1], keepingDimensions: true) },
    "max_axis0": of { $0.max(along: 0) }, "min_axis0": of { $0.min(along: 0) },
    "max_last": of { $0.max(along: -1) }, "min_last": of { $0.min(along: -1) },
    "argmax_last": of { $0.argmax() }, "argmax_axis0": of { $0.permuted([1, 2, 0]).argmax() },
    "variance_last": of { $0.variance(along: [-1]) }, "log_sum_exp": of { $0.logSumExp() },
  ]

  private static let products: [String: Run] = [
    "matmul": both { $0.matmul($1) },
    "matmul_ta": both { $0.matmul($1, transposingSelf: true) },
    "matmul_tb": both { $0.matmul($1, transposingOther: true) },
    "matmul_ta_tb": both { $0.matmul($1, transposingSelf: true, transposingOther: true) },
    "matmul_batched": both { $0.matmul($1) },
    "matmul_batched_tb": both { $0.matmul($1, transposingOther: true) },
    "matmul_broadcast": both { $0.matmul($1) },
    "matmul_shared_right": both { $0.matmul($1) },
    "matmul_row": both { $0.matmul($1) },
    "matmul_odd": both { $0.matmul($1) },
    "linear": { inputs in
      get(inputs, "x").matmul(get(inputs, "w"), transposingOther: true) + get(inputs, "b")
    },
    "sparse_product": { inputs in
      let offsets = get(inputs, "offsets").scalars(as: Int32.self)
      let rows = (0..<6).flatMap { row in
        [Int32](repeating: Int32(row), count: Int(offsets[row + 1] - offsets[row]))
      }
      let x = get(inputs, "x")
      return SparseMatrix(
        rowCount: 6, columnCount: 5, rows: rows, columns: get(inputs, "columns").scalars(as: Int32.self),
        values: get(inputs, "values").floats, dtype: x.dtype
      ).matmul(x)
    },
  ]

  private static let views: [String: Run] = [
    "transpose": of { $0.permuted([2, 1, 0]) },
    "permute": of { $0.permuted([2, 0, 3, 1]) },
    "slice": of { $0.sliced(1..<4, along: 0).sliced(2..<5, along: 2) },
    "concatenate": both { Tensor.concatenated([$0, $1], along: 1) },
    "stack": both { Tensor.stacked([$0, $1], along: 1) },
    "expand": of { $0.broadcast(to: [4, 3, 5]) },
  ]

  private static let normalisations: [String: Run] = {
    var table: [String: Run] = [
      "softmax": of { $0.softmax() }, "log_softmax": of { $0.logSoftmax() },
      "softmax_large": of { $0.softmax() }, "log_softmax_large": of { $0.logSoftmax() },
      "softmax_axis1": of { $0.transposed().softmax().transposed() },
      "log_softmax_axis1": of { $0.transposed().logSoftmax().transposed() },
      "l2_normalize": of { $0.unitNormalized(epsilon: 1e-12) },
      "swiglu": both("gate", "up") { $0.swiGLU(up: $1) },
      "gelu_bias": both("x", "b") { ($0 + $1).gelu() },
    ]
    for (suffix, epsilon) in [("", 1e-5), ("_3d", 1e-12), ("_offset", 1e-5)] {
      table["layer_norm" + suffix] = { inputs in
        get(inputs, "x").layerNormalized(gain: get(inputs, "w"), bias: get(inputs, "b"), epsilon: epsilon)
      }
      table["rms_norm" + suffix] = both("x", "w") { $0.rmsNormalized(gain: $1, epsilon: epsilon) }
    }
    return table
  }()

  /// `[batch, head, time, dimension]` packed to `[batch · time, head, dimension]`.
  private static func packed(_ x: Tensor) -> Tensor {
    x.permuted([0, 2, 1, 3]).reshaped(to: [-1, x.shape[1], x.shape[3]])
  }

  private static func attend(_ isCausal: Bool, window: Int = 0) -> Run {
    { inputs in
      let (q, k, v) = (get(inputs, "q"), get(inputs, "k"), get(inputs, "v"))
      let batch = q.shape[0]
      let sequences = PackedSequences(
        queryLengths: Array(repeating: q.shape[2], count: batch),
        keyLengths: Array(repeating: k.shape[2], count: batch))
      let y = packed(q).attention(
        keys: packed(k), values: packed(v), sequences: sequences, isCausal: isCausal, window: window)
      return y.reshaped(to: [batch, q.shape[2], q.shape[1], q.shape[3]] as Shape).permuted([0, 2, 1, 3])
    }
  }

  private static func rope(base: Double) -> Run {
    { inputs in
      let x = get(inputs, "x")
      let positions = get(inputs, "positions").scalars(as: Int32.self)
      let half = x.shape[3] / 2
      let angles = positions.flatMap { position in
        (0..<half).map { Double(position) * pow(base, -Double($0) / Double(half)) }
      }
      func table(_ f: (Double) -> Double) -> Tensor {
        Tensor(angles.map(f), shape: [positions.count, half]).converted(to: x.dtype)
      }
      return x.reshaped(to: [-1, x.shape[2], x.shape[3]])
        .rotated(cosines: table { cos($0) }, sines: table { sin($0) }).reshaped(to: x.shape)
    }
  }

  private static let attention: [String: Run] = [
    "attention": attend(false), "attention_causal": attend(true), "attention_grouped": attend(true),
    "attention_grouped_full": attend(false), "attention_cross": attend(false),
    "attention_cached": attend(true), "attention_window": attend(true, window: 3),
    "attention_long": attend(true),
    "attention_packed": { inputs in
      let offsets = get(inputs, "offsets").scalars(as: Int32.self).map(Int.init)
      let sequences = PackedSequences(lengths: zip(offsets, offsets.dropFirst()).map { $1 - $0 })
      return get(inputs, "q").attention(
        keys: get(inputs, "k"), values: get(inputs, "v"), sequences: sequences, isCausal: true)
    },
    "rope": rope(base: 10000), "rope_far": rope(base: 100_000),
  ]

  private static let rows: [String: Run] = [
    "gather_rows": both("table", "index") { $0.gatheredRows($1) },
    "gather_rows_2d": both("table", "index") { $0.gatheredRows($1) },
    "index_add": { inputs in
      get(inputs, "base") + get(inputs, "update").scatterAddedRows(at: get(inputs, "index"), rowCount: 6)
    },
    "take_along_last": { inputs in
      let (x, index) = (get(inputs, "x"), get(inputs, "index"))
      let columns = (0..<index.shape[1]).map { column in
        x.gatheredElements(index.sliced(column..<column + 1, along: 1).flattened())
      }
      return Tensor.stacked(columns, along: 1)
    },
  ]

  private static let losses: [String: Run] = [
    "cross_entropy": both("logits", "target") { Losses.crossEntropy($0, labels: $1) },
    "cross_entropy_sum": both("logits", "target") { $0.crossEntropy(labels: $1).sum() },
    "cross_entropy_none": both("logits", "target") { $0.crossEntropy(labels: $1) },
    "cross_entropy_large": both("logits", "target") { Losses.crossEntropy($0, labels: $1) },
    "bpr_loss": both("positive", "negative") { Losses.bpr(positive: $0, negative: $1) },
    "info_nce": both { Losses.infoNCE(anchors: $0, positives: $1, temperature: 0.2) },
    "kl_divergence": both("student", "teacher") {
      Losses.kullbackLeibler(teacherLogits: $1, studentLogits: $0)
    },
    "kl_divergence_temperature": both("student", "teacher") {
      Losses.kullbackLeibler(teacherLogits: $1, studentLogits: $0, temperature: 2.5)
    },
    "bce_with_logits": both("x", "target") { Losses.binaryCrossEntropyWithLogits($0, targets: $1) },
    "mse": both { Losses.meanSquaredError($0, $1) },
    "cosine_similarity": both { $0.unitNormalized().rowDot($1.unitNormalized()) },
  ]
}
