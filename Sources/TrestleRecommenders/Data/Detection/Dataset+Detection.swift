import Foundation

extension Dataset {
  /// Reads a data set whose files are told apart by their content, and whose columns are guessed where they are not named.
  ///
  /// Known are CSV and other text with separators, TSV, JSON Lines, RecBole's atomic files, MovieLens' own files and
  /// Amazon reviews. What was found is said in ``ReadReport/findings``: `user = "reader", item = "isbn"`.
  ///
  /// ```swift
  /// var columns = ColumnChoices()
  /// columns.user = "reader"
  /// let data = try Dataset(contentsOf: URL(filePath: "loans.csv"), items: URL(filePath: "books.csv"), columns: columns)
  /// ```
  ///
  /// - Parameters:
  ///   - interactions: the file of interactions, or a folder of RecBole's or MovieLens' files.
  ///   - items: the file of items.
  ///   - users: the file of users; every column but the id goes into the users' texts.
  ///   - columns: the names of columns that are known.
  ///   - options: encoding (by default UTF-8 if the file is, else Latin-1), progress, and what to do with bad lines.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public init(
    contentsOf interactions: URL, items: URL? = nil, users: URL? = nil,
    columns: ColumnChoices = ColumnChoices(),
    options: ReadOptions = ReadOptions()
  ) throws(DataError) {
    if columns == ColumnChoices(), users == nil,
      let native = try NativeFiles(interactions, items)?.read(options)
    {
      self = native
      return
    }
    self = try DetectedFiles(interactions, items, users, columns, options).read()
  }

  /// Reads a file of items alone, such as those that are new to a trained recommender: a data set without users.
  ///
  /// - Parameters:
  ///   - items: CSV, TSV or JSON Lines; the id is the column named in `columns`, or one called `item`, `isbn`, `id` …
  ///   - columns: the names of columns that are known.
  ///   - options: as for ``init(contentsOf:items:users:columns:options:)``.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public init(
    items: URL, columns: ColumnChoices = ColumnChoices(), options: ReadOptions = ReadOptions()
  ) throws(DataError) {
    self = try DetectedFiles(items, items, nil, columns, options).readItems()
  }
}

/// Data sets in the form in which they are published: their own readers know them.
private struct NativeFiles {
  private let read: (ReadOptions) throws(DataError) -> Dataset
  private let finding: String

  /// `nil` if the files are not of that kind.
  init?(_ interactions: URL, _ items: URL?) throws(DataError) {
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: interactions.path, isDirectory: &isDirectory),
      isDirectory.boolValue
    {
      guard items == nil, let native = try NativeFiles(folder: interactions) else { return nil }
      self = native
      return
    }
    let table = try TableFile(interactions)
    let folder = interactions.deletingLastPathComponent()
    let name = interactions.lastPathComponent
    switch table.layout.format {
    case .atomic where items == nil && name.hasSuffix(".inter") && Self.hasIDs(table):
      finding = "\(name): \(table.layout.description)"
      read = { (options) throws(DataError) in
        try Dataset.recBole(at: folder, name: String(name.dropLast(6)), options: options)
      }
    case .delimited
    where Self.movieLens[name].map { items == nil || $0.contains(items?.lastPathComponent ?? "") } == true
      && (!table.layout.hasHeader || table.names == ["userId", "movieId", "rating", "timestamp"])
      && (items.map { $0.deletingLastPathComponent().standardizedFileURL == folder.standardizedFileURL }
        ?? true):
      finding = "\(name): MovieLens' own files"
      read = { (options) throws(DataError) in try Dataset.movieLens(at: folder, options: options) }
    case .jsonLines where Self.isAmazon(table.names):
      if let items {
        let names = try TableFile(items).names
        guard names.contains("parent_asin") || names.contains("asin") else { return nil }
      }
      finding = "\(name): Amazon reviews"
      read = { (options) throws(DataError) in
        try Dataset.amazon(reviews: interactions, metadata: items, options: options)
      }
    default: return nil
    }
  }

  private init?(folder: URL) throws(DataError) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() else {
      throw .unreadable(path: folder.path, reason: "it is a folder that cannot be read")
    }
    if let file = names.first(where: { $0.hasSuffix(".inter") }) {
      finding = "\(folder.lastPathComponent): RecBole's atomic files"
      read = { (options) throws(DataError) in
        try Dataset.recBole(at: folder, name: String(file.dropLast(6)), options: options)
      }
    } else if Self.movieLens.keys.contains(where: names.contains) {
      finding = "\(folder.lastPathComponent): MovieLens' own files"
      read = { (options) throws(DataError) in try Dataset.movieLens(at: folder, options: options) }
    } else {
      throw .unreadable(
        path: folder.path,
        reason: "it is a folder without *.inter, u.data, ratings.dat or ratings.csv; name the file")
    }
  }

  /// MovieLens' files of ratings, and those of movies beside them.
  private static let movieLens = [
    "u.data": ["u.item"], "ratings.dat": ["movies.dat"], "ratings.csv": ["movies.csv"],
  ]

  private static func hasIDs(_ table: TableFile) -> Bool {
    table.names.contains("user_id") && table.names.contains("item_id")
  }

  private static func isAmazon(_ names: [String]) -> Bool {
    let has = { (keys: String...) in keys.allSatisfy(names.contains) }
    return has("reviewerID", "asin", "overall", "unixReviewTime")
      || has("user_id", "asin", "rating", "timestamp")
      || has("user_id", "parent_asin", "rating", "timestamp")
  }

  func read(_ options: ReadOptions) throws(DataError) -> Dataset {
    var data = try read(options) as Dataset
    data.report?.findings = [finding]
    return data
  }
}

