import Foundation
import TrestleFormats

/// Questions whether a user likes an item, with their answers, parted into training, validation and test data by whoever
/// made the files.
///
/// A folder holds `train`, `valid`, `test` and `items`, each with the ending `.tsv` or `.csv` and a first line that names the
/// columns. The three parts have `user`, `item` and `label` (1 or 0) and may have `history`: the items that the user liked
/// before, with spaces between them, the latest last. `items` has `item` and `title`. Other columns are ignored.
/// `user_id` and `item_id` are read as `user` and `item`. An item without a title, such as one that fills up histories, is
/// left out of them.
public struct LabelledSplit: Sendable {
  /// A question and its answer.
  public struct Row: Sendable, Hashable {
    /// The user, an index of ``LabelledSplit/userIDs``.
    public let user: Int32
    /// The item, an index of ``LabelledSplit/itemIDs``.
    public let item: Int32
    /// Whether the user likes the item.
    public let isLiked: Bool
    /// What the user liked before, the latest last.
    public let history: [Int32]

    /// A row.
    public init(user: Int32, item: Int32, isLiked: Bool, history: [Int32]) {
      self.user = user
      self.item = item
      self.isLiked = isLiked
      self.history = history
    }
  }

  /// The most items of a history that is made because the files have none.
  public static let madeHistoryItems = 10

  /// The folder's name.
  public let name: String
  /// What models are fitted on.
  public let training: [Row]
  /// What models and settings are chosen on.
  public let validation: [Row]
  /// What is looked at once, at the end.
  public let test: [Row]
  /// The users, in the order of their first rows.
  public let userIDs: IDMap
  /// The items, in the order of the file of items.
  public let itemIDs: IDMap
  /// What each item is called.
  public let titles: [String]
  /// A hash of ids, titles and rows, the same on every machine.
  public let hash: String

  /// Takes given parts.
  ///
  /// - Precondition: users and items of all rows and histories have ids, and every item has a title or an empty one.
  public init(
    name: String, training: [Row], validation: [Row], test: [Row], userIDs: IDMap, itemIDs: IDMap,
    titles: [String]
  ) {
    precondition(
      titles.count == itemIDs.count, "LabelledSplit: \(titles.count) titles for \(itemIDs.count) items")
    func isKnown(_ id: Int32, _ ids: IDMap) -> Bool { id >= 0 && Int(id) < ids.count }
    for part in [training, validation, test] {
      precondition(
        part.allSatisfy { row in
          isKnown(row.user, userIDs) && isKnown(row.item, itemIDs)
            && row.history.allSatisfy { isKnown($0, itemIDs) }
        }, "LabelledSplit: a row names a user or an item without an id")
    }
    self.name = name
    (self.training, self.validation, self.test) = (training, validation, test)
    (self.userIDs, self.itemIDs, self.titles) = (userIDs, itemIDs, titles)
    var hash = StableHash()
    hash.combine(userIDs.hash + itemIDs.hash)
    for title in titles { hash.combine(title) }
    for part in [training, validation, test] {
      hash.combine(part.count)
      hash.combine(part.flatMap { [$0.user, $0.item, $0.isLiked ? 1 : 0, Int32($0.history.count)] })
      hash.combine(part.flatMap(\.history))
    }
    self.hash = hash.hexadecimal
  }

  /// Reads a folder.
  ///
  /// - Throws: ``DataError`` with the place of what is wrong: a file or column that is missing, a label that is neither 1 nor
  ///   0, an item that the file of items does not have, a part without rows of both labels.
  public init(contentsOf folder: URL) throws(DataError) {
    let (items, titles) = try Self.items(Self.file("items", in: folder))
    var users = IDMap()
    var liked: [Int32: [Int32]] = [:]
    var parts: [[Row]] = []
    for name in ["train", "valid", "test"] {
      parts.append(
        try Self.rows(
          Self.file(name, in: folder), &users, items, titles, &liked, isTraining: name == "train"))
    }
    self.init(
      name: folder.lastPathComponent, training: parts[0], validation: parts[1], test: parts[2],
      userIDs: users, itemIDs: items, titles: titles)
  }

