import Foundation

extension Dataset {
  /// Reads a MovieLens data set in GroupLens' own files, whichever edition `folder` holds:
  /// - 100K: `u.data`, and `u.item` and `u.user` where they exist (Latin-1);
  /// - 1M: `ratings.dat`, and `movies.dat` and `users.dat` where they exist (Latin-1; 10M, which has no users, UTF-8);
  /// - 20M and later: `ratings.csv`, and `movies.csv` where it exists (UTF-8).
  ///
  /// The year is taken off the titles ("Toy Story (1995)"). Movies without a rating are part of the data set.
  ///
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func movieLens(at folder: URL, options: ReadOptions = ReadOptions()) throws(DataError)
    -> Dataset
  {
    func file(_ name: String) -> URL? {
      let file = folder.appending(path: name)
      return FileManager.default.fileExists(atPath: file.path) ? file : nil
    }
    var data: Dataset
    if let ratings = file("u.data") {
      data = try MovieLensFiles(
        ratings: ratings, separator: "\t", items: file("u.item"), users: file("u.user"),
        attributeSeparator: "|",
        encoding: .latin1, userColumns: ["user_id", "age", "gender", "occupation", "zip code"]
      ).read(options)
    } else if let ratings = file("ratings.dat") {
      let users = file("users.dat")
      data = try MovieLensFiles(
        ratings: ratings, separator: "::", items: file("movies.dat"), users: users, attributeSeparator: "::",
        encoding: users == nil ? .utf8 : .latin1,
        userColumns: ["user_id", "gender", "age", "occupation", "zip code"]
      ).read(options)
    } else if let ratings = file("ratings.csv") {
      var columns = DelimitedColumns()
      columns.user = "userId"
      columns.item = "movieId"
      columns.rating = "rating"
      columns.timestamp = "timestamp"
      columns.title = "title"
      columns.genres = "genres"
      data = try delimited(ratings, items: file("movies.csv"), columns: columns, options: options)
      for item in data.items.titles.indices {
        (data.items.titles[item], data.items.years[item]) = MovieLensFiles.splitYear(data.items.titles[item])
        if data.items.genres[item] == ["(no genres listed)"] { data.items.genres[item] = [] }
      }
    } else {
      throw .unreadable(path: folder.path, reason: "it holds neither u.data nor ratings.dat nor ratings.csv")
    }
    data.name = folder.lastPathComponent
    return data
  }
}

/// The older editions, whose files have no headers.
private struct MovieLensFiles {
  let ratings: URL
  let separator: String
  let items: URL?
  let users: URL?
  let attributeSeparator: String
  let encoding: TextEncoding
  let userColumns: [String]

  private var isFirstEdition: Bool { separator == "\t" }

  func read(_ options: ReadOptions) throws(DataError) -> Dataset {
    var builder = InteractionBuilder()
    var report = ReadReport()
    var reader = try RecordReader(
      ratings, separator: separator, quotes: false, encoding: encoding, options: options)
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(["user id", "item id", "rating", "timestamp"])
      try builder.append(from: reader, InteractionFields(user: 0, item: 1, rating: 2, time: 3))
    }
    var attributes = ItemAttributes(count: builder.itemIDs.count)
    if let items { try readItems(items, options, &builder.itemIDs, &attributes, &report) }
    var texts: [String] = []
    if let users { texts = try readUsers(users, options, &builder.userIDs, &report) }
    return Dataset(
      name: "", interactions: builder.build(), userIDs: builder.userIDs, itemIDs: builder.itemIDs,
      items: attributes, userTexts: texts, report: report)
  }

  private func readItems(
    _ file: URL, _ options: ReadOptions, _ ids: inout IDMap, _ attributes: inout ItemAttributes,
    _ report: inout ReadReport
  ) throws(DataError) {
    let columns =
      isFirstEdition
      ? ["movie id", "title", "release date", "video release date", "IMDb URL"] + Self.genres
      : ["movie id", "title", "genres"]
    var reader = try RecordReader(
      file, separator: attributeSeparator, quotes: false, encoding: encoding, options: options)
    var seen = SeenRows()
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(columns)
      let genres =
        isFirstEdition ? try flaggedGenres(reader) : reader.text(2).split(separator: "|").map(String.init)
      let item = try seen.insert(0, of: reader, into: &ids, what: "an item id")
      attributes.extend(to: ids.count)
      (attributes.titles[item], attributes.years[item]) = Self.splitYear(reader.text(1))
      attributes.genres[item] = genres
    }
  }

  private func flaggedGenres(_ reader: RecordReader) throws(DataError) -> [String] {
    var genres: [String] = []
    for (place, genre) in Self.genres.enumerated() {
      switch NumberParser.integer(reader.buffer, reader.fields[5 + place]) {
      case 0: continue
      case 1: if place > 0 { genres.append(genre) }
      default: throw reader.malformed(field: 5 + place, expected: "0 or 1 (\(genre))")
      }
    }
    return genres
  }

  private func readUsers(
    _ file: URL, _ options: ReadOptions, _ ids: inout IDMap, _ report: inout ReadReport
  ) throws(DataError) -> [String] {
    var reader = try RecordReader(
      file, separator: attributeSeparator, quotes: false, encoding: encoding, options: options)
    var texts = Array(repeating: "", count: ids.count)
    var seen = SeenRows()
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(userColumns)
      let user = try seen.insert(0, of: reader, into: &ids, what: "a user id")
      if user >= texts.count { texts.append("") }
      texts[user] = isFirstEdition ? Dataset.describe(reader, userColumns, except: 0) : decodedUser(reader)
    }
    return texts
  }

  /// The 1M edition's codes for age and occupation in words; unknown codes stay as they are.
  private func decodedUser(_ reader: RecordReader) -> String {
    let age = Self.ages[reader.text(2)] ?? reader.text(2)
    let code = NumberParser.integer(reader.buffer, reader.fields[3]).map { Int($0) } ?? -1
    let occupation = Self.occupations.indices.contains(code) ? Self.occupations[code] : reader.text(3)
    return "gender \(reader.text(1)), age \(age), occupation \(occupation), zip code \(reader.text(4))"
  }

  /// "Toy Story (1995)" as title and year; text that does not end so has no year.
  static func splitYear(_ text: String) -> (String, Int?) {
    let bytes = Array(text.utf8)
    let end = bytes.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
    guard end >= 6, bytes[end - 6] == UInt8(ascii: "("), bytes[end - 1] == UInt8(ascii: ")"),
      let year = NumberParser.integer(bytes, (end - 5)..<(end - 1)), year >= 0,
      bytes[end - 5] != UInt8(ascii: "+"), bytes[end - 5] != UInt8(ascii: "-")
    else { return (text, nil) }
    let title = bytes[..<(end - 6)].lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
    return (String(decoding: bytes[..<title], as: UTF8.self), Int(year))
  }

  private static let genres = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
  ]
  private static let ages = [
    "1": "under 18", "18": "18 to 24", "25": "25 to 34", "35": "35 to 44", "45": "45 to 49", "50": "50 to 55",
    "56": "56 or older",
  ]
  private static let occupations = [
    "other", "academic or educator", "artist", "clerical or admin", "college or grad student",
    "customer service",
    "doctor or health care", "executive or managerial", "farmer", "homemaker", "K-12 student", "lawyer",
    "programmer",
    "retired", "sales or marketing", "scientist", "self-employed", "technician or engineer",
    "tradesman or craftsman",
    "unemployed", "writer",
  ]
}
