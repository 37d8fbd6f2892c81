import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Feature tables as they become tensors, and the measures of clicks.
@Suite struct FeatureTableTests {
  private func table() throws -> FeatureTable {
    var table = FeatureTable(rowCount: 3)
    try table.addNumbers("age", [10, 20, 30])
    try table.addCategories("film", ["Emma", "", "Persuasion"])
    try table.addLists("seen", [["Persuasion", "Ran"], [], ["Emma"]], vocabulary: "film")
    try table.setLabels([true, false, true])
    return table
  }

  @Test func columnsBecomeTensors() throws {
    let table = try table()
    #expect(table.schema.codeCount(of: "film") == 4)
    let batch = try table.batch(rows: [2, 1, 0])
    let deviation = Float((200.0 / 3).squareRoot())
    let expected = [10 / deviation, 0, -10 / deviation]
    #expect(zip(try #require(batch.numbers).floats, expected).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(batch.categories["film"]?.scalars(as: Int32.self) == [2, 0, 1])
    let lists = try #require(batch.lists["seen"])
    #expect(lists.entries.scalars(as: Int32.self) == [1, 2, 3])
    #expect(lists.offsets.scalars(as: Int32.self) == [0, 1, 1])
    #expect(lists.padded().codes.scalars(as: Int32.self) == [1, 0, 0, 0, 2, 3])
    #expect(lists.padded().mask.scalars(as: Bool.self) == [true, false, false, false, true, true])
    #expect(lists.padded(limit: 1).codes.scalars(as: Int32.self) == [1, 0, 3])
    #expect(batch.labels?.floats == [1, 0, 1])
  }

  @Test func laterTablesAreReadByTheFirstOnesSchema() throws {
    let schema = try table().schema
    var later = FeatureTable(rowCount: 2, schema: schema)
    try later.addLists("seen", [["Ikiru", "Ran"], ["Emma"]], vocabulary: "ignored")
    try later.addCategories("film", ["Ikiru", "Persuasion"])
    #expect(throws: DataError.self) { try later.batch(rows: [0]) }
    try later.addNumbers("age", [20, 20])
    let batch = try later.batch(rows: 0..<2)
    #expect(later.schema == schema)
    #expect(batch.numbers?.floats == [0, 0])
    #expect(batch.categories["film"]?.scalars(as: Int32.self) == [0, 2])
    #expect(batch.lists["seen"]?.entries.scalars(as: Int32.self) == [0, 3, 1])
  }

  @Test func rareCategoriesAreUnknown() throws {
    var table = FeatureTable(rowCount: 4)
    try table.addCategories("genre", ["a", "b", "a", "c"], minimumCount: 2)
    #expect(table.schema.codeCount(of: "genre") == 2)
    #expect(try table.batch(rows: 0..<4).categories["genre"]?.scalars(as: Int32.self) == [1, 0, 1, 0])
  }

  @Test func whatDoesNotFitIsSaidInOneLine() throws {
    var table = try table()
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "no error"
    }
    #expect(
      message { try table.addNumbers("height", [1]) }
        == "FeatureTable, height: expected 3 values, found 1")
    #expect(
      message { try table.addNumbers("height", [1, .nan, 2]) }
        == "FeatureTable, height: expected finite numbers, found nan in row 1")
    #expect(
      message { try table.addCategories("age", ["a", "b", "c"]) }
        == "FeatureTable, age: expected a name that no column has, found a second column of that name")
    #expect(message { try table.setLabels([]) } == "FeatureTable, labels: expected 3 labels, found 0")
    var later = FeatureTable(rowCount: 1, schema: table.schema)
    #expect(message { try later.addCategories("age", ["a"]) }.contains("the schema's kind"))
    #expect(
      message { try later.addNumbers("height", [1]) }
        == "FeatureTable, height: expected a column of the schema: age, film, seen, found another")
  }

  @Test func measuresAreThoseOfTheirDefinitions() throws {
    // Pairs of a clicked and another example: 2 > −1, 2 > 0.5, 0.5 > −1, and a tie of 0.5.
    let measured = ClickMetrics(
      logits: [2, 0.5, 0.5, -1], labels: [true, true, false, false], users: [0, 1, 1, 0])
    #expect(measured.auc == 3.5 / 4)
    #expect(measured.userAUC == 0.75)
    let losses = [log(1 + exp(-2)), log(1 + exp(-0.5)), log(1 + exp(0.5)), log(1 + exp(-1))]
    #expect(abs(try #require(measured.logLoss) - losses.reduce(0, +) / 4) < 1e-12)
    let oneKind = ClickMetrics(logits: [1, 2], labels: [true, true])
    #expect(oneKind.auc == nil && oneKind.userAUC == nil)
    #expect(ClickMetrics(logits: [], labels: []).logLoss == nil)
    let extreme = ClickMetrics(logits: [-1e30, 100], labels: [false, true])
    #expect(try #require(extreme.logLoss) < 1e-40)
  }

  @Test func filesBecomeTables() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let text =
      "click,user,age,film,seen\n1,ann,24,Emma,Persuasion|Ran\n0,bob,53,\"Ran, again\",\n1,ann,x,Emma,\n"
    let file = try folder.write(text, to: "clicks.csv")
    var columns = FeatureColumns()
    columns.label = "click"
    columns.user = "user"
    columns.numbers = ["age"]
    columns.categories = ["film"]
    columns.lists = ["seen"]
    columns.vocabularies = ["seen": "film"]
    #expect(throws: DataError.self) { try FeatureTable.delimited(file, columns: columns) }
    var options = ReadOptions()
    options.onBadLine = .skip
    let (table, report) = try FeatureTable.delimited(file, columns: columns, options: options)
    #expect(report.skipped == 1)
    #expect(table.labels == [true, false] && table.users == [0, 1])
    #expect(table.schema.vocabularies["film"]?.ids == ["Emma", "Ran, again", "Persuasion", "Ran"])
    let batch = try table.batch(rows: 0..<2)
    #expect(batch.numbers?.floats == [-1, 1])
    #expect(batch.lists["seen"]?.entries.scalars(as: Int32.self) == [3, 4])
    let later = try FeatureTable.delimited(
      file, columns: columns, schema: table.schema, options: options
    ).table
    #expect(later.schema == table.schema)
  }
}
