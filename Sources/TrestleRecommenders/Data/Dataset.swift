/// What is known of the items beyond who interacted with them; each array is indexed by item.
public struct ItemAttributes: Sendable, Equatable {
  /// The title of each item, empty if unknown.
  public var titles: [String]
  /// The genres or categories of each item.
  public var genres: [[String]]
  /// The year of each item, `nil` if unknown.
  public var years: [Int?]
  /// Free text about each item, empty if there is none.
  public var texts: [String]
  /// Who made each item (its author, artist or brand), empty if unknown.
  public var creators: [String]
  /// What else is known, one column each.
  public var details: [ItemDetail] = []

  /// Creates the attributes of `count` items of which nothing is known.
  public init(count: Int) {
    titles = Array(repeating: "", count: count)
    genres = Array(repeating: [], count: count)
    years = Array(repeating: nil, count: count)
    texts = Array(repeating: "", count: count)
    creators = Array(repeating: "", count: count)
  }

  /// The number of items.
  public var count: Int { titles.count }

  /// One line for prompts and text encoders: "title (year), genre, genre. text", without the parts that are unknown.
  public func summary(of item: Int) -> String {
    var line = titles[item]
    if let year = years[item] { line += line.isEmpty ? "\(year)" : " (\(year))" }
    let labels = genres[item].joined(separator: ", ")
    if !labels.isEmpty { line += line.isEmpty ? labels : ", " + labels }
    if !texts[item].isEmpty { line += line.isEmpty ? texts[item] : ". " + texts[item] }
    return line
  }

  mutating func extend(to count: Int) {
    let missing = count - titles.count
    guard missing > 0 else { return }
    titles.append(contentsOf: repeatElement("", count: missing))
    genres.append(contentsOf: repeatElement([], count: missing))
    years.append(contentsOf: repeatElement(nil, count: missing))
    texts.append(contentsOf: repeatElement("", count: missing))
    creators.append(contentsOf: repeatElement("", count: missing))
    for index in details.indices {
      details[index].values.append(contentsOf: repeatElement("", count: missing))
    }
  }

  func selecting(_ items: [Int32]) -> ItemAttributes {
    var chosen = ItemAttributes(count: 0)
    chosen.titles = items.map { titles[Int($0)] }
    chosen.genres = items.map { genres[Int($0)] }
    chosen.years = items.map { years[Int($0)] }
    chosen.texts = items.map { texts[Int($0)] }
    chosen.creators = items.map { creators[Int($0)] }
    chosen.details = details.map { detail in
      ItemDetail(name: detail.name, values: items.map { detail.values[Int($0)] })
    }
    return chosen
  }
}

/// A further column of text about the items, such as `publisher`.
public struct ItemDetail: Sendable, Equatable {
  /// What the column is called in its file.
  public var name: String
  /// The text of each item, empty if unknown.
  public var values: [String]

  /// Creates a column.
  public init(name: String, values: [String]) {
    self.name = name
    self.values = values
  }
}

/// Interactions together with what their indices stand for.
public struct Dataset: Sendable {
  /// The name for tables and messages.
  public var name: String
  /// Who interacted with what.
  public var interactions: Interactions
  /// The external ids of the users, `interactions.userCount` of them.
  public var userIDs: IDMap
  /// The external ids of the items, `interactions.itemCount` of them.
  public var itemIDs: IDMap
  /// Titles, genres, years and texts of the items.
  public var items: ItemAttributes
  /// What is known of each user in words ("age 24, gender M"); empty texts, or an empty array, if nothing is.
  public var userTexts: [String]
  /// What the reader saw; `nil` for data that was not read from files.
  public var report: ReadReport?

