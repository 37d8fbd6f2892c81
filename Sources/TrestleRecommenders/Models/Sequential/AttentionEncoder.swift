import TrestleNN
import TrestleTensor

/// What the configurations of ``SASRec`` and ``BERT4Rec`` say of their encoder.
protocol AttentionEncoderSettings {
  var dimension: Int { get set }
  var layers: Int { get set }
  var heads: Int { get set }
  var hidden: Int { get set }
  var windowLength: Int { get set }
  var dropout: Double { get set }
  var attentionDropout: Double { get set }
  var epsilon: Double { get set }
}

/// The names of these settings in files.
private enum AttentionEncoderKey: String, CodingKey {
  case dimension, layers, heads, hidden, windowLength, dropout, attentionDropout, epsilon
}

extension AttentionEncoderSettings {
  /// Reads what was saved; a file of a version that did not drop the attention's probabilities says nothing of them.
  mutating func readEncoder(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: AttentionEncoderKey.self)
    dimension = try values.decode(Int.self, forKey: .dimension)
    layers = try values.decode(Int.self, forKey: .layers)
    heads = try values.decode(Int.self, forKey: .heads)
    hidden = try values.decode(Int.self, forKey: .hidden)
    windowLength = try values.decode(Int.self, forKey: .windowLength)
    dropout = try values.decode(Double.self, forKey: .dropout)
    attentionDropout = try values.decodeIfPresent(Double.self, forKey: .attentionDropout) ?? 0
    epsilon = try values.decode(Double.self, forKey: .epsilon)
  }
}

extension SASRec.Configuration: AttentionEncoderSettings {}
extension BERT4Rec.Configuration: AttentionEncoderSettings {}

/// x = norm(item + position), then layers of attention.
///
/// The model gives the property that holds it an empty name in its `checkpointKeys`.
final class AttentionEncoder: Module {
  static let checkpointKeys = ["embedding": ""]
  let embedding: SequenceEmbedding
  private let norm: LayerNorm
  private let layers: [AttentionLayer]

  init(
    _ settings: some AttentionEncoderSettings, itemCount: Int, isCausal: Bool, dtype: DType,
    using generator: inout RandomGenerator
  ) {
    embedding = SequenceEmbedding(
      itemCount: itemCount, windowLength: settings.windowLength, width: settings.dimension, dtype: dtype,
      using: &generator)
    norm = LayerNorm(width: settings.dimension, epsilon: settings.epsilon, dtype: dtype)
    layers = (0..<settings.layers).map { _ in
      AttentionLayer(
        width: settings.dimension, hidden: settings.hidden, heads: settings.heads, dropout: settings.dropout,
        attentionDropout: settings.attentionDropout, epsilon: settings.epsilon, isCausal: isCausal,
        dtype: dtype, using: &generator)
    }
  }

  /// The states of all places, `[items of all sequences, width]`.
  ///
  /// - Parameter dropout: of the inputs; the model's, which draws it after its own weights.
  func callAsFunction(_ sequences: ItemSequences, dropout: Dropout?) -> Tensor {
    let inputs = norm(embedding(sequences))
    let packed = PackedSequences(lengths: sequences.lengths)
    return layers.reduce(dropout?(inputs) ?? inputs) { $1($0, packed) }
  }
}
