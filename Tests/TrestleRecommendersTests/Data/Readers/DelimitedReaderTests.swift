import Foundation
import Synchronization
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct DelimitedReaderTests {
  static let rows = "who,what,stars,at\nann,b1,5,10\n\"bob, jr.\",\"b\"\"2\"\"\",4.5,20\nann,\"b\n3\",1,30\n"
  static let items =
    "what,name,kinds,year,about\nb1,\"A, B\",x|y,1999,\"Two\nlines\"\n\"b\"\"2\"\"\",Zwölf,,n/a,\nb9,Unseen,y,2001,text\n"

  static var columns: DelimitedColumns {
    DelimitedColumns(
      user: "who", item: "what", rating: "stars", timestamp: "at", title: "name", genres: "kinds",
      year: "year", text: "about")
  }

  private func read(_ text: String, options: ReadOptions = .init()) throws -> Dataset {
    let folder = try TemporaryFolder(inMemory: true)
    return try Dataset.delimited(
      try folder.write(text, to: "rows.csv"), columns: Self.columns, options: options)
  }

  @Test func readsQuotedFieldsWithSeparatorsQuotesAndLineEnds() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let data = try Dataset.delimited(
      try folder.write(Self.rows, to: "rows.csv"), items: try folder.write(Self.items, to: "items.csv"),
      users: try folder.write("who,age\nann,7\n", to: "users.csv"), columns: Self.columns)
    #expect(data.name == "rows")
    #expect(data.userIDs.ids == ["ann", "bob, jr."])
    #expect(data.itemIDs.ids == ["b1", "b\"2\"", "b\n3", "b9"])
    #expect(data.interactions.items == [0, 1, 2])
    #expect(data.interactions.ratings == [5, 4.5, 1])
    #expect(data.items.titles == ["A, B", "Zwölf", "", "Unseen"])
    #expect(data.items.genres == [["x", "y"], [], [], ["y"]])
    #expect(data.items.years == [1999, nil, nil, 2001])
    #expect(data.items.texts[0] == "Two\nlines")
    #expect(data.userTexts == ["age 7", ""])
  }

  @Test func tabsSeparateInTSV() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let columns = DelimitedColumns(user: "u", item: "i")
    #expect(columns.genreSeparator == "|" && columns.title == nil && DelimitedColumns().user == "user_id")
    let data = try Dataset.delimited(try folder.write("i\tu\n1\ta,b\n", to: "rows.tsv"), columns: columns)
    #expect(data.userIDs.ids == ["a,b"])
  }

  @Test(arguments: [
    ("", 1, 1), ("who,what,stars,at\nann,b1,5\n", 2, 9), ("who,what,stars,at\nann,b1,5,1,2\n", 2, 12),
    ("who,what,stars,at\n\"ann,b1,5,1\n", 2, 1), ("who,what,stars,at\n\"ann\"x,b1,5,1\n", 2, 6),
    ("who,what,stars,at\nann,b1,,1\n", 2, 8), ("who,what,stars,at\n\nann,b1,1e999,1\n", 3, 8),
    ("who,what,stars,at\n\"a\nb\",b1,2,1\nann,b1,x,1\n", 4, 8), ("who,who\n", 1, 5), ("who,\n", 1, 5),
    ("who,what,stars,at\n,b1,5,1\n", 2, 1), ("who,what,stars,at\nann,b1,5,later\n", 2, 10),
  ])
  func malformedFilesThrowWithTheirPlace(text: String, line: Int, column: Int) {
    do {
      _ = try read(text)
      Issue.record("expected an error")
    } catch DataError.malformed(_, let foundLine, let foundColumn, _, _) {
      #expect(foundLine == line && foundColumn == column)
    } catch {
      Issue.record("expected a place, found \(error)")
    }
  }

  @Test func aMissingColumnIsNamed() {
    #expect(throws: DataError.self) { try read("who,what,stars\n") }
  }

  @Test func progressReachesTheEndOfALargeFile() throws {
    let folder = try TemporaryFolder(inMemory: true)
    var text = "who,what,stars,at\n"
    for row in 0..<400_000 { text += "user\(row % 1000),item\(row % 777),\(row % 5),\(row)\n" }
    let file = try folder.write(text, to: "rows.csv")
    let seen = Progress()
    let data = try Dataset.delimited(
      file, columns: Self.columns, options: ReadOptions(progress: { seen.record($0) }))
    #expect(data.interactions.count == 400_000)
    #expect(data.userCount == 1000 && data.itemCount == 777)
    #expect(data.interactions.timestamps?.last == 399_999)
    #expect(seen.last?.bytesRead == text.utf8.count && seen.last?.totalBytes == text.utf8.count)
    #expect(seen.count > 1)
  }

  @Test func threeThousandMutationsReadOrThrow() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let rows = try folder.write(Self.rows, to: "rows.csv")
    let items = folder.url.appending(path: "items.csv")
    let outcome = try Mutations.run(Array(Self.rows.utf8), seed: 21) { bytes in
      try folder.write(bytes, to: rows.lastPathComponent)
      _ = try Dataset.delimited(rows, columns: Self.columns)
    }
    #expect(outcome.threw > 500 && outcome.read > 200)
    try folder.write(Self.rows, to: "rows.csv")
    let second = try Mutations.run(Array(Self.items.utf8), seed: 22) { bytes in
      try folder.write(bytes, to: items.lastPathComponent)
      _ = try Dataset.delimited(rows, items: items, columns: Self.columns)
    }
    #expect(second.threw > 500 && second.read > 200)
  }
}

/// Counts a reader's progress calls.
private final class Progress: Sendable {
  private let state = Mutex<(last: ReadProgress?, count: Int)>((nil, 0))
  var last: ReadProgress? { state.withLock { $0.last } }
  var count: Int { state.withLock { $0.count } }
  func record(_ progress: ReadProgress) {
    state.withLock {
      $0.last = progress
      $0.count += 1
    }
  }
}