/// Files whose columns are guessed.
private struct DetectedFiles {
  private let interactions: TableFile
  private let items: TableFile?
  private let users: TableFile?
  private let guess: ColumnGuess
  private let options: ReadOptions

  init(
    _ interactions: URL, _ items: URL?, _ users: URL?, _ columns: ColumnChoices, _ options: ReadOptions
  ) throws(DataError) {
    self.interactions = try TableFile(interactions)
    self.items = if let items { try TableFile(items) } else { nil }
    self.users = if let users { try TableFile(users) } else { nil }
    guess = try ColumnGuess(self.interactions, self.items, columns, options)
    self.options = options
  }

  func read() throws(DataError) -> Dataset {
    let columns = try guess.interactionColumns()
    var report = ReadReport()
    let milliseconds = columns.time.map(guess.sample.isMilliseconds) ?? false
    var rows = InteractionVisitor(columns, isMilliseconds: milliseconds)
    try interactions.read(options, &report, &rows)
    report.findings.append(describe(columns, isMilliseconds: milliseconds))
    var attributes = ItemAttributes(count: rows.builder.itemIDs.count)
    if let items, let found = try guess.itemColumns(columns) {
      var visitor = ItemVisitor(found, items, guess.itemSample, rows.builder.itemIDs, attributes)
      try items.read(options, &report, &visitor)
      let known = rows.builder.itemIDs
      let described = visitor.described(below: known.count)
      guard described > 0 || known.count == 0 || visitor.ids.count == known.count else {
        throw .malformed(
          path: items.url.path, line: 1, column: 1,
          expected: "ids of items as the interactions have them, such as \(known[0])",
          found: "none of these, but such as \(visitor.ids[known.count])")
      }
      (rows.builder.itemIDs, attributes) = (visitor.ids, visitor.items)
      let missing = known.count - described
      report.findings.append(
        describe(found, items)
          + (missing == 0 ? "" : "; \(missing) of the \(known.count) items in the interactions are not in it")
      )
    }
    var texts: [String] = []
    if let users {
      let id = try guess.userColumn(users, columns)
      var visitor = UserVisitor(id, users.names, rows.builder.userIDs)
      try users.read(options, &report, &visitor)
      (rows.builder.userIDs, texts) = (visitor.ids, visitor.texts)
      report.findings.append(
        "\(users.url.lastPathComponent): \(users.layout.description); user = \"\(users.names[id])\"")
    }
    return Dataset(
      name: interactions.url.deletingPathExtension().lastPathComponent, interactions: rows.builder.build(),
      userIDs: rows.builder.userIDs, itemIDs: rows.builder.itemIDs, items: attributes, userTexts: texts,
      report: report)
  }

  /// Reads the items; that the same file is given for the interactions leaves their columns unread.
  func readItems() throws(DataError) -> Dataset {
    let names = interactions.names
    let id =
      if let chosen = guess.choices.item { try interactions.column(chosen) as Int? } else {
        ColumnRole.item.place(in: names, except: [])
          ?? names.indices.first { ColumnRole.folded(names[$0]) == "id" }
      }
    guard let id, let items,
      let found = try guess.itemColumns(InteractionColumns(user: id, item: id))
    else {
      throw .missingColumn(
        path: interactions.url.path, expected: "a column with the items' ids (name it if it is there)",
        found: names)
    }
    var report = ReadReport()
    var visitor = ItemVisitor(found, items, guess.itemSample, IDMap(), ItemAttributes(count: 0))
    try items.read(options, &report, &visitor)
    report.findings.append(describe(found, items))
    return Dataset(
      name: items.url.deletingPathExtension().lastPathComponent,
      interactions: .empty(userCount: 0, itemCount: visitor.ids.count), userIDs: IDMap(),
      itemIDs: visitor.ids, items: visitor.items, report: report)
  }

  private func describe(_ columns: InteractionColumns, isMilliseconds: Bool) -> String {
    let names = interactions.names
    var parts = ["user = \"\(names[columns.user])\"", "item = \"\(names[columns.item])\""]
    if let rating = columns.rating { parts.append("rating = \"\(names[rating])\"") }
    if let time = columns.time {
      let form = guess.sample.isMostlyDate(time) ? " (dates)" : isMilliseconds ? " (milliseconds)" : ""
      parts.append("time = \"\(names[time])\"\(form)")
    }
    let used = [columns.user, columns.item, columns.rating, columns.time]
    let unused = names.indices.filter { !used.contains($0) }.map { "\"\(names[$0])\"" }
    return
      "\(interactions.url.lastPathComponent): \(interactions.layout.description); \(parts.joined(separator: ", "))"
      + (unused.isEmpty ? "" : "; left out: " + unused.joined(separator: ", "))
  }

