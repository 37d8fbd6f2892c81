import Foundation
import Testing
import TrestleRecommenders

/// A split given as files with labels is read as it is, and what is wrong with it is said with its place.
@Suite struct LabelledSplitTests {
  private let files = [
    "items.tsv": "item\ttitle\nnone\t\na\tAlpha\nb\tBeta\nc\tGamma\n",
    "train.tsv": "user\titem\tlabel\ttime\thistory\nu\ta\t1\t3\tnone\nu\tb\t0\t4\tnone a\nv\tc\t1\t9\t\n",
    "valid.tsv": "user\titem\tlabel\ttime\thistory\nu\tc\t1\t5\tnone a\nw\ta\t0\t5\tb c a\n",
    "test.tsv": "user\titem\tlabel\ttime\thistory\nv\ta\t0\t11\tc\nv\tb\t1\t12\tc\n",
  ]

  private func read(_ changed: [String: String?] = [:]) throws -> LabelledSplit {
    let folder = FileManager.default.temporaryDirectory.appending(path: "labelled-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files.merging(changed.mapValues { $0 ?? "" }, uniquingKeysWith: { $1 })
    where changed[name] != .some(nil) {
      try Data(text.utf8).write(to: folder.appending(path: name))
    }
    return try LabelledSplit(contentsOf: folder)
  }

  @Test func rowsHistoriesAndTitlesAreThoseOfTheFiles() throws {
    let split = try read()
    #expect(split.userIDs.ids == ["u", "v", "w"] && split.itemIDs.ids == ["none", "a", "b", "c"])
    #expect(split.titles == ["", "Alpha", "Beta", "Gamma"])
    // What has no title only fills histories up.
    #expect(
      split.training == [
        .init(user: 0, item: 1, isLiked: true, history: []),
        .init(user: 0, item: 2, isLiked: false, history: [1]),
        .init(user: 1, item: 3, isLiked: true, history: []),
      ])
    #expect(split.validation.map(\.history) == [[1], [2, 3, 1]])
    #expect(split.test.map(\.isLiked) == [false, true])
    #expect(split.liked.training.users == [0, 1] && split.liked.test.items == [2])
    #expect(try read().hash == split.hash)
    let other = try read(["test.tsv": "user\titem\tlabel\nv\ta\t1\nv\tb\t0\n"])
    #expect(other.hash != split.hash)
  }

  /// Without histories a row has what the user liked in the training rows before it, and never what comes later.
  @Test func historiesAreMadeOfTrainingRowsAlone() throws {
    let rows = "user_id,item_id,label\nu,a,1\nu,b,0\nu,c,1\nu,b,1\n"
    let split = try read([
      "train.tsv": nil, "train.csv": rows, "test.tsv": "user\titem\tlabel\nu\ta\t1\nu\tb\t0\nw\tb\t0\n",
    ])
    #expect(split.training.map(\.history) == [[], [1], [1], [1, 3]])
    #expect(split.test.map(\.history) == [[1, 3, 2], [1, 3, 2], []])
  }

  @Test(arguments: [
    ("train.tsv", "user\titem\tlabel\nu\ta\t2\nu\ta\t1\n", "train.tsv:2:5: expected a label, 0 or 1"),
    ("train.tsv", "user\titem\tlabel\nu\ta\tyes\nu\ta\t1\n", "train.tsv:2:5: expected a label, 0 or 1"),
    (
      "train.tsv", "user\titem\tlabel\nu\tz\t1\nu\ta\t0\n",
      "train.tsv:2:3: expected an item that the file of items has"
    ),
    ("valid.tsv", "user\titem\tlabel\thistory\nu\ta\t1\ta z\nu\ta\t0\t\n", "valid.tsv:2:7: expected items"),
    ("valid.tsv", "user\titem\tanswer\nu\ta\t1\n", "expected a column label"),
    (
      "test.tsv", "user\titem\tlabel\nu\ta\t1\nv\ta\t1\n",
      "expected rows with label 1 and rows with label 0, found 2 and 0"
    ),
    ("test.tsv", "user\titem\tlabel\nu\ta\n", "test.tsv:2:4: expected 3 columns"),
    ("test.tsv", "", "expected a header"),
    ("items.tsv", "item\ttitle\na\tA\na\tB\n", "items.tsv:3:1: expected an item that was not there before"),
  ])
  func whatIsWrongIsSaidWithItsPlace(file: String, text: String, message: String) throws {
    let error = #expect(throws: DataError.self) { try read([file: text]) }
    #expect("\(try #require(error))".contains(message), "\(String(describing: error))")
  }

  @Test func aMissingFileIsNamed() throws {
    let error = #expect(throws: DataError.self) { try read(["valid.tsv": nil]) }
    #expect("\(try #require(error))".contains("valid.tsv: cannot be read"))
  }
}
