import TrestleNN
import TrestleTensor

/// A vector for every column of a schema: of a category its row, of a list the mean of its rows, of a text that of its words', of a
/// number a row of the column times the number; of a time such a vector for each of its numbers.
///
/// Columns of one vocabulary share its rows, and each column of texts has rows of its own. The row of the unknown categories starts at zero: until some were trained on, they
/// change nothing.
public final class FieldEmbeddings: Module {
  /// The columns.
  public let schema: FeatureSchema
  /// The width of the vectors.
  public let width: Int
  /// Whether the columns of numbers and times have vectors.
  public let includesNumbers: Bool
  /// The rows of each vocabulary, `[codes, width]`, by its name.
  private let tables: [String: EmbeddingBag]
  /// The rows of each column of texts, `[buckets, width]`, by its name.
  private let texts: [String: EmbeddingBag]
  /// A row for each number, `[numbers, width]`; `nil` without such.
  private let numberRows: Parameter?

  /// Vectors with rows drawn from the normal distribution.
  ///
  /// - Parameters:
  ///   - schema: the columns.
  ///   - width: the width of the vectors.
  ///   - deviation: the standard deviation of the rows' elements; 0 for rows of zeros.
  ///   - includesNumbers: whether the columns of numbers and times have vectors.
  ///   - generator: where random draws come from.
  public init(
    _ schema: FeatureSchema, width: Int, deviation: Double = 0.05, includesNumbers: Bool = true,
    using generator: inout RandomGenerator
  ) {
    precondition(width >= 1, "FieldEmbeddings: width \(width), expected at least 1")
    self.schema = schema
    self.width = width
    self.includesNumbers = includesNumbers
    var tables: [String: EmbeddingBag] = [:]
    for vocabulary in schema.vocabularies.keys.sorted() {
      let known = Tensor.normal(
        [schema.codeCount(of: vocabulary) - 1, width], deviation: deviation, using: &generator)
      tables[vocabulary] = EmbeddingBag(weight: .concatenated([.zeros([1, width]), known], along: 0))
    }
    self.tables = tables
    let numberCount = includesNumbers ? schema.numberCount : 0
    numberRows =
      numberCount == 0
      ? nil : Parameter(.normal([numberCount, width], deviation: deviation, using: &generator))
    var texts: [String: EmbeddingBag] = [:]
    for field in schema.fields {
      guard case .text(let buckets) = field.kind else { continue }
      texts[field.name] = EmbeddingBag(
        count: buckets, width: width, deviation: deviation, using: &generator)
    }
    self.texts = texts
  }

  /// A copy for a schema with one column of ids more, the last one, whose known rows are given, `[ids, width]`.
  init(_ other: FieldEmbeddings, schema: FeatureSchema, id name: String, rows: Tensor) {
    (self.schema, width, includesNumbers) = (schema, other.width, other.includesNumbers)
    var tables = other.tables.mapValues { EmbeddingBag(weight: $0.weight.detached.copied()) }
    tables[name] = EmbeddingBag(weight: .concatenated([.zeros([1, width]), rows], along: 0))
    self.tables = tables
    texts = other.texts.mapValues { EmbeddingBag(weight: $0.weight.detached.copied()) }
    numberRows = other.numberRows.map { Parameter($0.detached.copied()) }
  }

  /// The number of vectors of an example.
  public var fieldCount: Int { (numberRows?.shape[0] ?? 0) + schema.categorical.count }

  /// The vectors: the numbers' and times' first, then the categories', lists' and texts', each in the schema's order.
  ///
  /// - Parameters:
  ///   - batch: of a table of the same schema.
  ///   - names: columns of categories, lists and texts that are left out.
  /// - Returns: `[rows, fields, width]`.
  public func callAsFunction(_ batch: FeatureBatch, without names: Set<String> = []) -> Tensor {
    var vectors = schema.categorical.filter { !names.contains($0.name) }
      .map { vector(of: $0.name, batch).expanded(at: 1) }
    if let numberRows, let numbers = batch.numbers {
      vectors.insert(numbers.expanded(at: 2) * numberRows.value, at: 0)
    }
    return vectors.isEmpty ? .zeros([batch.rowCount, 0, width]) : .concatenated(vectors, along: 1)
  }

  /// The vector of a column of categories, lists or texts, `[rows, width]`.
  ///
  /// - Precondition: the schema has the column.
  public func vector(of name: String, _ batch: FeatureBatch) -> Tensor {
    let table = table(of: name)
    if let codes = batch.categories[name] { return table.rows(codes) }
    guard let lists = batch.lists[name] else {
      preconditionFailure("FieldEmbeddings: the batch has no column \(name)")
    }
    return table(lists.entries, offsets: lists.offsets)
  }

  /// The entries of a column of lists as vectors, with padding behind.
  ///
  /// - Parameters:
  ///   - name: the column, of lists.
  ///   - batch: of a table of the same schema.
  ///   - limit: of longer lists the last so many entries are kept.
  /// - Returns: `[rows, time, width]`, and `[rows, time]`, `bool`, true for entries.
  public func sequence(
    of name: String, _ batch: FeatureBatch, limit: Int = .max
  ) -> (vectors: Tensor, mask: Tensor) {
    guard let lists = batch.lists[name] else {
      preconditionFailure("FieldEmbeddings: the batch has no column of lists \(name)")
    }
    let (codes, mask) = lists.padded(limit: limit)
    return (table(of: name).rows(codes), mask)
  }

  private func table(of name: String) -> EmbeddingBag {
    let table =
      switch schema.field(name)?.kind {
      case .category(let vocabulary)?, .list(let vocabulary)?: tables[vocabulary]
      case .text?: texts[name]
      case .number?, .time?, nil: nil as EmbeddingBag?
      }
    guard let table else {
      preconditionFailure("FieldEmbeddings: the schema has no column of categories or texts \(name)")
    }
    return table
  }
}
