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

  /// The names of the columns of numbers, in their order.
  var numberNames: [String] {
    fields.compactMap { field in
      guard case .number = field.kind else { return nil }
      return field.name
    }
  }

  /// The columns of categories and lists with their vocabularies, in their order.
  var categorical: [(name: String, vocabulary: String, isList: Bool)] {
    fields.compactMap { field in
      switch field.kind {
      case .number: nil
      case .category(let vocabulary): (field.name, vocabulary, false)
      case .list(let vocabulary): (field.name, vocabulary, true)
      }
    }
  }
}
