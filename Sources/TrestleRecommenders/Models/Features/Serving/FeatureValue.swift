/// The value of a column in a row; literals of numbers, texts and arrays of texts are values, too.
public enum FeatureValue: Sendable, Equatable {
  /// A number.
  case number(Float)
  /// A category; one that the schema does not know, or the empty text, is an unknown one. In a column of texts the text, in one of
  /// times a date, or seconds or milliseconds from 1970 in digits, as ``FeatureTable/addTimes(_:texts:)`` reads
  /// them.
  case category(String)
  /// Categories in order.
  case list([String])
  /// A time, in seconds from 1970-01-01 00:00 UTC.
  case time(Double)

  /// The number, `nil` for others.
  var number: Float? { if case .number(let value) = self { value } else { nil } }
  /// The category, `nil` for others.
  var category: String? { if case .category(let value) = self { value } else { nil } }
  /// The list, `nil` for others.
  var list: [String]? { if case .list(let value) = self { value } else { nil } }

  /// The seconds of a time or of a text that is one, `nil` for others.
  var seconds: Double? {
    switch self {
    case .time(let value): value
    case .category(let text): TimeFeatures.seconds(text)
    case .number, .list: nil
    }
  }

  /// What the value is, in words.
  var kind: String {
    switch self {
    case .number: "a number"
    case .category: "a category"
    case .list: "a list"
    case .time: "a time"
    }
  }
}

extension FeatureValue: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
  ExpressibleByArrayLiteral
{
  /// A number.
  public init(floatLiteral value: Float) { self = .number(value) }
  /// A number.
  public init(integerLiteral value: Int) { self = .number(Float(value)) }
  /// A category.
  public init(stringLiteral value: String) { self = .category(value) }
  /// A list of categories.
  public init(arrayLiteral elements: String...) { self = .list(elements) }
}

extension FeatureTable {
  /// A table of rows that are given by their columns' values.
  ///
  /// ```swift
  /// let table = try FeatureTable([["age": 24, "film": "Emma", "seen": ["Ran", "Ikiru"]]], schema: schema)
  /// ```
  ///
  /// - Parameters:
  ///   - rows: each with a value for every column of the schema.
  ///   - schema: of the table that a model was trained on. Categories that it does not know are unknown ones.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a column that the schema does not have, one that a
  ///   row lacks, a value of another kind, and a number that is not finite.
  public init(_ rows: [[String: FeatureValue]], schema: FeatureSchema) throws(DataError) {
    self.init(rowCount: rows.count, schema: schema)
    for field in schema.fields {
      let (name, values) = (field.name, try Self.values(of: field.name, rows))
      switch field.kind {
      case .number: try addNumbers(name, Self.contents(name, values, "a number", \.number))
      case .category: try addCategories(name, Self.contents(name, values, "a category", \.category))
      case .list: try addLists(name, Self.contents(name, values, "a list", \.list))
      case .text: try addTexts(name, Self.contents(name, values, "a text", \.category))
      case .time:
        try addTimes(
          name,
          Self.contents(name, values, TimeFeatures.expected, \.seconds) { value in
            value.category.map { "\"\($0.prefix(60))\"" } ?? value.kind
          })
      }
    }
    // Every column of the schema is there: a row of more has others.
    for (index, row) in rows.enumerated() where row.count != schema.fields.count {
      guard let other = row.keys.sorted().first(where: { schema.field($0) == nil }) else { continue }
      let names = schema.fields.map(\.name).prefix(100).joined(separator: ", ")
      throw Self.fault(other, "a column of the schema: \(names)", "another in row \(index)")
    }
  }

  /// The values of a column, which every row has.
  private static func values(
    of name: String, _ rows: [[String: FeatureValue]]
  ) throws(DataError) -> [FeatureValue] {
    var values: [FeatureValue] = []
    values.reserveCapacity(rows.count)
    for (index, row) in rows.enumerated() {
      guard let value = row[name] else { throw fault(name, "a value in row \(index)", "none") }
      values.append(value)
    }
    return values
  }

  /// What the values hold, all of one kind.
  private static func contents<Content>(
    _ name: String, _ values: [FeatureValue], _ expected: String, _ content: (FeatureValue) -> Content?,
    found: (FeatureValue) -> String = { $0.kind }
  ) throws(DataError) -> [Content] {
    var contents: [Content] = []
    contents.reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      guard let own = content(value) else { throw fault(name, "\(expected) in row \(index)", found(value)) }
      contents.append(own)
    }
    return contents
  }
}
