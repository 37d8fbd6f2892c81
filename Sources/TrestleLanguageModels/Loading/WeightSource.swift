import TrestleNN
import TrestleTensor

/// How weights are held in memory.
public enum WeightStorage: String, Sendable, Codable, CaseIterable {
  /// As the file has them: quantised blocks stay mapped and quantised, `bfloat16` stays `bfloat16`. Loads at once; for
  /// inference. Dense `float16` becomes `float32`.
  case asStored
  /// Dense `float32`: exact, trainable.
  case float32
  /// Dense `bfloat16`, frozen: half the memory, and the fast products of `.bfloat16` arithmetic.
  case bfloat16
}

/// Where a model takes its weights from, by their Hugging Face names: a file, or a random generator.
protocol WeightSource {
  /// What errors call the source.
  var path: String { get }
  /// Whether there is a tensor of that name.
  func contains(_ name: String) -> Bool
  /// A vector, or a matrix that must be dense: norms, biases, position tables.
  func tensor(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor
  /// The matrix of a linear layer or an embedding, held as the loading options say.
  func matrix(_ name: String, rows: Int, columns: Int) throws(LanguageModelError) -> LinearWeight
  /// w of a norm whose gain is 1 + w, as Gemma's files hold it.
  func offsetGain(_ name: String, _ size: Int) throws(LanguageModelError) -> Parameter
}

extension WeightSource {
  /// A linear layer of the tensors `name.weight` and, if it has one, `name.bias`.
  func linear(
    _ name: String, inputs: Int, outputs: Int, hasBias: Bool = false
  ) throws(LanguageModelError) -> Linear {
    let matrix = try matrix(name + ".weight", rows: outputs, columns: inputs)
    let bias = hasBias ? try tensor(name + ".bias", [outputs]) : nil
    return Linear(matrix: matrix, bias: bias)
  }

  /// The matrix that makes logits of states; `nil` where the embedding serves as it.
  func outputMatrix(isEmbedding: Bool, rows: Int, columns: Int) throws(LanguageModelError) -> LinearWeight? {
    isEmbedding ? nil : try matrix("lm_head.weight", rows: rows, columns: columns)
  }

  /// A parameter of the tensor `name`.
  func parameter(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Parameter {
    Parameter(try tensor(name, shape))
  }

  func offsetGain(_ name: String, _ size: Int) throws(LanguageModelError) -> Parameter {
    try parameter(name, [size])
  }
}

/// Weights drawn from the normal distribution of deviation 0.02; norms are ones, biases zeros.
final class RandomWeights: WeightSource {
  let path = ""
  private var generator: RandomGenerator
  private let dtype: DType

  init(dtype: DType = .float32, using generator: RandomGenerator) {
    self.generator = generator
    self.dtype = dtype
  }

  func contains(_ name: String) -> Bool { true }

  func tensor(_ name: String, _ shape: Shape) -> Tensor {
    if name.hasSuffix("bias") { return .zeros(shape, dtype: dtype) }
    if shape.rank == 1 { return .ones(shape, dtype: dtype) }
    return .normal(shape, deviation: 0.02, dtype: dtype, using: &generator)
  }

  func offsetGain(_ name: String, _ size: Int) -> Parameter { Parameter(.zeros([size], dtype: dtype)) }

  func matrix(_ name: String, rows: Int, columns: Int) -> LinearWeight {
    .dense(Parameter(tensor(name, [rows, columns])))
  }
}
