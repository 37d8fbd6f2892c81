/// What the columns of a data set's files are, where the caller says so; what is `nil` is guessed.
public struct ColumnChoices: Sendable, Codable, Equatable {
  /// The user's id, in the interactions and the users.
  public var user: String?
  /// The item's id, in the interactions and the items.
  public var item: String?
  /// The rating, in the interactions.
  public var rating: String?
  /// The time, in the interactions.
  public var time: String?
  /// The title, in the items.
  public var title: String?
  /// Who made the item, in the items.
  public var creator: String?
  /// The genres, in the items.
  public var genres: String?
  /// The year, in the items.
  public var year: String?
  /// Free text, in the items.
  public var text: String?

  /// Nothing is said, everything guessed.
  public init() {}

  /// Names the ids' columns.
  public init(user: String?, item: String?) {
    self.user = user
    self.item = item
  }

  /// Names any of the columns; those that are not named are guessed.
  ///
  /// - Parameters:
  ///   - user: the user's id, in the interactions and the users.
  ///   - item: the item's id, in the interactions and the items.
  ///   - rating: the rating, in the interactions.
  ///   - time: the time, in the interactions.
  ///   - title: the title, in the items.
  ///   - creator: who made the item, in the items.
  ///   - genres: the genres, in the items.
  ///   - year: the year, in the items.
  ///   - text: free text, in the items.
  public init(
    user: String? = nil, item: String? = nil, rating: String? = nil, time: String? = nil,
    title: String? = nil, creator: String? = nil, genres: String? = nil, year: String? = nil,
    text: String? = nil
  ) {
    (self.user, self.item, self.rating, self.time) = (user, item, rating, time)
    (self.title, self.creator, self.genres, self.year, self.text) = (title, creator, genres, year, text)
  }
}

/// What a column may be for.
enum ColumnRole: Hashable {
  case user, item, rating, time, title, creator, genres, year, text

  /// The names that say so, in lower case and without anything but letters and digits.
  var names: Set<String> {
    switch self {
    case .user:
      [
        "userid", "user", "uid", "userno", "usernumber", "username", "customerid", "customer", "reviewerid",
        "reviewer",
        "readerid", "reader", "memberid", "member", "visitorid", "visitor", "clientid", "client", "accountid",
        "account",
        "profileid", "personid", "person", "playerid", "player", "listenerid", "listener", "viewerid",
        "viewer",
        "borrowerid", "borrower", "buyerid", "buyer", "patronid", "patron", "sessionid", "session", "steamid",
      ]
    case .item:
      [
        "itemid", "item", "iid", "itemno", "productid", "product", "movieid", "movie", "filmid", "film",
        "isbn", "isbn13",
        "bookid", "book", "asin", "parentasin", "sku", "articleid", "article", "gameid", "game", "appid",
        "trackid",
        "track", "songid", "song", "artistid", "albumid", "newsid", "docid", "recipeid", "recipe", "videoid",
        "video",
        "courseid", "course", "placeid", "venueid", "businessid", "stockcode", "anime", "animeid",
      ]
    case .rating:
      [
        "rating", "ratings", "bookrating", "score", "stars", "overall", "rate", "grade", "vote",
        "ratingscore",
      ]
    case .time:
      [
        "timestamp", "time", "date", "datetime", "when", "unixreviewtime", "createdat", "ratedat",
        "reviewtime", "day",
        "purchasedate", "purchasedat", "readat", "dateadded", "borrowed", "borrowedon", "eventtime", "ts",
      ]
    case .title:
      [
        "title", "name", "booktitle", "movietitle", "productname", "producttitle", "itemname", "gamename",
        "trackname", "songname",
      ]
    case .creator:
      [
        "author", "authors", "bookauthor", "writer", "artist", "artistname", "creator", "director",
        "developer", "brand",
        "maker", "by", "composer",
      ]
    case .genres: ["genres", "genre", "categories", "category", "class", "tags", "subjects", "topics"]
    case .year:
      [
        "year", "releaseyear", "yearofpublication", "publicationyear", "published", "publishedin",
        "originalpublicationyear",
      ]
    case .text: ["description", "text", "summary", "overview", "plot", "abstract", "synopsis", "blurb"]
    }
  }

  /// A column's name in the form of ``names``.
  static func folded(_ name: String) -> String { name.lowercased().filter { $0.isLetter || $0.isNumber } }

  /// The place of the first column whose name says that it has this role, by the order of the columns.
  func place(in names: [String], except taken: Set<Int>) -> Int? {
    let known = self.names
    return names.indices.first { !taken.contains($0) && known.contains(Self.folded(names[$0])) }
  }
}

/// The values of the first records of a table, column by column.
struct ColumnSample: RowVisitor {
  private(set) var values: [[String]]

  init(columns: Int) { values = Array(repeating: [], count: columns) }

  mutating func visit(_ row: some TableRow) {
    for column in values.indices { values[column].append(row.text(column)) }
  }

  /// The values of a column that are not empty.
  func present(_ column: Int) -> [String] { values[column].filter { !$0.isEmpty } }

  /// Whether all values that there are hold a test, and there is one.
  func all(_ column: Int, _ test: (String) -> Bool) -> Bool {
    let present = present(column)
    return !present.isEmpty && present.allSatisfy(test)
  }

  /// Whether no value occurs twice and none is missing.
  func isKey(_ column: Int) -> Bool {
    let present = present(column)
    return !present.isEmpty && present.count == values[column].count && Set(present).count == present.count
  }

  /// Whether all but a tenth, or another part, of the values that there are hold a test.
  private func most(_ column: Int, of parts: Int = 10, _ test: (String) -> Bool) -> Bool {
    let present = present(column)
    return !present.isEmpty && present.count(where: test) * parts >= present.count * (parts - 1)
  }

  func isMostlyNumeric(_ column: Int) -> Bool { most(column) { Double($0) != nil } }
  func isMostlyDate(_ column: Int) -> Bool { most(column) { DateParser.seconds($0) != nil } }
  func isNumeric(_ column: Int) -> Bool { all(column) { Double($0) != nil } }
  func isDate(_ column: Int) -> Bool { all(column) { DateParser.seconds($0) != nil } }
  /// Seconds or milliseconds of the years 1980 to 2100, but for one value in a hundred: ids may look like them.
  func isUnixTime(_ column: Int) -> Bool {
    most(column, of: 100) {
      Double($0).map { (3.1e8...4.2e9).contains($0) || (3.1e11...4.2e12).contains($0) } ?? false
    }
  }
  /// Whether the times of a column are milliseconds rather than seconds.
  func isMilliseconds(_ column: Int) -> Bool { most(column) { (Double($0) ?? 0) > 1e11 } }
  /// Web addresses.
  func isAddress(_ column: Int) -> Bool {
    all(column) { $0.hasPrefix("http://") || $0.hasPrefix("https://") }
  }

  /// The share of the column's distinct values that `other` has too.
  func overlap(_ column: Int, with other: Set<String>) -> Double {
    let own = Set(present(column))
    return own.isEmpty ? 0 : Double(own.count { other.contains($0) }) / Double(own.count)
  }
}
