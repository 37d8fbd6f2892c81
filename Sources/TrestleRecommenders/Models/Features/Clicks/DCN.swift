import TrestleNN
import TrestleTensor

/// A cross network and a deep network on the columns' vectors, one beside the other or one after the other (DCN-V2).
///
/// Source: Wang et al., *DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems*
/// (2021).
public final class DCN: ClickModel {
  /// How the two networks stand.
  public enum Structure: String, Codable, Sendable, CaseIterable {
    /// Both read the vectors, and their outputs stand side by side.
    case parallel
    /// The deep network reads what the cross network made.
    case stacked
  }

  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the vectors.
    public var dimension = 16
    /// The number of cross layers.
    public var crossLayers = 2
    /// The rank of the cross layers' matrices; `nil` for full ones.
    public var rank: Int?
    /// The widths of the deep network's layers, at least one.
    public var hidden = [64, 32]
    /// The rate of dropout in the deep network.
    public var dropout = 0.0
    /// How the two networks stand.
    public var structure = Structure.stacked

    /// The defaults.
    public init() {}
  }

  /// DCN-V2.
  public let name = "DCN-V2"
  /// How the model was built.
  public let configuration: Configuration
  private let vectors: FieldEmbeddings
  private let cross: CrossNetwork
  private let network: MLP
  private let output: Linear

  /// A model with random vectors and weights.
  ///
  /// - Parameters:
  ///   - schema: the columns, at least one.
  ///   - configuration: how the model is built.
  ///   - generator: where random draws come from.
  public init(
    _ schema: FeatureSchema, configuration: Configuration = Configuration(),
    using generator: inout RandomGenerator
  ) {
    precondition(
      !schema.fields.isEmpty && !configuration.hidden.isEmpty,
      "DCN: \(schema.fields.count) columns and \(configuration.hidden.count) hidden layers, expected at least one of each"
    )
    self.configuration = configuration
    // The cross network multiplies the vectors with each other: they start wider than for a sum.
    vectors = FieldEmbeddings(schema, width: configuration.dimension, deviation: 0.1, using: &generator)
    let width = vectors.fieldCount * configuration.dimension
    cross = CrossNetwork(
      width: width, layerCount: configuration.crossLayers, rank: configuration.rank, using: &generator)
    network = MLP(
      widths: [width] + configuration.hidden, activatesLast: true, dropout: configuration.dropout,
      using: &generator)
    let deep = configuration.hidden.last ?? 0
    output = Linear(
      inputs: configuration.structure == .parallel ? width + deep : deep, outputs: 1, using: &generator)
  }

  /// The columns.
  public var schema: FeatureSchema { vectors.schema }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor {
    let x = vectors(batch).reshaped(to: [batch.rowCount, -1])
    let crossed = cross(x)
    switch configuration.structure {
    case .stacked: return output(network(crossed)).squeezed(1)
    case .parallel: return output(.concatenated([crossed, network(x)], along: 1)).squeezed(1)
    }
  }
}
