import Foundation
import TrestleFormats

/// A split with the ids that its indices stand for: what is exchanged with other programs.
///
/// Two forms are written and read. The plain one is a folder of `train.tsv`, `validation.tsv` and `test.tsv` (columns
/// `user_id`, `item_id` and, as the data has them, `rating` and `timestamp`, separated by tabs under a header), `users.txt`
/// and `items.txt` (an id a line, in the order of the indices, with those that have no row) and `split.json` (strategy and
/// hash). What is read from it is the split that was written, index for index.
///
/// RecBole's form is `NAME.train.inter`, `NAME.valid.inter` and `NAME.test.inter`, which RecBole reads under
/// `benchmark_filename: [train, valid, test]` with `data_path` the parent of the folder, and the folder's name the data
/// set's. RecBole keeps numbers in single precision: times beyond 2²⁴ seconds lose their last digits there, so that rows
/// close in time change places; the rows of each part do not.
public struct NamedSplit: Sendable {
  /// The parts.
  public let split: DataSplit
  /// The users' ids.
  public let userIDs: IDMap
  /// The items' ids.
  public let itemIDs: IDMap

  /// Names the users and items of a split.
  ///
  /// - Precondition: as many ids as the split has users and items.
  public init(_ split: DataSplit, userIDs: IDMap, itemIDs: IDMap) {
    precondition(
      userIDs.count == split.userCount && itemIDs.count == split.itemCount,
      "NamedSplit: \([userIDs.count, itemIDs.count]) ids for \([split.userCount, split.itemCount]) users and items"
    )
    (self.split, self.userIDs, self.itemIDs) = (split, userIDs, itemIDs)
  }

  // MARK: Plain files

  /// What `split.json` holds.
  private struct Manifest: Codable {
    var strategy: String
    var hash: String
  }

  private static let partNames = ["train", "validation", "test"]

  /// Writes the plain form as a folder, which takes the place of an older split in one step; other files in it stay.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for an id that is empty or has a tab or a line end,
  ///   and `FormatError.cannotWrite` for a folder of other things or one that cannot be written; an older split is intact then.
  public func write(to folder: URL) throws {
    try checkIDs()
    try FileManager.default.createDirectory(
      at: folder.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFolder.write(to: folder, holding: "split.json", keepingOthers: true) { try writeParts(to: $0) }
  }

  private func writeParts(to folder: URL) throws {
    for (name, part) in zip(Self.partNames, [split.training, split.validation, split.test]) {
      try AtomicFile.write(
        table(part, types: false), to: folder.appending(path: name + ".tsv"))
    }
    for (name, ids) in [("users.txt", userIDs), ("items.txt", itemIDs)] {
      let lines = ids.ids.map { $0 + "\n" }.joined()
      try AtomicFile.write(Array(lines.utf8), to: folder.appending(path: name))
    }
    try AtomicFile.writeJSON(
      Manifest(strategy: split.strategy, hash: split.hash), isPretty: true,
      to: folder.appending(path: "split.json"))
  }

  /// Reads the plain form.
  ///
  /// - Throws: ``DataError`` with the place of what is wrong: a file that is missing, a row with an id that `users.txt` or
  ///   `items.txt` does not have, rows that do not have the hash that `split.json` says.
  public init(contentsOf folder: URL) throws(DataError) {
    let file = folder.appending(path: "split.json")
    let manifest: Manifest
    do {
      manifest = try JSONDecoder().decode(
        Manifest.self, from: Data([UInt8](contentsOf: file, limit: 1 << 20)))
    } catch {
      throw .unreadable(path: file.path, reason: "\(error)")
    }
    var users = Vocabulary(ids: try Self.ids(folder.appending(path: "users.txt")), isClosed: true)
    var items = Vocabulary(ids: try Self.ids(folder.appending(path: "items.txt")), isClosed: true)
    var parts: [PartColumns] = []
    for name in Self.partNames {
      parts.append(try PartColumns(folder.appending(path: name + ".tsv"), &users, &items))
    }
    self.init(Self.split(parts, users, items, manifest.strategy), userIDs: users.ids, itemIDs: items.ids)
    guard split.hash == manifest.hash else {
      throw .malformed(
        path: file.path, line: 1, column: 1, expected: "the hash of the rows, \(split.hash)",
        found: manifest.hash)
    }
  }

  private static func ids(_ file: URL) throws(DataError) -> IDMap {
    var reader = try RecordReader(
      file, separator: "\t", quotes: false, encoding: .utf8, options: ReadOptions())
    var ids = IDMap()
    while try reader.advance() {
      try reader.splitFields()
      try reader.requireFields(["id"])
      let count = ids.count
      guard Int(try reader.insert(0, into: &ids)) == count else {
        throw reader.malformed(field: 0, expected: "an id that was not there before")
      }
    }
    return ids
  }

  // MARK: RecBole's files

  private static let recBoleNames = ["train", "valid", "test"]

  /// Writes RecBole's form into `folder`, which is made if it is missing. Parts of an older split and of this one are never there
  /// together.
  ///
  /// - Parameters:
  ///   - folder: where to; RecBole wants it to be called like the data set.
  ///   - name: the data set's name, by default the folder's.
  /// - Throws: as ``write(to:)``.
  public func writeRecBole(to folder: URL, name: String? = nil) throws {
    try checkIDs()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let name = name ?? folder.lastPathComponent
    let parts = zip(Self.recBoleNames, [split.training, split.validation, split.test])
    try AtomicFile.write(
      parts.map { ("\(name).\($0).inter", table($1, types: true)) }, into: folder)
  }

  /// Reads RecBole's form.
  ///
  /// - Parameters:
  ///   - folder: where the files are.
  ///   - name: the data set's name, by default the folder's.
  ///   - vocabulary: a data set whose indices the ids take; an id that it does not have is an error. Without it users and
  ///     items are numbered by first appearance in the training, validation and test file.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func recBole(
    at folder: URL, name: String? = nil, vocabulary: Dataset? = nil
  ) throws(DataError) -> NamedSplit {
    let name = name ?? folder.lastPathComponent
    var users = Vocabulary(ids: vocabulary?.userIDs ?? IDMap(), isClosed: vocabulary != nil)
    var items = Vocabulary(ids: vocabulary?.itemIDs ?? IDMap(), isClosed: vocabulary != nil)
    var parts: [PartColumns] = []
    for suffix in recBoleNames {
      parts.append(try PartColumns(folder.appending(path: "\(name).\(suffix).inter"), &users, &items))
    }
    return NamedSplit(split(parts, users, items, "given"), userIDs: users.ids, itemIDs: items.ids)
  }

