import Foundation
import TrestleFormats

extension Dataset {
  /// Saves the data set as one file from which it is opened again without any text being parsed.
  ///
  /// It is a safetensors file that other programs can read: `users` and `items` (indices), `ratings` and `timestamps` if there
  /// are any, and texts as `NAME.bytes` (UTF-8) with `NAME.ends`, where each ends: `user_ids`, `item_ids`, `titles` and so on.
  /// ``report`` is not kept.
  ///
  /// - Throws: `FormatError.cannotWrite`; an older file is intact then.
  public func saveCache(to file: URL) throws {
    var cache = CacheWriter()
    cache.add("users", .int32, interactions.users)
    cache.add("items", .int32, interactions.items)
    if let ratings = interactions.ratings { cache.add("ratings", .float32, ratings) }
    if let timestamps = interactions.timestamps { cache.add("timestamps", .int64, timestamps) }
    cache.add("user_ids", texts: userIDs.ids)
    cache.add("item_ids", texts: itemIDs.ids)
    for (name, texts) in [("titles", items.titles), ("texts", items.texts), ("creators", items.creators)]
    where texts.contains(where: { !$0.isEmpty }) { cache.add(name, texts: texts) }
    if items.genres.contains(where: { !$0.isEmpty }) {
      cache.add("genres.counts", .int64, items.genres.map { Int64($0.count) })
      cache.add("genres", texts: Array(items.genres.joined()))
    }
    if items.years.contains(where: { $0 != nil }) {
      cache.add("years", .int64, items.years.map { Int64($0 ?? CacheReader.noYear) })
    }
    cache.add("details", texts: items.details.map(\.name))
    for (index, detail) in items.details.enumerated() { cache.add("details.\(index)", texts: detail.values) }
    if !userTexts.isEmpty { cache.add("user_texts", texts: userTexts) }
    try SafetensorsWriter.write(
      cache.sources,
      metadata: [
        "format": CacheReader.format, "name": name, "interactions": interactions.hash, "ids": vocabularyHash,
      ], to: file)
  }

  /// Opens a file that ``saveCache(to:)`` wrote. It is mapped, checked and copied: it may go afterwards.
  ///
  /// - Throws: `FormatError` for a file that is none, whose parts do not fit each other, or whose interactions or ids are not
  ///   those that were saved.
  public init(cache file: URL) throws(FormatError) {
    let cache = try CacheReader(SafetensorsFile(file))
    let (userIDs, itemIDs) = (try cache.ids("user_ids"), try cache.ids("item_ids"))
    let interactions = try cache.interactions(userCount: userIDs.count, itemCount: itemIDs.count)
    let userTexts = try cache.texts("user_texts", count: userIDs.count) ?? []
    self.init(
      name: cache.file.metadata["name"] ?? "", interactions: interactions, userIDs: userIDs, itemIDs: itemIDs,
      items: try cache.attributes(count: itemIDs.count), userTexts: userTexts)
    for (key, found) in [("interactions", interactions.hash), ("ids", vocabularyHash)] {
      guard cache.file.metadata[key] == found else {
        throw cache.malformed(key, "the hash \(cache.file.metadata[key] ?? "of what was saved")", found)
      }
    }
  }
}

/// The parts of a cache before they are written.
private struct CacheWriter {
  private(set) var sources: [SafetensorsSource] = []

  mutating func add<Value: BitwiseCopyable>(_ name: String, _ type: SafetensorsType, _ values: [Value]) {
    sources.append(
      SafetensorsSource(name: name, type: type, shape: [values.count]) { writer in
        try values.withUnsafeBytes { try writer.write($0) }
      })
  }

  mutating func add(_ name: String, texts: [String]) {
    var bytes: [UInt8] = []
    var ends: [Int64] = []
    ends.reserveCapacity(texts.count)
    for text in texts {
      bytes += text.utf8
      ends.append(Int64(bytes.count))
    }
    add(name + ".bytes", .uint8, bytes)
    add(name + ".ends", .int64, ends)
  }
}

/// The parts of a cache as they are checked.
private struct CacheReader {
  static let format = "trestle-dataset-1"
  static let noYear = Int.min

  let file: SafetensorsFile

  init(_ file: SafetensorsFile) throws(FormatError) {
    self.file = file
    guard file.metadata["format"] == Self.format else {
      throw malformed("format", Self.format, file.metadata["format"] ?? "none")
    }
  }

  func malformed(_ place: String, _ expected: String, _ found: String) -> FormatError {
    .malformed(.init(file.path, at: place, expected: expected, found: found))
  }

