import TrestleNN
import TrestleTensor

/// A user's history, read in view of the target, and all columns' vectors go into one network (Deep Interest Network).
///
/// The target is a column of categories and the history a column of lists with the same vocabulary. The publication's Dice
/// activation and mini-batch aware regularisation are left out; the network's activation is ReLU.
///
/// Source: Zhou et al., *Deep Interest Network for Click-Through Rate Prediction* (2018).
public final class DIN: ClickModel {
  /// How a history becomes one vector.
  public enum Pooling: String, Codable, Sendable, CaseIterable {
    /// Weighted by `TargetAttention` to the target.
    case attention
    /// The mean, whatever the target: the publication's base model.
    case mean
  }

  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the vectors.
    public var dimension = 16
    /// The widths of the hidden layers of the attention's network.
    public var attentionHidden = [32]
    /// Whether the attention's weights go through a softmax; they do not in the publication.
    public var normalizesAttention = false
    /// The widths of the network's hidden layers.
    public var hidden = [64, 32]
    /// The rate of dropout in the network.
    public var dropout = 0.0
    /// Of longer histories the last so many entries are read.
    public var historyLimit = 100
    /// How a history becomes one vector.
    public var pooling = Pooling.attention

    /// The defaults.
    public init() {}
  }

  /// DIN, or its base model.
  public var name: String { configuration.pooling == .attention ? "DIN" : "DIN's base model" }
  /// How the model was built.
  public let configuration: Configuration
  /// The column of categories that the history is compared with.
  public let target: String
  /// The column of lists with the user's history.
  public let history: String
  private let vectors: FieldEmbeddings
  private let attention: TargetAttention?
  private let network: MLP

  /// A model with random vectors and weights.
  ///
  /// - Parameters:
  ///   - schema: the columns.
  ///   - target: the column of categories that the history is compared with.
  ///   - history: the column of lists with the user's history.
  ///   - configuration: how the model is built.
  ///   - generator: where random draws come from.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` unless both are such columns and share a
  ///   vocabulary.
  public init(
    _ schema: FeatureSchema, target: String, history: String,
    configuration: Configuration = Configuration(), using generator: inout RandomGenerator
  ) throws(DataError) {
    guard case .category(let own)? = schema.field(target)?.kind,
      case .list(let other)? = schema.field(history)?.kind, own == other
    else {
      throw .invalidParameter(
        operation: "DIN",
        expected: "a column of categories \(target) and one of lists \(history) with one vocabulary",
        found: schema.fields.map { "\($0.name): \($0.kind)" }.prefix(20).joined(separator: ", "))
    }
    self.configuration = configuration
    (self.target, self.history) = (target, history)
    let dimension = configuration.dimension
    vectors = FieldEmbeddings(schema, width: dimension, deviation: 0.25, using: &generator)
    attention =
      configuration.pooling == .mean
      ? nil
      : TargetAttention(
        width: dimension, hidden: configuration.attentionHidden,
        normalizes: configuration.normalizesAttention, using: &generator)
    network = MLP(
      widths: [vectors.fieldCount * dimension] + configuration.hidden + [1], dropout: configuration.dropout,
      using: &generator)
  }

  /// The columns.
  public var schema: FeatureSchema { vectors.schema }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor {
    var x = vectors(batch, without: [history]).reshaped(to: [batch.rowCount, -1])
    x = .concatenated([x, interest(batch)], along: 1)
    return network(x).squeezed(1)
  }

  /// The history as one vector, `[rows, dimension]`.
  private func interest(_ batch: FeatureBatch) -> Tensor {
    guard let attention else { return vectors.vector(of: history, batch) }
    let (entries, mask) = vectors.sequence(of: history, batch, limit: configuration.historyLimit)
    return attention(target: vectors.vector(of: target, batch), history: entries, mask: mask)
  }
}
