import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct RecBoleReaderTests {
  static let inter =
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti1\t4\t100\nu2\ti1\t3.5\t101.9\r\nu1\ti9\t-1e1\t99"
  static let item =
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    + "i1\tMisérables, Les\t1995\tDrama Musical\ni7\tNever Seen\t\t\n"
  static let user = "user_id:token\tage:token\tzip_code:token\nu2\t24\t\nu3\t53\t94043\n"

  private func read(
    inter: some Sequence<UInt8> = inter.utf8, item: some Sequence<UInt8> = item.utf8,
    options: ReadOptions = .init()
  ) throws -> Dataset {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(inter, to: "tiny.inter")
    try folder.write(item, to: "tiny.item")
    try folder.write(Self.user, to: "tiny.user")
    return try Dataset.recBole(at: folder.url, name: "tiny", options: options)
  }

  private func error(inter: String = inter, item: String = item) -> DataError? {
    do {
      _ = try read(inter: inter.utf8, item: item.utf8)
      return nil
    } catch {
      return error as? DataError
    }
  }

  @Test func readsColumnsAndAttributes() throws {
    let data = try read()
    #expect(data.interactions.users == [0, 1, 0])
    #expect(data.interactions.items == [0, 0, 1])
    #expect(data.interactions.ratings == [4, 3.5, -10])
    #expect(data.interactions.timestamps == [100, 101, 99])
    #expect(data.userIDs.ids == ["u1", "u2", "u3"])
    #expect(data.itemIDs.ids == ["i1", "i9", "i7"])
    #expect(data.items.summary(of: 0) == "Misérables, Les (1995), Drama, Musical")
    #expect(data.items.titles == ["Misérables, Les", "", "Never Seen"])
    #expect(data.items.years == [1995, nil, nil])
    #expect(data.userTexts == ["", "age 24", "age 53, zip code 94043"])
    #expect(data.report?.lines == 7 && data.report?.skipped == 0)
  }

  @Test func readsWhoMadeAnItem() throws {
    let item = "item_id:token\ttitle:token_seq\tauthor:token_seq\ni1\tEmma\tJane Austen\n"
    #expect(try read(item: item.utf8).items.creators == ["Jane Austen", ""])
  }

  @Test func acceptsAByteOrderMarkBlankLinesAndNoOptionalColumns() throws {
    let data = try read(inter: "\u{FEFF}item_id:token\tuser_id:token\n\ni1\tu1\n\n\r\ni2\tu1\n".utf8)
    #expect(data.interactions.count == 2)
    #expect(data.interactions.ratings == nil)
    #expect(data.interactions.timestamps == nil)
  }

  @Test func aHeaderAloneIsAnEmptyDataset() throws {
    let data = try read(inter: "user_id:token\titem_id:token\n".utf8)
    #expect(data.interactions.isEmpty)
    #expect(data.userCount == 2 && data.itemCount == 2)
    #expect(data.interactions.density == 0)
  }

  @Test func namesFileLineColumnExpectedAndFound() throws {
    guard
      case .malformed(let path, let line, let column, let expected, let found) = error(
        inter: "user_id:token\titem_id:token\trating:float\nu1\ti1\t3\nu1\ti22\tfour\n")
    else {
      Issue.record("expected a malformed line")
      return
    }
    #expect(path.hasSuffix("tiny.inter"))
    #expect(line == 3 && column == 8)
    #expect(expected == "a number (rating)")
    #expect(found == "\"four\"")
  }

  @Test(arguments: [
    "", "\n", "user_id\titem_id\n", "user_id:token\titem_id:words\n", "user_id:token\tuser_id:token\n",
    "user_id:token\trating:float\n", "user_id:token\titem_id:token\trating:token\nu\ti\t3\n",
    "user_id:token\titem_id:token\nu1\n", "user_id:token\titem_id:token\nu1\ti1\t3\n",
    "user_id:token\titem_id:token\n\ti1\n", "user_id:token\titem_id:token\nu1\t\n",
    "user_id:token\titem_id:token\trating:float\nu1\ti1\tnan\n",
    "user_id:token\titem_id:token\trating:float\nu1\ti1\t\n",
    "user_id:token\titem_id:token\trating:float\nu1\ti1\t1e39\n",
    "user_id:token\titem_id:token\trating:float\nu1\ti1\t0x10\n",
    "user_id:token\titem_id:token\ttimestamp:float\nu1\ti1\t1e30\n",
  ])
  func throwsForMalformedInteractions(text: String) {
    #expect(error(inter: text) != nil)
  }

  @Test func throwsForAnItemDescribedTwice() {
    #expect(error(item: Self.item + "i1\tAgain\t1990\tDrama\n") != nil)
  }

  @Test func brokenUTF8IsAnErrorAtItsByteUnlessTheEncodingIsGiven() throws {
    let broken = Array("item_id:token\tmovie_title:token_seq\ni1\tMis".utf8) + [0xE9] + Array("rables\n".utf8)
    do {
      _ = try read(item: broken)
      Issue.record("expected an error")
    } catch let error as DataError {
      guard case .malformed(_, let line, let column, _, let found) = error else {
        Issue.record("expected a place, found \(error)")
        return
      }
      #expect(line == 2 && column == 7 && found == "the byte 0xe9")
    }
    let latin = try read(item: broken, options: ReadOptions(encoding: .latin1))
    #expect(latin.items.titles[0] == "Misérables")
  }

  @Test func skipsAndReportsBadLinesIfAsked() throws {
    let text = "user_id:token\titem_id:token\trating:float\nu1\ti1\tx\nu2\ti2\t3\nu3\n"
    let data = try read(inter: text.utf8, options: ReadOptions(onBadLine: .skip))
    #expect(data.interactions.count == 1)
    #expect(data.userIDs.ids.contains("u1") == false)
    #expect(data.report?.skipped == 2)
    #expect(data.report?.examples.count == 2)
  }

  @Test func missingFilesAndFoldersThrow() throws {
    let folder = try TemporaryFolder(inMemory: true)
    #expect(throws: DataError.self) { try Dataset.recBole(at: folder.url, name: "none") }
    try FileManager.default.createDirectory(
      at: folder.url.appending(path: "dir.inter"), withIntermediateDirectories: true)
    #expect(throws: DataError.self) { try Dataset.recBole(at: folder.url, name: "dir") }
  }

  @Test func threeThousandMutationsReadOrThrow() throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(Self.item, to: "tiny.item")
    try folder.write(Self.user, to: "tiny.user")
    let outcome = try Mutations.run(Array(Self.inter.utf8), seed: 11) { bytes in
      try folder.write(bytes, to: "tiny.inter")
      _ = try Dataset.recBole(at: folder.url, name: "tiny")
    }
    #expect(outcome.threw > 500 && outcome.read > 200)
    try folder.write(Self.inter, to: "tiny.inter")
    let items = try Mutations.run(Array(Self.item.utf8), seed: 12) { bytes in
      try folder.write(bytes, to: "tiny.item")
      _ = try Dataset.recBole(at: folder.url, name: "tiny")
    }
    #expect(items.threw > 500 && items.read > 200)
  }

  @Test(.enabled(if: TestAssets.movieLens100K != nil))
  func readsMovieLens100K() throws {
    let folder = try #require(TestAssets.movieLens100K)
    let data = try Dataset.recBole(at: folder)
    #expect(data.name == "ml-100k")
    #expect(data.interactions.count == 100_000)
    #expect(data.userCount == 943 && data.itemCount == 1682)
    let item = try #require(data.itemIDs.index(of: "543"))
    #expect(data.items.summary(of: item) == "Misérables, Les (1995), Drama, Musical")
    let user = try #require(data.userIDs.index(of: "1"))
    #expect(data.userTexts[user] == "age 24, gender M, occupation technician, zip code 85711")
    let ratings = try #require(data.interactions.ratings)
    #expect(abs(ratings.reduce(0, +) / 100_000 - 3.52986) < 1e-4)
  }
}