  /// A column; `nil` if the file has none.
  private func column<Value: BitwiseCopyable>(
    _ name: String, _ type: SafetensorsType, count: Int?, of: Value.Type
  ) throws(FormatError) -> [Value]? {
    guard let entry = file.entries[ByteKey(name)] else { return nil }
    guard entry.type == type, entry.shape.count == 1, entry.shape[0] == count ?? entry.shape[0] else {
      throw malformed(
        name, "\(type.rawValue) [\(count.map(String.init) ?? "count")]",
        "\(entry.type.rawValue) \(entry.shape)")
    }
    let length = entry.shape[0]
    return try file.bytes(of: name).withUnsafeBytes { bytes in
      [Value](unsafeUninitializedCapacity: length) { buffer, filled in
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
        filled = length
      }
    }
  }

  private func missing(_ name: String) -> FormatError {
    .missing(.init(file.path, at: name, expected: "a column of a data set", found: "none"))
  }

  /// The bytes of texts and where each ends: whole characters, inside the bytes.
  private func pieces(_ name: String, count: Int?) throws(FormatError) -> (bytes: [UInt8], ends: [Int64])? {
    guard let ends = try column(name + ".ends", .int64, count: count, of: Int64.self) else { return nil }
    guard let bytes = try column(name + ".bytes", .uint8, count: nil, of: UInt8.self) else {
      throw missing(name + ".bytes")
    }
    if let place = bytes.withUnsafeBytes({ firstInvalidUTF8($0) }) {
      throw malformed(name, "texts in UTF-8", "other bytes at \(place)")
    }
    var before: Int64 = 0
    for end in ends {
      guard end >= before, end <= bytes.count, end == bytes.count || bytes[Int(end)] & 0xC0 != 0x80 else {
        throw malformed(name, "ascending ends between characters", "\(end) after \(before)")
      }
      before = end
    }
    guard before == bytes.count else { throw malformed(name, "\(before) bytes", "\(bytes.count)") }
    return (bytes, ends)
  }

  /// Texts; `nil` if the file has none of this name.
  func texts(_ name: String, count: Int?) throws(FormatError) -> [String]? {
    guard let (bytes, ends) = try pieces(name, count: count) else { return nil }
    var start = 0
    return ends.map { end in
      defer { start = Int(end) }
      return String(decoding: bytes[start..<Int(end)], as: UTF8.self)
    }
  }

  /// Distinct ids, of which there are as many as a map takes.
  func ids(_ name: String) throws(FormatError) -> IDMap {
    guard let (bytes, ends) = try pieces(name, count: nil) else { throw missing(name) }
    guard ends.count < Int(Int32.max), bytes.count <= Int(UInt32.max) else {
      throw malformed(name, "fewer than 2^31 ids of 4 GiB", "\(ends.count) of \(bytes.count) bytes")
    }
    var map = IDMap()
    var start = 0
    for (index, end) in ends.enumerated() {
      guard map.insert(bytes, start..<Int(end)) == index else {
        throw malformed(name, "distinct ids", "'\(map[map.insert(bytes, start..<Int(end))])' again")
      }
      start = Int(end)
    }
    return map
  }

  func interactions(userCount: Int, itemCount: Int) throws(FormatError) -> Interactions {
    guard let users = try column("users", .int32, count: nil, of: Int32.self) else { throw missing("users") }
    guard let items = try column("items", .int32, count: users.count, of: Int32.self) else {
      throw missing("items")
    }
    for (name, indices, count) in [("users", users, userCount), ("items", items, itemCount)] {
      if let row = indices.firstIndex(where: { $0 < 0 || Int($0) >= count }) {
        throw malformed(name, "indices below \(count)", "\(indices[row]) in row \(row)")
      }
    }
    return Interactions(
      users: users, items: items,
      ratings: try column("ratings", .float32, count: users.count, of: Float.self),
      timestamps: try column("timestamps", .int64, count: users.count, of: Int64.self), userCount: userCount,
      itemCount: itemCount)
  }

  func attributes(count: Int) throws(FormatError) -> ItemAttributes {
    var items = ItemAttributes(count: count)
    items.titles = try texts("titles", count: count) ?? items.titles
    items.texts = try texts("texts", count: count) ?? items.texts
    items.creators = try texts("creators", count: count) ?? items.creators
    if let years = try column("years", .int64, count: count, of: Int64.self) {
      items.years = years.map { Int($0) == Self.noYear ? nil : Int($0) }
    }
    if let counts = try column("genres.counts", .int64, count: count, of: Int64.self) {
      let all = try texts("genres", count: nil) ?? []
      var start = 0
      for (item, own) in counts.enumerated() {
        guard own >= 0, own <= all.count - start else {
          throw malformed(
            "genres.counts", "\(all.count) genres in all", "\(own) of item \(item) after \(start)")
        }
        items.genres[item] = Array(all[start..<start + Int(own)])
        start += Int(own)
      }
      guard start == all.count else { throw malformed("genres", "\(start) genres", "\(all.count)") }
    }
    for (index, name) in (try texts("details", count: nil) ?? []).enumerated() {
      guard let values = try texts("details.\(index)", count: count) else {
        throw missing("details.\(index)")
      }
      items.details.append(ItemDetail(name: name, values: values))
    }
    return items
  }
}