  // MARK: Both

  private static func split(
    _ parts: [PartColumns], _ users: Vocabulary, _ items: Vocabulary, _ strategy: String
  ) -> DataSplit {
    let made = parts.map { $0.interactions(userCount: users.ids.count, itemCount: items.ids.count) }
    return DataSplit(training: made[0], validation: made[1], test: made[2], strategy: strategy)
  }

  private func checkIDs() throws(DataError) {
    for id in [userIDs, itemIDs].lazy.flatMap(\.ids)
    where id.isEmpty || id.utf8.contains(where: { [9, 10, 13].contains($0) }) {
      throw .invalidParameter(
        operation: "NamedSplit.write", expected: "ids without tabs and line ends", found: "\"\(id)\"")
    }
  }

  /// The rows of a part under a header, with RecBole's types or without.
  private func table(_ part: Interactions, types: Bool) -> [UInt8] {
    func column(_ name: String, _ type: String) -> String { types ? "\(name):\(type)" : name }
    var header = [column("user_id", "token"), column("item_id", "token")]
    if part.ratings != nil { header.append(column("rating", "float")) }
    if part.timestamps != nil { header.append(column("timestamp", "float")) }
    var bytes = Array((header.joined(separator: "\t") + "\n").utf8)
    for row in 0..<part.count {
      bytes.append(contentsOf: userIDs[Int(part.users[row])].utf8)
      bytes.append(9)
      bytes.append(contentsOf: itemIDs[Int(part.items[row])].utf8)
      if let ratings = part.ratings { bytes.append(contentsOf: "\t\(ratings[row])".utf8) }
      if let timestamps = part.timestamps { bytes.append(contentsOf: "\t\(timestamps[row])".utf8) }
      bytes.append(10)
    }
    return bytes
  }
}

/// The ids of one side while files are read: given beforehand, or collected.
private struct Vocabulary {
  var ids: IDMap
  let isClosed: Bool

  mutating func index(_ field: Int, of reader: RecordReader, _ what: String) throws(DataError) -> Int32 {
    try reader.requireText(field, what)
    guard isClosed else { return try reader.insert(field, into: &ids) }
    guard let index = reader.lookUp(field, in: ids) else {
      throw reader.malformed(field: field, expected: "\(what) that is known")
    }
    return Int32(index)
  }
}

/// The rows of one file: a header of names, each perhaps with `:type`, and rows separated by tabs.
private struct PartColumns {
  private var users: [Int32] = []
  private var items: [Int32] = []
  private var ratings: [Float]?
  private var timestamps: [Int64]?

  init(_ file: URL, _ userIDs: inout Vocabulary, _ itemIDs: inout Vocabulary) throws(DataError) {
    var reader = try RecordReader(
      file, separator: "\t", quotes: false, encoding: .utf8, options: ReadOptions())
    guard try reader.advance() else {
      throw .malformed(path: file.path, line: 1, column: 1, expected: "a header", found: "an empty file")
    }
    try reader.splitFields()
    let names = reader.fields.indices.map { String(reader.text($0).prefix { $0 != ":" }) }
    guard let user = names.firstIndex(of: "user_id"), let item = names.firstIndex(of: "item_id") else {
      throw .missingColumn(path: file.path, expected: "user_id and item_id", found: names)
    }
    let (rating, time) = (names.firstIndex(of: "rating"), names.firstIndex(of: "timestamp"))
    ratings = rating.map { _ in [] }
    timestamps = time.map { _ in [] }
    while try reader.advance() {
      try reader.splitFields()
      try reader.requireFields(names)
      guard users.count < Int(Int32.max) else {
        throw .tooLarge(path: file.path, expected: "fewer than 2³¹ rows", found: "more")
      }
      users.append(try userIDs.index(user, of: reader, "a user id"))
      items.append(try itemIDs.index(item, of: reader, "an item id"))
      if let rating { ratings?.append(try reader.float(rating, "a number (rating)")) }
      if let time { timestamps?.append(try reader.time(time, "a number (timestamp)")) }
    }
  }

  func interactions(userCount: Int, itemCount: Int) -> Interactions {
    Interactions(
      users: users, items: items, ratings: ratings, timestamps: timestamps, userCount: userCount,
      itemCount: itemCount)
  }
}
