import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

import TrestleRecommenders

/// Data from outside costs in proportion to its size, and no line is lost unseen.
@Suite(.serialized) struct OutsideDataTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder(inMemory: true) }

  private func file(_ name: String, _ text: String) throws -> URL {
    let url = folder.url.appending(path: name)
    try Data(text.utf8).write(to: url)
    return url
  }

  // MARK: Growth

  /// Ids whose FNV-1a hashes share their low bits, as the former table had them.
  private func collidingIDs(_ count: Int) -> [String] {
    var ids: [String] = []
    var value: UInt64 = 0
    while ids.count < count {
      value += 1
      let id = "i\(String(value, radix: 36))"
      var hash: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in id.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
      hash = (hash ^ (hash >> 32)) &* 0x9E37_79B9_7F4A_7C15
      if (hash ^ (hash >> 29)) & 0x3F == 0 { ids.append(id) }
    }
    return ids
  }

  @Test func noIDsCollide() throws {
    let ratio = try growth(from: 4_000, rounds: 3, prepare: collidingIDs) { ids in
      #expect(IDMap(ids).count == ids.count)
    }
    #expect(ratio < 9, "\(ratio)")
  }

  @Test func headersAreLinearInTheirColumns() throws {
    let ratio = try growth(from: 2_000, rounds: 3) { count in
      (
        try file(
          "c\(count).csv", "user_id,item_id," + (0..<count).map { "c\($0)" }.joined(separator: ",") + "\n"),
        try file(
          "c\(count).inter",
          "user_id:token\titem_id:token\t" + (0..<count).map { "c\($0):token" }.joined(separator: "\t") + "\n"
        )
      )
    } run: { csv, atomic in
      _ = try Dataset.delimited(csv, columns: DelimitedColumns())
      _ = try Dataset.recBole(at: folder.url, name: atomic.deletingPathExtension().lastPathComponent)
    }
    #expect(ratio < 9, "\(ratio)")
  }

  @Test func titlesOfMarksCostInProportion() throws {
    let ratio = try growth(from: 8_000, rounds: 3) { count in
      let marks = String(repeating: "\u{301}\u{316}", count: count / 2)
      _ = try file("t\(count).inter", "user_id:token\titem_id:token\n1\ta\n")
      _ = try file(
        "t\(count).item", "item_id:token\tmovie_title:token_seq\tclass:token_seq\na\tx\(marks)\ty\(marks) z\n"
      )
      return "t\(count)"
    } run: { name in
      let data = try Dataset.recBole(at: folder.url, name: name)
      #expect(data.items.genres[0].count == 2 && data.items.titles[0] != data.items.genres[0][0])
    }
    #expect(ratio < 9, "\(ratio)")
  }

  /// Lines whose quotes open a record that no line closes, wherever one begins.
  @Test func strayQuotesCostInProportion() throws {
    let ratio = try growth(from: 4_000, rounds: 3) { count in
      try file("q\(count).csv", "user_id,item_id\n" + String(repeating: "z\",\",w\n", count: count))
    } run: { url in
      let report = try Dataset.delimited(
        url, columns: DelimitedColumns(), options: ReadOptions(onBadLine: .skip)
      ).report
      #expect((report?.skipped ?? 0) > 0)
    }
    #expect(ratio < 9, "\(ratio)")
  }

  // MARK: Lost lines

  @Test func aStrayQuoteCostsItsOwnLineAlone() throws {
    var rows = (0..<1000).map { "u\($0),i\($0)" }
    rows.insert("\"stray,i", at: 500)
    let url = try file("stray.csv", "user_id,item_id\n" + rows.joined(separator: "\n") + "\n")
    let data = try Dataset.delimited(url, columns: DelimitedColumns(), options: ReadOptions(onBadLine: .skip))
    #expect(data.interactions.count == 1000)
    #expect(data.report?.skipped == 1)
    guard case .malformed(_, let line, _, _, _) = data.report?.examples.first else {
      Issue.record("no example")
      return
    }
    #expect(line == 502)
  }

  @Test func quotedLineEndsAndDoubledQuotesStay() throws {
    let text = "user_id,item_id\n1,\"a\"\"\nb\"\n2,\"c\nd\"\n\"stray,\n3,\"e\"\n"
    let data = try Dataset.delimited(
      try file("quoted.csv", text), columns: DelimitedColumns(), options: ReadOptions(onBadLine: .skip))
    #expect(data.itemIDs.ids == ["a\"\nb", "c\nd", "e"])
    #expect(data.report?.skipped == 1)
  }

  @Test func whatIsGivenUpIsCounted() throws {
    // When reading again has used up its budget, records are left out whole, and every line of theirs is counted.
    let count = 30_000
    let url = try file("given-up.csv", "user_id,item_id\n" + String(repeating: "z\",\",w\n", count: count))
    let report = try Dataset.delimited(
      url, columns: DelimitedColumns(), options: ReadOptions(onBadLine: .skip)
    ).report
    #expect(report?.skipped == count, "\(String(describing: report?.skipped))")
  }

  // MARK: Pipes and messages

  @Test func pipesAndDevicesAreRefused() throws {
    let pipe = folder.url.appending(path: "p.inter")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    #expect(throws: DataError.unreadable(path: pipe.path, reason: "a special file")) {
      try Dataset.recBole(at: folder.url, name: "p")
    }
    for url in [pipe, URL(filePath: "/dev/zero")] {
      #expect(throws: DataError.self) { try Dataset.delimited(url, columns: DelimitedColumns()) }
      #expect(throws: DataError.self) { try Dataset.amazon(reviews: url) }
      #expect(throws: DataError.self) { try CandidateLists(contentsOf: url, userCount: 1, itemCount: 1) }
    }
  }

  @Test func messagesAreEscaped() throws {
    let url = try file("x.csv", "user_id,item_id,rating\n1,2,\u{1B}[2J\n")
    var columns = DelimitedColumns()
    columns.rating = "rating"
    do {
      _ = try Dataset.delimited(url, columns: columns)
      Issue.record("no error")
    } catch {
      #expect("\(error)".hasSuffix(#"found "\u{1B}[2J""#), "\(error)")
    }
  }

  @Test func yearsAreReadByBytes() throws {
    let titles = [
      "Toy Story (1995)", "x (1995) ", "(1995)", "x (+199)", "x (199)", "x\u{301}(1995)", "",
      "x (19\u{661}5)",
    ]
    let rows = titles.enumerated().map { "\($0)::\($1)::Drama\n" }.joined()
    let place = folder.url.appending(path: "ml-1m")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    try Data("1::0::5::1\n".utf8).write(to: place.appending(path: "ratings.dat"))
    try Data(rows.utf8).write(to: place.appending(path: "movies.dat"))
    let items = try Dataset.movieLens(at: place).items
    #expect(items.titles == ["Toy Story", "x", "", "x (+199)", "x (199)", "x\u{301}", "", "x (19\u{661}5)"])
    #expect(items.years == [1995, 1995, 1995, nil, nil, 1995, nil, nil])
  }
}
