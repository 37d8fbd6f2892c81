import Foundation
import TrestleFormats

extension FeatureTable {
  /// Reads a table from an Arrow IPC file, a NumPy array of records or an archive of NumPy arrays; see `ColumnarFile`.
  ///
  /// Columns of numbers may be whole or floating-point ones or truth values, the label too, each 0 or 1. Categories may be texts,
  /// whole numbers or truth values (`true`, `false`); a category that is absent is an unknown one, a list or text that is absent is
  /// empty. Times may be ISO dates, or seconds or milliseconds from 1970 (``addTimes(_:texts:)``), as texts or numbers.
  ///
  /// - Parameters:
  ///   - file: the file.
  ///   - columns: the columns to look for, which must exist; ``FeatureColumns/listSeparator`` says nothing here.
  ///   - schema: of another table, whose ids and means are used; `nil` to learn them from the file.
  /// - Throws: `FormatError` for what is wrong with the file, ``DataError`` for a column that it does not have, or whose values
  ///   are not of the kind.
  public static func columnar(
    _ file: URL, columns: FeatureColumns, schema: FeatureSchema? = nil
  ) throws -> FeatureTable {
    let source = ColumnarSource(file: try ColumnarFile(file))
    var table = FeatureTable(rowCount: source.file.rowCount, schema: schema)
    for name in columns.numbers { try table.addNumbers(name, source.numbers(name)) }
    for name in columns.categories {
      try table.addCategories(
        name, source.ids(name), vocabulary: columns.vocabularies[name], minimumCount: columns.minimumCount)
    }
    for name in columns.lists {
      try table.addLists(
        name, source.lists(name), vocabulary: columns.vocabularies[name], minimumCount: columns.minimumCount)
    }
    for name in columns.texts {
      try table.addTexts(name, source.texts(name), buckets: columns.textBuckets)
    }
    for name in columns.times { try table.addTimes(name, source.times(name)) }
    if let label = columns.label { try table.setLabels(source.labels(label)) }
    if let user = columns.user { try table.setUsers(source.ids(user)) }
    return table
  }
}

/// The columns of a file as a table takes them.
private struct ColumnarSource {
  let file: ColumnarFile

  private func column(_ name: String) throws(DataError) -> Column {
    if let column = file.column(name) { return column }
    throw .missingColumn(path: file.path, expected: "the column \(name)", found: file.columns.map(\.name))
  }

  private func fault(_ name: String, _ expected: String, _ found: String) -> DataError {
    .invalidParameter(operation: "\(file.path), column \(name)", expected: expected, found: found)
  }

  /// The numbers of a column in which no row is without one.
  func numbers(_ name: String) throws(DataError) -> [Float] {
    let column = try column(name)
    if let row = column.isAbsent.firstIndex(of: true) { throw fault(name, "a number in row \(row)", "none") }
    switch column.values {
    case .integers(let values): return values.map { Float($0) }
    case .numbers(let values): return values.map { Float($0) }
    case .booleans(let values): return values.map { $0 ? 1 : 0 }
    case .texts, .lists: throw fault(name, "numbers", column.kind)
    }
  }

  func labels(_ name: String) throws(DataError) -> [Bool] {
    let values = try numbers(name)
    if let row = values.firstIndex(where: { $0 != 0 && $0 != 1 }) {
      throw fault(name, "a label, 0 or 1, in row \(row)", "\(values[row])")
    }
    return values.map { $0 == 1 }
  }

  /// The ids of a column, empty where there is none.
  func ids(_ name: String) throws(DataError) -> [String] { try ids(of: try column(name), name) }

  private func ids(of column: Column, _ name: String) throws(DataError) -> [String] {
    var ids: [String]
    switch column.values {
    case .integers(let values): ids = values.map { String($0) }
    case .booleans(let values): ids = values.map { String($0) }
    case .texts(let values): ids = values
    case .numbers, .lists: throw fault(name, "texts, whole numbers or truth values", column.kind)
    }
    for (row, isAbsent) in column.isAbsent.enumerated() where isAbsent { ids[row] = "" }
    return ids
  }

  /// The texts of a column, empty where there is none.
  func texts(_ name: String) throws(DataError) -> [String] {
    let column = try column(name)
    guard case .texts = column.values else { throw fault(name, "texts", column.kind) }
    return try ids(of: column, name)
  }

  /// The seconds of a column of times in which no row is without one.
  func times(_ name: String) throws(DataError) -> [Double] {
    let column = try column(name)
    if let row = column.isAbsent.firstIndex(of: true) { throw fault(name, "a time in row \(row)", "none") }
    let times: [(found: String, seconds: Double?)]
    switch column.values {
    case .integers(let values): times = values.map { ("\($0)", TimeFeatures.seconds(Double($0))) }
    case .numbers(let values): times = values.map { ("\($0)", TimeFeatures.seconds($0)) }
    case .texts(let values): times = values.map { ("\"\($0.prefix(60))\"", TimeFeatures.seconds($0)) }
    case .booleans, .lists: throw fault(name, "times", column.kind)
    }
    var seconds: [Double] = []
    for (row, time) in times.enumerated() {
      guard let value = time.seconds else {
        throw fault(name, "\(TimeFeatures.expected), in row \(row)", time.found)
      }
      seconds.append(value)
    }
    return seconds
  }

  func lists(_ name: String) throws(DataError) -> [[String]] {
    let column = try column(name)
    guard case .lists(let starts, let entries) = column.values else {
      throw fault(name, "lists", column.kind)
    }
    let ids = try ids(of: entries, name)
    return (0..<column.count).map { row in
      column.isAbsent.isEmpty || !column.isAbsent[row] ? Array(ids[starts[row]..<starts[row + 1]]) : []
    }
  }
}
