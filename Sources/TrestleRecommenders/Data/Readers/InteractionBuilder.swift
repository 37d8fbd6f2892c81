/// Collects the rows that a reader finds, column by column.
struct InteractionBuilder {
  var userIDs = IDMap()
  var itemIDs = IDMap()
  private var users: [Int32] = []
  private var items: [Int32] = []
  private var ratings: [Float] = []
  private var timestamps: [Int64] = []

  /// Appends a row; a file gives ratings and timestamps on every row or on none.
  mutating func append(user: Int32, item: Int32, rating: Float?, time: Int64?) {
    users.append(user)
    items.append(item)
    if let rating { ratings.append(rating) }
    if let time { timestamps.append(time) }
  }

  /// Appends the row that the reader's record holds.
  mutating func append(from reader: RecordReader, _ fields: InteractionFields) throws(DataError) {
    var rating: Float?
    var time: Int64?
    if let field = fields.rating { rating = try reader.float(field, "a number (rating)") }
    if let field = fields.time { time = try reader.time(field, "a number (timestamp)") }
    try reader.requireText(fields.user, "a user id")
    try reader.requireText(fields.item, "an item id")
    guard users.count < Int(Int32.max) else {
      throw .tooLarge(path: reader.path, expected: "fewer than 2³¹ rows", found: "more")
    }
    append(
      user: try reader.insert(fields.user, into: &userIDs),
      item: try reader.insert(fields.item, into: &itemIDs), rating: rating, time: time)
  }

  /// Appends the row with these ids.
  mutating func append(from reader: RecordReader, user: String, item: String, rating: Float, time: Int64)
    throws(DataError)
  {
    guard users.count < Int(Int32.max), userIDs.hasRoom(for: user.utf8.count),
      itemIDs.hasRoom(for: item.utf8.count)
    else {
      throw .tooLarge(path: reader.path, expected: "fewer than 2³¹ rows and ids in 4 GiB", found: "more")
    }
    append(user: Int32(userIDs.insert(user)), item: Int32(itemIDs.insert(item)), rating: rating, time: time)
  }

  /// The columns as interactions over all ids known by now.
  func build() -> Interactions {
    Interactions(
      users: users, items: items, ratings: ratings.count == users.count && !users.isEmpty ? ratings : nil,
      timestamps: timestamps.count == users.count && !users.isEmpty ? timestamps : nil,
      userCount: userIDs.count, itemCount: itemIDs.count)
  }
}
