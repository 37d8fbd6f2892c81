/// Where a record has what an interaction is made of.
struct InteractionFields {
  let user: Int
  let item: Int
  let rating: Int?
  let time: Int?
}

/// Where a record has what is known of an item.
struct ItemFields {
  let title: Int?
  let genres: Int?
  /// What stands between genres; empty for one genre a record.
  let genreSeparator: String
  let year: Int?
  let text: Int?
  var creator: Int?

  /// Takes over what a record says of `item`; a year that is no whole number is unknown.
  func read(_ reader: RecordReader, of item: Int, into items: inout ItemAttributes) {
    if let title { items.titles[item] = reader.text(title) }
    if let genres {
      items.genres[item] =
        genreSeparator.isEmpty
        ? [reader.text(genres)] : reader.text(genres).split(separator: genreSeparator).map(String.init)
    }
    if let year {
      items.years[item] = NumberParser.integer(reader.buffer, reader.fields[year]).map(Int.init)
    }
    if let text { items.texts[item] = reader.text(text) }
    if let creator { items.creators[item] = reader.text(creator) }
  }
}
