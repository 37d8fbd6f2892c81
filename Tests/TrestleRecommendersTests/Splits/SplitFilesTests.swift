import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Splits to files and back, in both forms, and files that are no splits.
@Suite struct SplitFilesTests {
  private static func example() throws -> NamedSplit {
    let data = try SyntheticWorld(seed: 4).dataset()
    let rows = data.interactions
    let rated = Interactions(
      users: rows.users, items: rows.items, ratings: rows.users.indices.map { Float($0 % 7) * 0.3 },
      timestamps: rows.timestamps, userCount: rows.userCount, itemCount: rows.itemCount)
    return NamedSplit(try rated.split(.ratio(), seed: 3), userIDs: data.userIDs, itemIDs: data.itemIDs)
  }

  @Test func plainFilesGiveTheSplitItself() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let written = try Self.example()
    try written.write(to: folder.url)
    let read = try NamedSplit(contentsOf: folder.url)
    #expect(read.split.hash == written.split.hash && read.split.strategy == written.split.strategy)
    #expect(read.split.training == written.split.training && read.split.test == written.split.test)
    #expect(read.userIDs == written.userIDs && read.itemIDs == written.itemIDs)
  }

  @Test func recBolesFilesKeepEveryRow() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let written = try Self.example()
    try written.writeRecBole(to: folder.url, name: "world")
    let read = try NamedSplit.recBole(at: folder.url, name: "world")
    // Numbered by appearance: compared by id.
    func rows(_ split: NamedSplit, _ part: Interactions) -> [String] {
      (0..<part.count).map {
        "\(split.userIDs[Int(part.users[$0])]) \(split.itemIDs[Int(part.items[$0])]) "
          + "\(part.ratings?[$0] ?? -1) \(part.timestamps?[$0] ?? -1)"
      }
    }
    #expect(rows(read, read.split.training) == rows(written, written.split.training))
    #expect(rows(read, read.split.validation) == rows(written, written.split.validation))
    #expect(rows(read, read.split.test) == rows(written, written.split.test))
    let header = try String(contentsOf: folder.url.appending(path: "world.valid.inter"), encoding: .utf8)
      .prefix { $0 != "\n" }
    #expect(
      header
        == (written.split.training.timestamps == nil
          ? "user_id:token\titem_id:token\trating:float"
          : "user_id:token\titem_id:token\trating:float\ttimestamp:float"))
    let data = Dataset(
      name: "world", interactions: written.split.training, userIDs: written.userIDs, itemIDs: written.itemIDs)
    let again = try NamedSplit.recBole(at: folder.url, name: "world", vocabulary: data)
    #expect(again.split.hash == written.split.hash)
  }

  /// A part that cannot be replaced leaves all three parts as they were.
  @Test func recBolesPartsOfTwoSplitsAreNeverTogether() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let data = try SyntheticWorld(seed: 4).dataset()
    func split(_ seed: UInt64) throws -> NamedSplit {
      NamedSplit(
        try data.interactions.split(.ratio(), seed: seed), userIDs: data.userIDs, itemIDs: data.itemIDs)
    }
    let train = folder.url.appending(path: "world.train.inter")
    let valid = folder.url.appending(path: "world.valid.inter")
    try split(1).writeRecBole(to: folder.url, name: "world")
    let first = try Data(contentsOf: train)
    try FileManager.default.removeItem(at: valid)
    try FileManager.default.createDirectory(at: valid, withIntermediateDirectories: false)
    #expect(throws: FormatError.self) { try split(2).writeRecBole(to: folder.url, name: "world") }
    #expect(try Data(contentsOf: train) == first)
    try FileManager.default.removeItem(at: valid)
    try split(2).writeRecBole(to: folder.url, name: "world")
    #expect(try Data(contentsOf: train) != first)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
    #expect(names == ["world.test.inter", "world.train.inter", "world.valid.inter"])
  }

  @Test func emptyPartsKeepTheirColumns() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let none = Interactions(users: [], items: [], ratings: [], timestamps: [], userCount: 2, itemCount: 1)
    let training = Interactions(
      users: [1], items: [0], ratings: [0.1], timestamps: [-5], userCount: 2, itemCount: 1)
    let written = NamedSplit(
      DataSplit(training: training, validation: none, test: none), userIDs: IDMap(["a", "ü b"]),
      itemIDs: IDMap(["x"]))
    try written.write(to: folder.url)
    #expect(try NamedSplit(contentsOf: folder.url).split.hash == written.split.hash)
  }

  @Test(arguments: ["", "a\tb", "a\nb", "a\r"]) func idsThatAFileCannotHoldAreRefused(_ id: String) throws {
    let folder = try TemporaryFolder(inMemory: true)
    let none = Interactions.empty(userCount: 1, itemCount: 1)
    let split = NamedSplit(
      DataSplit(training: none, validation: none, test: none), userIDs: IDMap([id]), itemIDs: IDMap(["x"]))
    #expect(throws: DataError.self) { try split.write(to: folder.url) }
    #expect(throws: DataError.self) { try split.writeRecBole(to: folder.url) }
  }

  @Test func otherFilesAreRefusedWithTheirPlace() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let written = try Self.example()
    try written.write(to: folder.url)
    let file = folder.url.appending(path: "test.tsv")
    let whole = try String(contentsOf: file, encoding: .utf8)
    let header = String(whole.prefix { $0 != "\n" })
    let body = whole.dropFirst(header.count + 1)
    func refusal(_ text: String) throws -> DataError? {
      try Data(text.utf8).write(to: file)
      do throws(DataError) {
        _ = try NamedSplit(contentsOf: folder.url)
        return nil
      } catch { return error }
    }
    #expect(try refusal(whole) == nil)
    // A row is missing: the hash tells.
    let shorter = header + "\n" + body.drop { $0 != "\n" }.dropFirst()
    guard case .malformed(let path, _, _, _, let found)? = try refusal(shorter) else {
      Issue.record("a missing row was not noticed")
      return
    }
    #expect(path.hasSuffix("split.json") && found == written.split.hash)
    guard
      case .malformed(_, 2, 1, _, "\"nobody\"")? = try refusal(header + "\nnobody" + body.drop { $0 != "\t" })
    else {
      Issue.record("an unknown user was not noticed")
      return
    }
    #expect(try refusal("") != nil && refusal("user_id\n1\n") != nil && refusal(header + "\n\t\t\t\n") != nil)
    try FileManager.default.removeItem(at: file)
    #expect(throws: DataError.self) { try NamedSplit(contentsOf: folder.url) }
  }

  @Test func changedBytesNeverTrap() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let none = Interactions.empty(userCount: 3, itemCount: 3)
    let rows = Interactions(users: [0, 1, 2], items: [2, 1, 0], userCount: 3, itemCount: 3)
    let split = NamedSplit(
      DataSplit(training: rows, validation: none, test: none), userIDs: IDMap(numbered: 3),
      itemIDs: IDMap(numbered: 3))
    try split.write(to: folder.url)
    var generator = RandomGenerator(seed: 8)
    for name in ["train.tsv", "users.txt", "split.json"] {
      let file = folder.url.appending(path: name)
      let bytes = [UInt8](try Data(contentsOf: file))
      for _ in 0..<200 {
        var changed = bytes
        for _ in 0...generator.index(below: 3) {
          changed[generator.index(below: changed.count)] = UInt8(generator.index(below: 256))
        }
        try Data(changed).write(to: file)
        if let read = try? NamedSplit(contentsOf: folder.url) { #expect(read.split.userCount > 0) }
      }
      try Data(bytes).write(to: file)
    }
  }
}
