/// Which columns of a table of interactions hold what.
struct InteractionColumns {
  var user: Int
  var item: Int
  var rating: Int?
  var time: Int?
}

/// Which columns of a table of items hold what.
struct ItemColumns {
  var id: Int
  var title: Int?
  var creator: Int?
  var genres: Int?
  var year: Int?
  var text: Int?
  /// Other columns of words.
  var details: [Int] = []
  /// Columns that say nothing in words: numbers, addresses.
  var unused: [Int] = []
}

/// Finds out what columns are for: from what the caller says, then by their names, then by which columns of two files
/// have values in common, then by what the values look like.
struct ColumnGuess {
  let choices: ColumnChoices
  let interactions: TableFile
  let sample: ColumnSample
  let items: TableFile?
  let itemSample: ColumnSample?

  /// Reads the first records of both files.
  init(
    _ interactions: TableFile, _ items: TableFile?, _ choices: ColumnChoices, _ options: ReadOptions
  ) throws(DataError) {
    self.choices = choices
    self.interactions = interactions
    self.items = items
    sample = try Self.sample(interactions, options)
    itemSample = if let items { try Self.sample(items, options) } else { nil }
  }

  private static func sample(_ table: TableFile, _ options: ReadOptions) throws(DataError) -> ColumnSample {
    var sample = ColumnSample(columns: table.names.count)
    var report = ReadReport()
    var lenient = options
    (lenient.onBadLine, lenient.progress) = (.skip, nil)
    try table.read(lenient, &report, limit: 20_000, &sample)
    return sample
  }

  /// The columns of the interactions.
  func interactionColumns() throws(DataError) -> InteractionColumns {
    let names = interactions.names
    var taken = Set<Int>()
    func chosen(_ name: String?) throws(DataError) -> Int? {
      guard let name else { return nil }
      let place = try interactions.column(name)
      guard taken.insert(place).inserted else {
        throw .missingColumn(
          path: interactions.url.path,
          expected: "a column of its own for everything that is named, not \(name) twice",
          found: names)
      }
      return place
    }
    var user = try chosen(choices.user)
    var item = try chosen(choices.item)
    var rating = try chosen(choices.rating)
    var time = try chosen(choices.time)
    func named(_ role: ColumnRole, _ test: (Int) -> Bool = { _ in true }) -> Int? {
      guard let place = role.place(in: names, except: taken), test(place) else { return nil }
      taken.insert(place)
      return place
    }
    user = user ?? named(.user)
    item = item ?? named(.item)
    // A line that holds no number in such a column is broken; a column that mostly holds none is something else.
    rating = rating ?? named(.rating, sample.isMostlyNumeric)
    time = time ?? named(.time) { sample.isMostlyDate($0) || sample.isMostlyNumeric($0) }
    if item == nil, let shared = sharedItemColumn(except: taken) {
      item = shared
      taken.insert(shared)
    }
    // What is left is a time if it looks like one, and ids otherwise, the user's first.
    var left = names.indices.filter { !taken.contains($0) && !sample.present($0).isEmpty }
    if time == nil, let place = left.first(where: { sample.isMostlyDate($0) || sample.isUnixTime($0) }) {
      time = place
      left.removeAll { $0 == place }
    }
    left.removeAll { sample.isMostlyDate($0) || isFraction($0) || sample.isAddress($0) }
    // One column may be anything else, such as a rating under an unknown name, only if both ids are known.
    if user == nil, !left.isEmpty { user = left.removeFirst() }
    if item == nil, !left.isEmpty { item = left.removeFirst() }
    guard let user, let item else {
      throw .missingColumn(
        path: interactions.url.path,
        expected: "a column of users and one of items (name them if they are there)", found: names)
    }
    return InteractionColumns(user: user, item: item, rating: rating, time: time)
  }

  private func isFraction(_ column: Int) -> Bool {
    sample.isNumeric(column) && sample.present(column).contains { $0.contains(".") }
  }

