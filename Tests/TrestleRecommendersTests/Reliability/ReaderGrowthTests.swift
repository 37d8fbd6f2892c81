import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

import TrestleRecommenders

/// Every reader of data takes time in proportion to what it reads, with many short lines or a single long one.
@Suite(.serialized) struct ReaderGrowthTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder(inMemory: true) }

  private func expectLinear(
    _ name: String, from size: Int = 4_000, write: (Int) throws -> URL, read: (URL) throws -> Void
  ) throws {
    let ratio = try growth(from: size, rounds: 3, prepare: write, run: read)
    #expect(ratio < 9, "\(name): \(ratio)")
  }

  private func file(_ name: String, _ text: String) throws -> URL {
    let url = folder.url.appending(path: name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
    return url
  }

  private var skipping: ReadOptions { ReadOptions(onBadLine: .skip) }

  /// Strings of a size in scalars that text functions may be slow with.
  private static let titles: [(name: String, make: @Sendable (Int) -> String)] = [
    ("flags", { String(repeating: "\u{1F1E6}", count: $0) }),
    ("joined emoji", { String(repeating: "\u{1F468}\u{200D}", count: $0 / 2) }),
    ("Hangul letters", { String(repeating: "\u{1100}\u{1161}\u{11A8}", count: $0 / 3) }),
    ("spaces", { String(repeating: " ", count: $0) + "x" }),
    ("brackets", { String(repeating: "(", count: $0) + "1995)" }),
    ("years", { String(repeating: "(1995)", count: $0 / 6) }),
    ("bars", { String(repeating: "a|", count: $0 / 2) }),
    ("backslashes", { String(repeating: #"\\u0041"#, count: $0 / 6) }),
  ]

  @Test func delimitedFilesAreLinear() throws {
    var columns = DelimitedColumns()
    (columns.title, columns.genres) = ("title", "genres")
    for (name, make) in Self.titles {
      try expectLinear(name) {
        _ = try file("r\($0).csv", "user_id,item_id\n1,a\n")
        return try file("r\($0)-items.csv", "item_id,title,genres\na,\(make($0)),\(make($0))\n")
      } read: { items in
        let rows = folder.url.appending(path: items.lastPathComponent.replacing("-items", with: ""))
        _ = try Dataset.delimited(rows, items: items, columns: columns)
      }
    }
    for (name, line) in [("rows", "u%,i%"), ("quoted rows", "\"u%\",\"i%\"\"x\""), ("bad rows", "u%")] {
      try expectLinear(name) { count in
        let rows = (0..<count).map { line.replacing("%", with: "\($0)") }.joined(separator: "\n")
        return try file("l\(count).csv", "user_id,item_id\n1,2\n\(rows)\n")
      } read: {
        _ = try Dataset.delimited($0, columns: DelimitedColumns(), options: skipping)
      }
    }
  }

  @Test func recBoleFilesAreLinear() throws {
    for (name, make) in Self.titles {
      try expectLinear(name) {
        _ = try file("t\($0).inter", "user_id:token\titem_id:token\n1\ta\n")
        return try file(
          "t\($0).item",
          "item_id:token\tmovie_title:token_seq\tclass:token_seq\na\t\(make($0))\t\(make($0))\n")
      } read: {
        _ = try Dataset.recBole(at: folder.url, name: $0.deletingPathExtension().lastPathComponent)
      }
    }
  }

  @Test func movieLensFilesAreLinear() throws {
    for (name, make) in Self.titles {
      try expectLinear(name) {
        _ = try file("\($0)/ml-1m/ratings.dat", "1::0::5::1\n")
        return try file("\($0)/ml-1m/movies.dat", "0::\(make($0))::\(make($0))\n")
      } read: {
        _ = try Dataset.movieLens(at: $0.deletingLastPathComponent())
      }
    }
  }

  @Test func amazonFilesAreLinear() throws {
    for (name, make) in Self.titles {
      try expectLinear(name) {
        try file(
          "a\($0).json",
          "{\"user_id\": \"u\", \"parent_asin\": \"i\", \"rating\": 1, \"timestamp\": 1, \"title\": \"\(make($0))\"}\n"
        )
      } read: {
        _ = try Dataset.amazon(reviews: $0, options: skipping)
      }
    }
    try expectLinear("keys") { count in
      let keys = (0..<count).map { "\"k\($0)\": [1]" }.joined(separator: ",")
      return try file(
        "k\(count).json",
        "{\(keys), \"user_id\": \"u\", \"parent_asin\": \"i\", \"rating\": 1, \"timestamp\": 1}\n")
    } read: {
      _ = try Dataset.amazon(reviews: $0, options: skipping)
    }
  }

  @Test func cachesOfDataSetsAreLinear() throws {
    for (name, make) in Self.titles {
      try expectLinear(name) { count in
        let url = folder.url.appending(path: "\(count).cache")
        try Dataset(
          name: "x", interactions: Interactions(users: [0], items: [0], userCount: 1, itemCount: 1),
          userIDs: IDMap(["u"]), itemIDs: IDMap(["i"]), items: attributes(titles: [make(count)])
        ).saveCache(to: url)
        return url
      } read: {
        _ = try Dataset(cache: $0)
      }
    }
    try expectLinear("rows and ids") { count in
      let url = folder.url.appending(path: "\(count).cache")
      let rows = Interactions(
        users: (0..<Int32(count)).map { $0 }, items: (0..<Int32(count)).map { $0 }, userCount: count,
        itemCount: count)
      try Dataset(
        name: "x", interactions: rows, userIDs: IDMap((0..<count).map { "u\($0)" }),
        itemIDs: IDMap((0..<count).map { "i\($0)" })
      ).saveCache(to: url)
      return url
    } read: {
      _ = try Dataset(cache: $0)
    }
  }

  private func attributes(titles: [String]) -> ItemAttributes {
    var items = ItemAttributes(count: titles.count)
    items.titles = titles
    return items
  }

  @Test func namedSplitsAreLinear() throws {
    let ids: [(name: String, make: (Int) -> [String])] = [
      ("numbered", { size in (0..<size).map { "i\($0)" } }),
      ("of one beginning", { size in (0..<size).map { String(repeating: "a", count: 40) + "\($0)" } }),
      ("one long id", { size in [String(repeating: "\u{1F1E6}", count: size)] }),
    ]
    for (name, make) in ids {
      try expectLinear("ids \(name)", from: 2_000) { size in
        let items = make(size)
        let none = Interactions.empty(userCount: 1, itemCount: items.count)
        let rows = Interactions(
          users: items.map { _ in 0 }, items: (0..<Int32(items.count)).map { $0 }, userCount: 1,
          itemCount: items.count)
        let place = folder.url.appending(path: "split-\(size)")
        try NamedSplit(
          DataSplit(training: rows, validation: none, test: none), userIDs: IDMap(["u"]),
          itemIDs: IDMap(items)
        ).write(to: place)
        return place
      } read: {
        _ = try NamedSplit(contentsOf: $0)
      }
    }
  }

  @Test func labelledSplitsAreLinear() throws {
    let rows: [(name: String, make: (Int) -> String)] = [
      ("rows of one user", { size in (0..<size).map { "u,i\($0 % 2),\($0 % 2)\n" }.joined() }),
      ("rows of many users", { size in (0..<size).map { "u\($0),i\($0 % 2),\($0 % 2)\n" }.joined() }),
    ]
    for (name, make) in rows {
      try expectLinear(name) {
        try labelled($0, "user,item,label\n", make($0))
      } read: {
        _ = try LabelledSplit(contentsOf: $0)
      }
    }
    try expectLinear("a long history") { size in
      let history = [String](repeating: "i0", count: size).joined(separator: " ")
      return try labelled(size, "user,item,label,history\n", "u,i0,1,\(history)\nu,i1,0,\n")
    } read: {
      _ = try LabelledSplit(contentsOf: $0)
    }
  }

  private func labelled(_ size: Int, _ header: String, _ rows: String) throws -> URL {
    let place = "labelled-\(size)"
    _ = try file("\(place)/items.csv", "item,title\ni0,A\ni1,B\n")
    for name in ["train", "valid", "test"] { _ = try file("\(place)/\(name).csv", header + rows) }
    return folder.url.appending(path: place)
  }

  @Test func featureTablesAreLinear() throws {
    var columns = FeatureColumns()
    (columns.label, columns.user, columns.numbers) = ("click", "user", ["age"])
    (columns.categories, columns.lists) = (["film"], ["seen"])
    let header = "click,user,age,film,seen\n"
    let rows: [(name: String, make: (Int) -> String)] = [
      ("rows", { size in (0..<size).map { "1,u\($0),\($0),f\($0),a|b\($0)\n" }.joined() }),
      ("a long list", { "1,u,1,f," + [String](repeating: "a", count: $0).joined(separator: "|") + "\n" }),
      ("a list of many", { "1,u,1,f," + (0..<$0).map { "a\($0)" }.joined(separator: "|") + "\n" }),
      ("a long category", { "1,u,1," + String(repeating: "\u{1F1E6}", count: $0) + ",a\n" }),
      ("separators", { "1,u,1,f," + String(repeating: "|", count: $0) + "\n" }),
    ]
    for (name, make) in rows {
      try expectLinear(name) {
        try file("f\($0).csv", header + make($0))
      } read: {
        _ = try FeatureTable.delimited($0, columns: columns)
      }
    }
  }

  @Test func candidateListsAreLinear() throws {
    try expectLinear("users") { count in
      let lists = [String](repeating: "[1,2,3]", count: count).joined(separator: ",")
      return try file(
        "c\(count).json", "{\"users\":\(Array(0..<count)),\"items\":[\(lists)],\"description\":\"x\"}")
    } read: { url in
      _ = try CandidateLists(contentsOf: url, userCount: 100_000, itemCount: 5)
    }
  }
}
