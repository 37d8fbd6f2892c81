import Foundation
import Testing
import TrestleTestSupport
import TrestleRecommenders
import TrestleTensor

/// Files told apart by their content, and columns that are guessed.
@Suite struct DetectionTests {
  static let loans =
    "when;reader;isbn;stars\n2024-05-17;ann;b1;5\n2024-05-18 10:00:00;bob;b2;3\n1970-01-02;ann;b2;4\n"
  static let books =
    "isbn,title,author,publisher,cover,pages\nb1,Emma,Jane Austen,Murray,http://x/1.png,300\n"
    + "b2,\"Heart, of\",Joseph Conrad,Dent,http://x/2.png,120\n"

  private func read(
    _ interactions: String, _ items: String? = nil, users: String? = nil, _ columns: ColumnChoices = .init(),
    options: ReadOptions = .init()
  ) throws -> Dataset {
    let folder = try TemporaryFolder(inMemory: true)
    return try Dataset(
      contentsOf: folder.write(interactions, to: "loans.dat"),
      items: items.map { try folder.write($0, to: "books.txt") },
      users: users.map { try folder.write($0, to: "people.x") }, columns: columns, options: options)
  }

  private func message(_ body: () throws -> Dataset) -> String {
    do {
      _ = try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test func readsFilesWithNamesOfTheirOwnAndSaysWhatItTookForWhat() throws {
    let data = try read(Self.loans, Self.books, users: "reader\tage\nbob\t40\ncid\t\n")
    #expect(data.userIDs.ids == ["ann", "bob", "cid"] && data.itemIDs.ids == ["b1", "b2"])
    #expect(data.interactions.timestamps == [1_715_904_000, 1_716_026_400, 86_400])
    #expect(data.interactions.ratings == [5, 3, 4])
    #expect(
      data.items.titles == ["Emma", "Heart, of"] && data.items.creators == ["Jane Austen", "Joseph Conrad"])
    #expect(data.items.details == [ItemDetail(name: "publisher", values: ["Murray", "Dent"])])
    #expect(data.userTexts == ["", "age 40", ""])
    let findings = try #require(data.report?.findings)
    #expect(findings.count == 3)
    #expect(findings[0].contains(#"user = "reader", item = "isbn", rating = "stars", time = "when" (dates)"#))
    #expect(findings[1].contains(#"text = "title" + "author" + "publisher"; left out: "cover", "pages""#))
  }

  @Test func columnsOfUnknownNamesAreFoundByWhatTheFilesShare() throws {
    let data = try read("who,what,n\nx,7,0.5\ny,8,1.5\nx,8,2.5\n", "nr,label\n7,Seven\n8,Eight\n9,Nine\n")
    #expect(data.userIDs.ids == ["x", "y"] && data.itemIDs.ids == ["7", "8", "9"])
    #expect(data.items.titles == ["Seven", "Eight", "Nine"] && data.interactions.ratings == nil)
  }

  @Test func namedColumnsWinAndMissingOnesAreSaid() throws {
    var columns = ColumnChoices(user: "what", item: "who")
    #expect(try read("who,what\nx,7\ny,8\n", nil, columns).userIDs.ids == ["7", "8"])
    columns.user = "readr"
    let text = message { try read(Self.loans, nil, columns) }
    #expect(text.contains("expected a column readr") && text.contains("when, reader, isbn, stars"), "\(text)")
  }

  @Test func jsonLinesWithTimesInMilliseconds() throws {
    let data = try read(
      #"{"customer": "a", "product": 7, "ts": 1715904000123, "extra": {"x": 1}}"# + "\n"
        + #"{"customer": "b", "product": 8, "ts": 1715904001000}"#,
      #"{"product": 7, "name": "Seven", "tags": ["x", "y"]}"# + "\n"
        + #"{"product": 8, "name": "Eight", "tags": null}"#)
    #expect(
      data.interactions.timestamps == [1_715_904_000, 1_715_904_001] && data.itemIDs.ids == ["7", "8"])
    #expect(data.items.titles == ["Seven", "Eight"] && data.items.genres == [["x", "y"], []])
  }

  @Test func nativeFilesAreKnownByTheirForm() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let ratings = try folder.write("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", to: "any.txt")
    let data = try Dataset(contentsOf: ratings)
    #expect(
      data.interactions.ratings == [3, 3] && data.interactions.timestamps == [881_250_949, 891_717_742])
    #expect(data.report?.findings.first?.contains("MovieLens 100K") == true)
    let large = try folder.write("1::1193::5::978300760\n2::661::3.5::978302109\n", to: "r.txt")
    #expect(try Dataset(contentsOf: large).interactions.ratings == [5, 3.5])
    let atomic = try folder.write("user_id:token\titem_id:token\n1\t2\n", to: "a.inter")
    #expect(try Dataset(contentsOf: atomic).report?.findings == ["a.inter: RecBole's atomic file"])
    #expect(try Dataset(contentsOf: folder.url).interactions.count == 1)
  }

  @Test func latin1IsReadAsSuch() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let items = try folder.write(
      Array("item,title\n1,Caf".utf8) + [0xE9] + Array("\n2,Tee\n".utf8), to: "items.csv")
    let rows = try folder.write("user,item\na,1\nb,2\n", to: "rows.csv")
    #expect(try Dataset(contentsOf: rows, items: items).items.titles == ["Café", "Tee"])
  }

  @Test(arguments: [
    ("PK\u{3}\u{4}xx", "spreadsheet"), ("\u{1F}\u{8B}", "binary data"), ("[{\"a\": 1}]", "a JSON array"),
    ("<html></html>", "markup"), ("GGUF\u{3}", "a GGUF model"), ("", "an empty file"),
    ("\n \n", "an empty file"),
    ("user,item,user\na,b,c\n", "column names"), ("{\"a\": 1}\n{", "a JSON object"),
    ("alone\nx\ny\n", "a column of users"),
  ])
  func filesOfAnotherKindAreRefusedWithTheReason(_ text: String, _ reason: String) {
    if text.hasPrefix("\u{1F}") { return }
    #expect(message { try read(text) }.contains(reason))
  }

  @Test func brokenLinesHaveAPlaceAndCanBeLeftOut() throws {
    let text = "user,item,rating\na,x,1\nb,y\nc,z,many\n,w,2\n"
    #expect(message { try read(text) }.contains("loans.dat:3:4: expected 3 columns"))
    let data = try read(text, options: ReadOptions(onBadLine: .skip))
    #expect(data.interactions.count == 2 && data.report?.skipped == 2, "\(data.report?.examples ?? [])")
  }

  @Test func twoThousandMutationsReadOrThrow() throws {
    var generator = RandomGenerator(seed: 5)
    let folder = try TemporaryFolder(inMemory: true)
    let sources = [
      Array(Self.loans.utf8), Array("{\"user\": \"a\", \"item\": 1}\n{\"user\": \"b\", \"item\": 2}\n".utf8),
    ]
    for round in 0..<2000 {
      var bytes = sources[round % 2]
      for _ in 0..<3 {
        let place = generator.index(below: bytes.count)
        switch generator.index(below: 3) {
        case 0: bytes[place] = UInt8(generator.index(below: 256))
        case 1: bytes.remove(at: place)
        default: bytes.insert(contentsOf: bytes[place...].prefix(9), at: place)
        }
      }
      let file = try folder.write(bytes, to: "m")
      do { _ = try Dataset(contentsOf: file, items: file) } catch { #expect(!error.description.isEmpty) }
    }
  }

  @Test(arguments: [
    ("1970-01-01", 0), ("2000-02-29", 951_782_400), ("1969-12-31T23:59:59Z", -1),
    ("2024-05-17T10:30:00+02:00", 1_715_934_600),
    ("2024-05-17 10:30", 1_715_941_800), ("2024-05-17T10:30:00.25Z", 1_715_941_800),
  ])
  func datesAreSecondsSince1970(_ text: String, _ seconds: Int) {
    #expect(DateParser.seconds(text) == Int64(seconds))
  }

  @Test(arguments: [
    "2023-02-29", "2024-13-01", "2024-5-17", "17.05.2024", "2024-05-17T25:00", "2024-05-17x", "", "2024",
  ])
  func otherTextIsNoDate(_ text: String) { #expect(DateParser.seconds(text) == nil) }

  @Test func aRatingAmongNumbersIsBrokenAndAColumnOfWordsIsLeftOutAndSaid() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let lines = (0..<40).map { "r\($0 % 7),b\($0 % 11),\(1 + $0 % 5),shelf \($0 % 3)" }
    let head = "user,item,rating,place"
    let good = try folder.write(([head] + lines).joined(separator: "\n"), to: "good.csv")
    let finding = try Dataset(contentsOf: good).report?.findings.first ?? ""
    #expect(finding.contains(#"rating = "rating"; left out: "place""#), "\(finding)")
    let file = try folder.write(([head] + lines + ["r1,b2,good,x"]).joined(separator: "\n"), to: "bad.csv")
    do {
      _ = try Dataset(contentsOf: file)
      Issue.record("a rating that is no number was read")
    } catch {
      #expect("\(error)".contains("bad.csv:42:") && "\(error)".contains("a number (rating)"), "\(error)")
    }
    let words = try folder.write(
      ([head] + lines.map { $0.replacing(/,[1-5],/, with: ",good,") }).joined(separator: "\n"),
      to: "words.csv")
    let left = try Dataset(contentsOf: words).report?.findings.first ?? ""
    #expect(left.contains(#"left out: "rating", "place""#), "\(left)")
  }

  @Test func itemsAloneAreRead() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = try folder.write(
      "id;title;author\nn1;Emma;Jane Austen\nn2;Persuasion;Jane Austen\n", to: "new.csv")
    let data = try Dataset(items: file)
    #expect(data.itemIDs.ids == ["n1", "n2"] && data.userCount == 0 && data.items.titles[1] == "Persuasion")
    let nameless = try folder.write("a;b\nEmma;Jane\n", to: "nameless.csv")
    #expect(throws: DataError.self) { try Dataset(items: nameless) }
  }
}
