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