  /// Puts a dataset together.
  ///
  /// - Precondition: the maps and attributes have as many entries as the interactions have users and items
  ///   (`userTexts` may be empty).
  public init(
    name: String, interactions: Interactions, userIDs: IDMap, itemIDs: IDMap, items: ItemAttributes? = nil,
    userTexts: [String] = [], report: ReadReport? = nil
  ) {
    let attributes = items ?? ItemAttributes(count: interactions.itemCount)
    precondition(
      userIDs.count == interactions.userCount && itemIDs.count == interactions.itemCount
        && attributes.count == interactions.itemCount
        && (userTexts.isEmpty || userTexts.count == interactions.userCount),
      "Dataset: ids of \([userIDs.count, itemIDs.count]), attributes of \(attributes.count) items, "
        + "texts of \(userTexts.count) users; expected \([interactions.userCount, interactions.itemCount])")
    self.name = name
    self.interactions = interactions
    self.userIDs = userIDs
    self.itemIDs = itemIDs
    self.items = attributes
    self.userTexts = userTexts
    self.report = report
  }

  /// The number of users.
  public var userCount: Int { interactions.userCount }

  /// The number of items.
  public var itemCount: Int { interactions.itemCount }

  /// The hash of both id maps: models and caches made for one vocabulary carry it.
  public var vocabularyHash: String {
    var hash = StableHash()
    hash.combine(userIDs.hash)
    hash.combine(itemIDs.hash)
    return hash.hexadecimal
  }
}

/// What a reader saw in its files.
public struct ReadReport: Sendable, Equatable {
  /// The number of records read, good or bad, over all files: lines, unless quotes hold line ends.
  public var lines = 0
  /// The number of bad lines that were skipped.
  public var skipped = 0
  /// The first bad lines, at most 20.
  public var examples: [DataError] = []
  /// What was found out about each file: its format, and which column was taken for what.
  public var findings: [String] = []

  /// Creates an empty report.
  public init() {}

  mutating func skip(_ error: DataError, lines: Int) {
    skipped += lines
    if examples.count < 20 { examples.append(error) }
  }
}

/// What a reader does with a line that its format does not allow.
public enum BadLinePolicy: Sendable, Codable {
  /// The first bad line is thrown.
  case fail
  /// Bad lines are left out, counted and reported in ``Dataset/report``. Headers and files that cannot be read
  /// still throw.
  case skip
}

/// How text bytes are to be read.
public enum TextEncoding: Sendable, Codable {
  /// UTF-8; other bytes are an error at their place.
  case utf8
  /// ISO 8859-1, in which every byte is a character.
  case latin1
  /// Windows-1252: ISO 8859-1 with quotation marks, dashes and the euro in place of control codes.
  case windows1252

  /// The character of a byte in an encoding of one byte each.
  func character(_ byte: UInt8) -> Unicode.Scalar {
    guard self == .windows1252, (0x80..<0xA0).contains(byte),
      let scalar = Unicode.Scalar(Self.windowsCharacters[Int(byte) - 0x80])
    else { return Unicode.Scalar(byte) }
    return scalar
  }

  /// What stands for 0x80 to 0x9F in Windows-1252. Five bytes stand for nothing, and stay control codes.
  ///
  /// Source: the index of windows-1252 in the Encoding Standard of the WHATWG.
  private static let windowsCharacters: [UInt16] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152,
    0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161,
    0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
  ]
}

/// How far a reader has come.
public struct ReadProgress: Sendable, Equatable {
  /// The file being read.
  public var path: String
  /// The bytes read so far.
  public var bytesRead: Int
  /// The size of the file.
  public var totalBytes: Int
}

/// What all readers let the caller choose.
public struct ReadOptions: Sendable {
  /// What to do with bad lines.
  public var onBadLine: BadLinePolicy
  /// The encoding of the files, `nil` for the format's own: Latin-1 for MovieLens 100K and 1M, UTF-8 otherwise.
  public var encoding: TextEncoding?
  /// Called after each block of 4 MiB.
  public var progress: (@Sendable (ReadProgress) -> Void)?

  /// Creates options; by default bad lines throw.
  public init(
    onBadLine: BadLinePolicy = .fail, encoding: TextEncoding? = nil,
    progress: (@Sendable (ReadProgress) -> Void)? = nil
  ) {
    self.onBadLine = onBadLine
    self.encoding = encoding
    self.progress = progress
  }
}
