/// What the columns of a ``FeatureTable`` are, and which ids they know: a model is built for a schema, and reads tables of it.
public struct FeatureSchema: Codable, Sendable, Equatable {
  /// What a column holds.
  public enum Kind: Codable, Sendable, Equatable {
    /// A number, which models read less the mean and over the deviation.
    case number(mean: Double, deviation: Double)
    /// One category out of a vocabulary.
    case category(vocabulary: String)
    /// Any number of categories out of a vocabulary, in order.
    case list(vocabulary: String)
    /// A text, each word of which has one of so many rows by its hash.
    case text(buckets: Int)
    /// A time, which models read as numbers: see ``FeatureTable/addTimes(_:_:)``. Mean and deviation are in seconds, from
    /// 1970.
    case time(mean: Double, deviation: Double)
  }

  /// A column.
  public struct Field: Codable, Sendable, Equatable {
    /// The column's name.
    public let name: String
    /// What it holds.
    public let kind: Kind
  }

  /// The columns, in the order in which they were added.
  public internal(set) var fields: [Field] = []
  /// The ids of each vocabulary; columns with a vocabulary of one name share it, and its rows in a model.
  public internal(set) var vocabularies: [String: IDMap] = [:]

  /// No column yet.
  public init() {}

  /// The column of a name, `nil` if there is none.
  public func field(_ name: String) -> Field? { fields.first { $0.name == name } }

  /// The codes of a vocabulary: its ids and 0, which stands for every unknown one.
  public func codeCount(of vocabulary: String) -> Int { (vocabularies[vocabulary]?.count ?? 0) + 1 }

  /// The number of numbers that models read: one for each column of numbers, several for each of times.
  var numberCount: Int {
    fields.reduce(0) { count, field in
      switch field.kind {
      case .number: count + 1
      case .time: count + TimeFeatures.count
      case .category, .list, .text: count
      }
    }
  }

  /// The columns of categories, lists and texts, in their order.
  var categorical: [Field] {
    fields.filter { field in
      switch field.kind {
      case .number, .time: false
      case .category, .list, .text: true
      }
    }
  }

  /// The number of vectors that models make of a row.
  var vectorCount: Int { numberCount + categorical.count }
}
