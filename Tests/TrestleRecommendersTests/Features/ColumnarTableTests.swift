import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Tables of clicks from columnar files (Tests/Fixtures/formats/columns).
@Suite struct ColumnarTableTests {
  private static let folder = TestAssets.fixtures.appending(path: "formats/columns")

  private func read(
    _ name: String, schema: FeatureSchema? = nil, _ change: (inout FeatureColumns) -> Void = { _ in }
  ) throws -> FeatureTable {
    var columns = FeatureColumns()
    (columns.label, columns.user) = ("click", "user")
    (columns.numbers, columns.categories) = (["age", "adult"], ["film", "user"])
    change(&columns)
    return try FeatureTable.columnar(Self.folder.appending(path: name), columns: columns, schema: schema)
  }

  @Test(arguments: ["clicks.arrow", "clicks.npz", "records.npy"])
  func filesOfAllKindsGiveTheSameTable(_ name: String) throws {
    let table = try read(name)
    #expect(table.labels == [true, false, true, false, true] && table.users == [0, 1, 0, 2, 1])
    #expect(table.schema.vocabularies["film"]?.ids == ["Emma", "Ran", "Ikiru"])
    let batch = try table.batch(rows: 0..<5)
    // An absent category is an unknown one.
    #expect(batch.categories["film"]?.scalars(as: Int32.self) == [1, 0, 2, 3, 1])
    #expect(try table.hash == read("clicks.npz").hash)
    #expect(try read(name, schema: table.schema).hash == table.hash)
  }

  @Test func listsAndNumbersAsIds() throws {
    let table = try read("clicks.arrow") { columns in
      columns.categories = ["film", "shop", "adult"]
      columns.numbers = ["age"]
      columns.lists = ["seen"]
      columns.vocabularies = ["seen": "film"]
    }
    let batch = try table.batch(rows: 0..<5)
    #expect(table.schema.vocabularies["shop"]?.ids == ["7", "9"])
    #expect(table.schema.vocabularies["adult"]?.ids == ["true", "false"])
    #expect(batch.categories["shop"]?.scalars(as: Int32.self) == [1, 1, 2, 0, 2])
    let seen = try #require(batch.lists["seen"])
    #expect(seen.offsets.scalars(as: Int32.self) == [0, 2, 2, 2, 4])
    #expect(seen.entries.scalars(as: Int32.self) == [2, 3, 1, 0, 2])
  }

  @Test func whatDoesNotFitIsSaidInOneLine() throws {
    func message(_ change: (inout FeatureColumns) -> Void) -> String {
      do { _ = try read("clicks.arrow", change) } catch { return "\(error)" }
      return "no error"
    }
    #expect(
      message { $0.numbers = ["height"] }.contains("expected the column height, found the columns click"))
    #expect(
      message { $0.numbers = ["film"] }.hasSuffix("column film: expected a number in row 1, found none"))
    #expect(message { $0.numbers = ["user"] }.hasSuffix("column user: expected numbers, found texts"))
    #expect(
      message { $0.numbers = ["shop"] }.hasSuffix("column shop: expected a number in row 3, found none"))
    #expect(message { $0.label = "age" }.hasSuffix("expected a label, 0 or 1, in row 0, found 24.5"))
    #expect(
      message { $0.categories = ["age"] }
        .hasSuffix("column age: expected texts, whole numbers or truth values, found numbers"))
    #expect(message { $0.lists = ["film"] }.hasSuffix("column film: expected lists, found texts"))
    #expect(message { $0.categories = ["seen"] }.contains("found lists of texts"))
  }
}
