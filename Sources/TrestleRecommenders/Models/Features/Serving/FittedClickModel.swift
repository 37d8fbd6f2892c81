import Foundation
import Synchronization
import TrestleNN
import TrestleTensor

/// A trained click model, fixed, that answers from any task and can be saved: one of ``LogisticRegression``,
/// ``FactorizationMachine``, ``DeepFM``, ``DCN``, ``DLRM`` and ``DIN``.
///
/// ```swift
/// let fitted = try FittedClickModel(model)
/// try fitted.save(to: folder)
/// let chance = try FittedClickModel(contentsOf: folder).probability(of: ["user": "ann", "hour": 12, "film": "Ran"])
/// ```
///
/// Who asks while another is being answered waits.
public struct FittedClickModel: Sendable {
  let served: ServedClickModel

  /// A copy of the model as it is now; further training leaves it alone.
  ///
  /// - Throws: ``ServingError/invalidRequest(expected:found:)`` for a model of another kind, or without columns.
  public init(_ model: any ClickModel) throws {
    guard let architecture = ClickArchitecture(of: model), !model.schema.fields.isEmpty else {
      throw ServingError.invalidRequest(
        expected: "one of the package's click models with a column at least", found: model.name)
    }
    var weights: [String: Tensor] = [:]
    for item in model.namedParameters { weights[item.name] = item.parameter.detached.copied() }
    served = try ServedClickModel(architecture, model.schema, weights: TensorDictionary(tensors: weights))
  }

  init(_ served: ServedClickModel) { self.served = served }

  /// The model's name, for tables.
  public var name: String { served.name }

  /// The columns that the model reads, and the categories that it knows.
  public var schema: FeatureSchema { served.schema }

  /// The logit of each row of a table: the logarithm of the odds of a click.
  ///
  /// - Throws: ``DataError`` if the table is not one of ``schema``, or lacks a column, or if a logit is not finite.
  public func logits(of table: FeatureTable) throws -> [Float] {
    let logits = try served.logits(of: table)
    if let row = logits.firstIndex(where: { !$0.isFinite }) {
      throw DataError.invalidParameter(
        operation: name, expected: "finite logits", found: "\(logits[row]) in row \(row)")
    }
    return logits
  }

  /// The logit of each row, given by the values of its columns.
  ///
  /// - Parameter rows: each with a value for every column of ``schema``, and no others; unknown categories are welcome.
  /// - Throws: as ``FeatureTable/init(_:schema:)``, and ``DataError`` if a logit is not finite.
  public func logits(of rows: [[String: FeatureValue]]) throws -> [Float] {
    try logits(of: FeatureTable(rows, schema: schema))
  }

  /// The chance of a click of each row, from 0 to 1.
  ///
  /// - Parameter rows: each with a value for every column of ``schema``, and no others; unknown categories are welcome.
  /// - Throws: as ``FeatureTable/init(_:schema:)``, and ``DataError`` if a logit is not finite.
  public func probabilities(of rows: [[String: FeatureValue]]) throws -> [Float] {
    try logits(of: rows).map { 1 / (1 + exp(-$0)) }
  }

  /// The chance of a click of one row, from 0 to 1.
  ///
  /// - Throws: as ``probabilities(of:)``.
  public func probability(of row: [String: FeatureValue]) throws -> Float { try probabilities(of: [row])[0] }
}

/// A click model that several tasks may ask: one after the other.
final class ServedClickModel: Sendable {
  let architecture: ClickArchitecture
  let schema: FeatureSchema
  let name: String
  private let model: Mutex<any ClickModel>

  /// The model with the weights of a source under their parameters' names.
  ///
  /// - Throws: ``DataError`` if the columns are not for such a model, what `Module.load(from:)` throws if the weights do not fit.
  init(_ architecture: ClickArchitecture, _ schema: FeatureSchema, weights: TensorDictionary) throws {
    let model = try architecture.make(schema)
    try model.load(from: weights)
    (self.architecture, self.schema, name) = (architecture, schema, model.name)
    self.model = Mutex(model)
  }

  /// The weights by their names.
  var weights: [String: Tensor] {
    model.withLock { model in
      var weights: [String: Tensor] = [:]
      for item in model.namedParameters { weights[item.name] = item.parameter.detached }
      return weights
    }
  }

  func logits(of table: FeatureTable) throws -> [Float] {
    try model.withLock { try $0.logits(of: table) }
  }
}