  private func describe(_ columns: ItemColumns, _ table: TableFile) -> String {
    let names = table.names
    var words: [Int] = []
    for column in [columns.title, columns.creator, columns.year, columns.genres, columns.text] {
      if let column { words.append(column) }
    }
    let texts = (words + columns.details).map { "\"\(names[$0])\"" }.joined(separator: " + ")
    var line = "\(table.url.lastPathComponent): \(table.layout.description); item = \"\(names[columns.id])\""
    if !texts.isEmpty { line += ", text = \(texts)" }
    if !columns.unused.isEmpty {
      line += "; left out: " + columns.unused.map { "\"\(names[$0])\"" }.joined(separator: ", ")
    }
    return line
  }
}

private struct InteractionVisitor: RowVisitor {
  var builder = InteractionBuilder()
  private let columns: InteractionColumns
  private let isMilliseconds: Bool

  init(_ columns: InteractionColumns, isMilliseconds: Bool) {
    self.columns = columns
    self.isMilliseconds = isMilliseconds
  }

  mutating func visit(_ row: some TableRow) throws(DataError) {
    var (rating, time) = (nil as Float?, nil as Int64?)
    if let column = columns.rating {
      guard let value = Float(row.text(column)), value.isFinite else {
        throw row.unexpected(column, expected: "a number (rating)")
      }
      rating = value
    }
    if let column = columns.time {
      guard let value = seconds(row.text(column)) else {
        throw row.unexpected(column, expected: "a time in seconds, or a date such as 2024-05-17")
      }
      time = value
    }
    let user = try row.insert(columns.user, into: &builder.userIDs, what: "a user id")
    let item = try row.insert(columns.item, into: &builder.itemIDs, what: "an item id")
    builder.append(user: user, item: item, rating: rating, time: time)
  }

  private func seconds(_ text: String) -> Int64? {
    if let date = DateParser.seconds(text) { return date }
    guard let value = Double(text), abs(value) < 9e15 else { return nil }
    return Int64((isMilliseconds ? value / 1000 : value).rounded(.down))
  }
}

private struct ItemVisitor: RowVisitor {
  var ids: IDMap
  var items: ItemAttributes
  private let columns: ItemColumns
  private let separator: Character?
  private var seen: [Bool] = []

  init(
    _ columns: ItemColumns, _ table: TableFile, _ sample: ColumnSample?, _ ids: IDMap, _ items: ItemAttributes
  ) {
    self.columns = columns
    self.ids = ids
    self.items = items
    self.items.details = columns.details.map {
      ItemDetail(name: table.names[$0], values: Array(repeating: "", count: items.count))
    }
    let genres = columns.genres.flatMap { column in sample?.present(column) } ?? []
    separator =
      table.layout.format == .atomic
      ? " " : ["|", ";", ","].first { mark in genres.contains { $0.contains(mark) } }
  }

  mutating func visit(_ row: some TableRow) throws(DataError) {
    let item = Int(try row.insert(columns.id, into: &ids, what: "an item id"))
    while seen.count <= item { seen.append(false) }
    guard !seen[item] else {
      throw row.unexpected(columns.id, expected: "an item id that had no row before")
    }
    seen[item] = true
    items.extend(to: ids.count)
    if let column = columns.title { items.titles[item] = row.text(column) }
    if let column = columns.creator { items.creators[item] = row.list(column).joined(separator: ", ") }
    if let column = columns.text { items.texts[item] = row.text(column) }
    // A year of 0 stands for an unknown one; dates begin with their year.
    if let column = columns.year {
      items.years[item] = Int(row.text(column).prefix(4)).flatMap { $0 > 0 ? $0 : nil }
    }
    if let column = columns.genres { items.genres[item] = row.list(column).flatMap(cut) }
    for (place, column) in columns.details.enumerated() {
      items.details[place].values[item] = row.text(column)
    }
  }

  /// How many of the first `count` items have had a row.
  func described(below count: Int) -> Int { seen.prefix(count).count { $0 } }

  private func cut(_ text: String) -> [String] {
    guard let separator else { return text.isEmpty ? [] : [text] }
    return text.split(separator: separator).map { $0.trimmingPrefix(" ") }.filter { !$0.isEmpty }.map(
      String.init)
  }
}

private struct UserVisitor: RowVisitor {
  var ids: IDMap
  var texts: [String]
  private let id: Int
  private let names: [String]

  init(_ id: Int, _ names: [String], _ ids: IDMap) {
    (self.id, self.names, self.ids) = (id, names, ids)
    texts = Array(repeating: "", count: ids.count)
  }

  mutating func visit(_ row: some TableRow) throws(DataError) {
    let user = Int(try row.insert(id, into: &ids, what: "a user id"))
    while texts.count < ids.count { texts.append("") }
    texts[user] = names.indices.filter { $0 != id && !row.text($0).isEmpty }
      .map { names[$0].replacing("_", with: " ") + " " + row.text($0) }.joined(separator: ", ")
  }
}
