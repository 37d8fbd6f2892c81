import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

/// Files as people have them the first time: exports of other programs, with names and faults of their own.
@Suite struct FirstFilesTests {
  /// Who borrowed what, with columns of unknown names: forty lines.
  private static let loans = (0..<40).map { "m\($0 % 7),V-\($0 % 11),2024-0\(1 + $0 % 9)-1\($0 % 10)" }
  private static let head = "member,volume_no,when_borrowed"
  private static let volumes =
    "volume_no,heading,writer\n" + (0..<11).map { "V-\($0),\"Part \($0), a tale\",Ann\n" }.joined()

  private func read(
    _ interactions: String, _ items: String? = nil, columns: ColumnChoices = ColumnChoices(),
    onBadLine: BadLinePolicy = .fail
  ) throws -> Dataset {
    let folder = try TemporaryFolder()
    return try Dataset(
      contentsOf: folder.write(interactions, to: "loans.csv"),
      items: items.map { try folder.write($0, to: "volumes.csv") }, columns: columns,
      options: ReadOptions(onBadLine: onBadLine))
  }

  private func table(_ lines: [String], head: String = Self.head) -> String {
    ([head] + lines).joined(separator: "\n") + "\n"
  }

  private func message(_ body: () throws -> Dataset) -> String {
    do {
      _ = try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test func oneBrokenDateIsABrokenLineAndDoesNotCostTheColumn() throws {
    let text = table(Self.loans + ["m1,V-2,yesterday"])
    let error = message { try read(text) }
    #expect(error.contains("loans.csv:42:8: expected a time in seconds, or a date"), "\(error)")
    let data = try read(text, onBadLine: .skip)
    #expect(data.interactions.timestamps?.count == 40 && data.report?.skipped == 1)
    let finding = data.report?.findings.first ?? ""
    #expect(finding.contains(#"time = "when_borrowed" (dates)"#), "\(finding)")
  }

  @Test func millisecondsStayMillisecondsBesideABrokenLine() throws {
    let lines = Self.loans.map {
      $0.split(separator: ",").prefix(2).joined(separator: ",") + ",1715904000123"
    }
    let text = table(lines + ["m1,V-2,never"], head: "member,volume_no,timestamp")
    let data = try read(text, onBadLine: .skip)
    #expect(data.interactions.timestamps?.first == 1_715_904_000)
    #expect(data.report?.findings.first?.contains("(milliseconds)") == true)
  }

  @Test func oneHugeNumberDoesNotCostAColumnOfTimes() throws {
    let lines = (0..<200).map { "m\($0 % 7),V-\($0 % 11),\(1_700_000_000 + $0)" }
    let error = message { try read(table(lines + ["m1,V-2,99999999999999999999999"])) }
    #expect(error.contains("loans.csv:202:8: expected a time"), "\(error)")
  }

  @Test func spacesBehindSeparatorsBelongToNoField() throws {
    let spaced = table(Self.loans, head: Self.head).replacing(",", with: ", ")
    let items = Self.volumes.replacing(/,(?=["A-Zhw])/, with: " , ")
    let data = try read(spaced, items)
    #expect(data.interactions.timestamps?.count == 40 && data.userIDs.ids.first == "m0")
    #expect(data.itemIDs.ids.sorted() == (0..<11).map { "V-\($0)" }.sorted())
    #expect(data.items.titles.contains("Part 3, a tale"), "\(data.items.titles)")
    // Spaces inside a field stay, and so do those of a file that has them here and there.
    let names = try read("user,item\nann lee, b\nbob,c\nann lee,c\n")
    #expect(names.userIDs.ids == ["ann lee", "bob"] && names.itemIDs.ids == [" b", "c"])
  }

  @Test func windowsTextHasItsQuotationMarks() throws {
    let folder = try TemporaryFolder()
    let bytes =
      Array("item,title\nV-1,".utf8) + [0x93, 0x4B, 0xF6, 0x6E, 0x69, 0x67, 0x94, 0x20, 0x96, 0x20, 0x80]
    let items = try folder.write(bytes + Array("\nV-2,Tee\n".utf8), to: "items.csv")
    let rows = try folder.write("user,item\na,V-1\nb,V-2\n", to: "rows.csv")
    let data = try Dataset(contentsOf: rows, items: items)
    #expect(data.items.titles == ["“König” – €", "Tee"])
    #expect(data.report?.findings.last?.contains("in Windows-1252") == true)
  }

  @Test func itemsOfAnotherCatalogueAreRefusedAndMissingOnesCounted() throws {
    let other = "volume_no,heading\nX-1,One\nX-2,Two\n"
    let error = message { try read(table(Self.loans), other) }
    #expect(
      error.contains("volumes.csv:1:1: expected ids of items as the interactions have them, such as V-0"),
      "\(error)")
    #expect(error.contains("such as X-1"))
    let data = try read(table(Self.loans), other + "V-3,Three\nV-4,Four\n")
    #expect(
      data.report?.findings.last?.hasSuffix("; 9 of the 11 items in the interactions are not in it") == true)
    let whole = try read(table(Self.loans), Self.volumes).report?.findings.last
    #expect(whole?.contains("not in it") == false)
  }

  @Test(arguments: [
    ("member,volume_no,when_borrowed\n", "expected lines of data under the names of the columns, found none"),
    ("member,volume_no\rm1,V-1\rm2,V-2\r", "old Macs"), ("BZh91AY", "a bzip2 archive: unpack it first"),
    ("ARROW1xx", "an Arrow file"), ("a\u{1}\u{2},b\u{3}\nc,d\n", "binary data"),
    ("{\n  \"a\": 1\n}\n", "one JSON document of several lines: write one object a line"),
    ("{\"user\": \"a\", \"item\"\n{\"user\": \"b\"}\n", ":1:21: expected a JSON object"),
    ("{\"user\": 1, \"item\": 2}\n{\"user\": 1, \"item\": }\n", ":2:21: expected a JSON object"),
  ])
  func whatIsNoTableIsCalledByItsName(_ text: String, _ reason: String) {
    let error = message { try read(text) }
    #expect(error.contains(reason), "\(error)")
  }

  @Test func picturesAndOldSpreadsheetsAreNamed() throws {
    let folder = try TemporaryFolder()
    for (bytes, name) in [
      ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A], "a picture (PNG)"),
      ([0xD0, 0xCF, 0x11, 0xE0, 0xA1], "an old document of Microsoft Office: save it as CSV"),
    ] as [([UInt8], String)] {
      let file = try folder.write(bytes, to: "x.csv")
      #expect(message { try Dataset(contentsOf: file) }.contains(name))
    }
  }

  @Test func oneColumnIsNotTwoThings() {
    var columns = ColumnChoices(user: "member", item: "member")
    #expect(message { try read(table(Self.loans), columns: columns) }.contains("not member twice"))
    columns = ColumnChoices(user: nil, item: "volume_no")
    columns.time = "volume_no"
    #expect(message { try read(table(Self.loans), columns: columns) }.contains("not volume_no twice"))
  }

  @Test func anEmptyTitleNamesNoItem() throws {
    let catalogue = Catalogue(try read(table(Self.loans), Self.volumes))
    for text in ["", "  "] {
      #expect(throws: ServingError.self) { try catalogue.item(titled: text) }
    }
    #expect(try catalogue.titles[catalogue.item(titled: "part 3")] == "Part 3, a tale")
  }
}