  /// The column of the interactions most of whose values are keys of the items.
  private func sharedItemColumn(except taken: Set<Int>) -> Int? {
    guard let items, let itemSample else { return nil }
    let keys = items.names.indices.filter { itemSample.isKey($0) }.map { Set(itemSample.present($0)) }
    let shares = sample.values.indices.filter { !taken.contains($0) }.map { column in
      (column, keys.map { sample.overlap(column, with: $0) }.max() ?? 0)
    }
    guard let best = shares.max(by: { $0.1 < $1.1 }), best.1 > 0.1 else { return nil }
    return best.0
  }

  /// The columns of the items, if there is a file of them.
  func itemColumns(_ columns: InteractionColumns) throws(DataError) -> ItemColumns? {
    guard let items, let itemSample else { return nil }
    let names = items.names
    let id = try idColumn(items, itemSample, like: columns.item)
    var taken: Set<Int> = [id]
    func place(_ choice: String?, _ role: ColumnRole, _ test: (Int) -> Bool = { _ in true }) throws(DataError)
      -> Int?
    {
      let found =
        if let choice { try items.column(choice) as Int? } else { role.place(in: names, except: taken) }
      guard let found, choice != nil || test(found) else { return nil }
      taken.insert(found)
      return found
    }
    var result = ItemColumns(id: id)
    result.title = try place(choices.title, .title)
    result.creator = try place(choices.creator, .creator) { !itemSample.isNumeric($0) }
    result.year = try place(choices.year, .year)
    result.genres = try place(choices.genres, .genres) { !itemSample.isNumeric($0) }
    result.text = try place(choices.text, .text) { !itemSample.isNumeric($0) }
    var left = names.indices.filter { !taken.contains($0) }
    let isWords = { (column: Int) in
      !itemSample.present(column).isEmpty && !itemSample.isNumeric(column) && !itemSample.isAddress(column)
        && !itemSample.isDate(column)
    }
    if result.title == nil {
      // Of columns of words, titles differ most from item to item.
      let words = left.filter(isWords).map { ($0, Set(itemSample.present($0)).count) }
      if let best = words.max(by: { $0.1 < $1.1 }) {
        result.title = best.0
        left.removeAll { $0 == best.0 }
      }
    }
    result.details = left.filter(isWords)
    result.unused = left.filter { !isWords($0) }
    return result
  }

  private func idColumn(_ items: TableFile, _ itemSample: ColumnSample, like item: Int) throws(DataError)
    -> Int
  {
    let names = items.names
    if let same = names.firstIndex(of: interactions.names[item]) { return same }
    if let chosen = choices.item, !interactions.names.contains(chosen) { return try items.column(chosen) }
    let wanted = Set(sample.present(item))
    let shares = names.indices.map { column in
      (
        column,
        Double(Set(itemSample.present(column)).intersection(wanted).count) / Double(max(wanted.count, 1))
      )
    }
    // Numbers have much in common by chance: a column must name each item once.
    if let best = shares.filter({ itemSample.isKey($0.0) }).max(by: { $0.1 < $1.1 }), best.1 > 0.1 {
      return best.0
    }
    if let named = ColumnRole.item.place(in: names, except: []) { return named }
    if let plain = names.indices.first(where: { ColumnRole.folded(names[$0]) == "id" }) { return plain }
    throw .missingColumn(
      path: items.url.path,
      expected: "a column with the items' ids, as \(interactions.names[item]) in the interactions has them",
      found: names)
  }

  /// The users' id in a file of users.
  func userColumn(_ users: TableFile, _ columns: InteractionColumns) throws(DataError) -> Int {
    if let same = users.names.firstIndex(of: interactions.names[columns.user]) { return same }
    if let named = ColumnRole.user.place(in: users.names, except: []) { return named }
    if let plain = users.names.indices.first(where: { ColumnRole.folded(users.names[$0]) == "id" }) {
      return plain
    }
    throw .missingColumn(
      path: users.url.path,
      expected:
        "a column with the users' ids, as \(interactions.names[columns.user]) in the interactions has them",
      found: users.names)
  }
}
