import Foundation
import TrestleNN
import TrestleTensor

/// A model of the chance that an example of a ``FeatureTable`` is clicked.
public protocol ClickModel: AnyObject, Module {
  /// The model's name, for tables.
  var name: String { get }
  /// The columns that it was built for.
  var schema: FeatureSchema { get }

  /// The logit of each example: the logarithm of the odds of a click.
  ///
  /// - Parameter batch: of a table of ``schema``.
  /// - Returns: `[rows]`.
  func logits(_ batch: FeatureBatch) -> Tensor
}

extension ClickModel {
  /// The logits of all examples of a table, computed without dropout, some at a time.
  ///
  /// - Throws: ``DataError`` if the table is not one of ``schema``, or lacks a column.
  public func logits(of table: FeatureTable) throws(DataError) -> [Float] {
    try requireSchema(of: table)
    setTraining(false)
    var result: [Float] = []
    result.reserveCapacity(table.rowCount)
    for first in stride(from: 0, to: table.rowCount, by: 4096) {
      let batch = try table.batch(rows: first..<min(first + 4096, table.rowCount))
      result += withoutGradients { logits(batch).floats }
    }
    return result
  }

  /// The chances of a click of all examples of a table, from 0 to 1.
  ///
  /// - Throws: ``DataError`` if the table is not one of ``schema``, or lacks a column.
  public func probabilities(of table: FeatureTable) throws(DataError) -> [Float] {
    try logits(of: table).map { 1 / (1 + exp(-$0)) }
  }

  /// How well the model tells clicked examples from others.
  ///
  /// - Parameter table: with labels.
  /// - Throws: ``DataError`` if the table is not one of ``schema``, or lacks a column or labels, or if a logit is not finite.
  public func evaluate(on table: FeatureTable) throws(DataError) -> ClickMetrics {
    guard table.rowCount == table.labels.count else {
      throw .missingField(operation: "the evaluation of \(name)", expected: "labels")
    }
    let logits = try logits(of: table)
    if let row = logits.firstIndex(where: { !$0.isFinite }) {
      throw .invalidParameter(
        operation: "the evaluation of \(name)", expected: "finite logits",
        found: "\(logits[row]) in row \(row)")
    }
    return ClickMetrics(logits: logits, labels: table.labels, users: table.users)
  }

  /// Throws unless the table is one of the model's schema.
  func requireSchema(of table: FeatureTable) throws(DataError) {
    guard table.schema == schema else {
      throw .invalidParameter(
        operation: name, expected: "a table with the schema that the model was built for",
        found: "another schema, of \(table.schema.fields.map(\.name).prefix(100).joined(separator: ", "))")
    }
  }
}

/// A weight for every category and number, and an offset: the first-order part of click models.
final class FirstOrderTerm: Module {
  private let weights: FieldEmbeddings
  private let bias = Parameter(.zeros([1]))

  init(_ schema: FeatureSchema, using generator: inout RandomGenerator) {
    weights = FieldEmbeddings(schema, width: 1, deviation: 0, using: &generator)
  }

  /// The term of each example, `[rows]`.
  func callAsFunction(_ batch: FeatureBatch) -> Tensor { weights(batch).sum(along: [1, 2]) + bias.value }
}

/// Logistic regression on the columns: each category and number has a weight, and nothing interacts.
public final class LogisticRegression: ClickModel {
  /// Logistic regression.
  public let name = "Logistic regression"
  /// The columns.
  public let schema: FeatureSchema
  private let linear: FirstOrderTerm

  /// A model that starts at zero.
  public init(_ schema: FeatureSchema) {
    self.schema = schema
    // Rows of zeros draw nothing that counts.
    var generator = RandomGenerator(seed: 0)
    linear = FirstOrderTerm(schema, using: &generator)
  }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor { linear(batch) }
}