  /// The liked rows of each part as interactions: what a bridge sees of the split.
  public var liked: DataSplit {
    func interactions(_ rows: [Row]) -> Interactions {
      let own = rows.filter(\.isLiked)
      return Interactions(
        users: own.map(\.user), items: own.map(\.item), userCount: userIDs.count, itemCount: itemIDs.count)
    }
    return DataSplit(
      training: interactions(training), validation: interactions(validation), test: interactions(test))
  }

  // MARK: Files

  private static func file(_ name: String, in folder: URL) -> URL {
    let csv = folder.appending(path: name + ".csv")
    return FileManager.default.fileExists(atPath: csv.path) ? csv : folder.appending(path: name + ".tsv")
  }

  private static func column(_ name: String, of table: DelimitedTable) throws(DataError) -> Int {
    if let index = table.names.firstIndex(of: name + "_id") { return index }
    return try table.column(name)
  }

  private static func items(_ file: URL) throws(DataError) -> (ids: IDMap, titles: [String]) {
    var table = try DelimitedTable(file, nil, ReadOptions())
    let (item, title) = (try column("item", of: table), try table.column("title") as Int)
    var ids = IDMap()
    var titles: [String] = []
    var report = ReadReport()
    try table.forEachRow(ReadOptions(), &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireText(item, "an item")
      guard Int(try reader.insert(item, into: &ids)) == titles.count else {
        throw reader.malformed(field: item, expected: "an item that was not there before")
      }
      titles.append(reader.text(title))
    }
    return (ids, titles)
  }

  /// The rows of a part. `liked` is what each user liked in training so far, for files without histories.
  private static func rows(
    _ file: URL, _ users: inout IDMap, _ items: IDMap, _ titles: [String], _ liked: inout [Int32: [Int32]],
    isTraining: Bool
  ) throws(DataError) -> [Row] {
    var table = try DelimitedTable(file, nil, ReadOptions())
    let (user, item) = (try column("user", of: table), try column("item", of: table))
    let label = try table.column("label") as Int
    let history = table.names.firstIndex(of: "history")
    var (rows, userIDs, past): ([Row], IDMap, [Int32: [Int32]]) = ([], users, liked)
    var report = ReadReport()
    try table.forEachRow(ReadOptions(), &report) { (reader: inout RecordReader) throws(DataError) in
      let answer = try reader.float(label, "a label, 0 or 1")
      guard answer == 0 || answer == 1 else {
        throw reader.malformed(field: label, expected: "a label, 0 or 1")
      }
      try reader.requireText(user, "a user")
      guard let asked = reader.lookUp(item, in: items) else {
        throw reader.malformed(field: item, expected: "an item that the file of items has")
      }
      let index = try reader.insert(user, into: &userIDs)
      var before = past[index] ?? []
      if let history { before = try Self.history(history, of: reader, items, titles) }
      rows.append(Row(user: index, item: Int32(asked), isLiked: answer == 1, history: before))
      if history == nil && isTraining && answer == 1 && !titles[asked].isEmpty {
        past[index] = Array(((past[index] ?? []) + [Int32(asked)]).suffix(madeHistoryItems))
      }
    }
    (users, liked) = (userIDs, past)
    let positive = rows.count { $0.isLiked }
    guard positive > 0 && positive < rows.count else {
      throw .invalidParameter(
        operation: "reading \(file.path)", expected: "rows with label 1 and rows with label 0",
        found: "\(positive) and \(rows.count - positive)")
    }
    return rows
  }

  private static func history(
    _ field: Int, of reader: RecordReader, _ items: IDMap, _ titles: [String]
  ) throws(DataError) -> [Int32] {
    var result: [Int32] = []
    for word in reader.text(field).split(separator: " ") {
      guard let item = items.index(of: String(word)) else {
        throw reader.malformed(
          field: field, expected: "items that the file of items has, spaces between them")
      }
      if !titles[item].isEmpty { result.append(Int32(item)) }
    }
    return result
  }
}
