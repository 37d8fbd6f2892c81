import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A data set, saved as a cache and opened again.
@Suite struct DatasetCacheTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder(inMemory: true) }

  private var file: URL { folder.url.appending(path: "data.safetensors") }

  private func whole() -> Dataset {
    var items = ItemAttributes(count: 3)
    (items.titles, items.genres) = (["Emma", "", "Ikiru"], [["a", "b"], [], ["é"]])
    (items.years, items.texts, items.creators) = ([1996, nil, -3], ["x", "", ""], ["", "Austen", ""])
    items.details = [
      ItemDetail(name: "publisher", values: ["p", "", "q"]), ItemDetail(name: "empty", values: ["", "", ""]),
    ]
    return Dataset(
      name: "films",
      interactions: Interactions(
        users: [0, 1, 1], items: [2, 0, 1], ratings: [3, 1.5, 5], timestamps: [-1, 1 << 40, 7], userCount: 2,
        itemCount: 3), userIDs: IDMap(["ann", "zoë"]), itemIDs: IDMap(["1", "", "三"]), items: items,
      userTexts: ["age 24", ""])
  }

  private func expectEqual(_ found: Dataset, _ expected: Dataset) {
    #expect(found.name == expected.name && found.items == expected.items)
    #expect(found.userIDs == expected.userIDs && found.itemIDs == expected.itemIDs)
    #expect(found.interactions.hash == expected.interactions.hash)
    #expect(found.interactions.ratings == expected.interactions.ratings)
    #expect(found.interactions.timestamps == expected.interactions.timestamps)
    #expect(found.userTexts == expected.userTexts && found.report == nil)
  }

  @Test func whatWasSavedIsOpened() throws {
    try whole().saveCache(to: file)
    expectEqual(try Dataset(cache: file), whole())
    // Another takes its place; without anything but interactions.
    let plain = Dataset(
      name: "", interactions: Interactions(users: [], items: [], userCount: 0, itemCount: 0),
      userIDs: IDMap(),
      itemIDs: IDMap())
    try plain.saveCache(to: file)
    expectEqual(try Dataset(cache: file), plain)
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (60, 40, 700)
    let made = try SyntheticWorld(world, seed: 1).dataset()
    try made.saveCache(to: file)
    expectEqual(try Dataset(cache: file), made)
    #expect(try Dataset(cache: file).userIDs.index(of: made.userIDs[7]) == 7)
  }

  /// Opens the file with one of its parts replaced.
  private func message(
    _ name: String, _ source: SafetensorsSource?, metadata change: (inout [String: String]) -> Void = { _ in }
  ) throws -> String {
    try whole().saveCache(to: file)
    let saved = try SafetensorsFile(file, access: .copied)
    var sources = try saved.names.filter { $0 != name }.map { name in
      let entry = try saved.entry(name)
      return SafetensorsSource(
        name: name, type: entry.type, shape: entry.shape,
        bytes: try saved.bytes(of: name).withUnsafeBytes { Array($0) })
    }
    if let source { sources.append(source) }
    var metadata = saved.metadata
    change(&metadata)
    try SafetensorsWriter.write(sources, metadata: metadata, to: file)
    do { _ = try Dataset(cache: file) } catch { return "\(error)" }
    return "no error"
  }

  private func source<Value: FixedWidthInteger>(
    _ name: String, _ type: SafetensorsType, _ values: [Value]
  ) -> SafetensorsSource {
    SafetensorsSource(
      name: name, type: type, shape: [values.count], bytes: values.withUnsafeBytes { Array($0) })
  }

  @Test func partsThatDoNotFitAreRefused() throws {
    func expect(
      _ name: String, _ source: SafetensorsSource?, _ words: String,
      at location: SourceLocation = #_sourceLocation
    ) throws {
      let found = try message(name, source)
      #expect(found.contains(words) && found.hasPrefix(file.path), "\(found)", sourceLocation: location)
    }
    for name in ["users", "items", "user_ids.ends", "item_ids.bytes", "details.1.ends", "titles.bytes"] {
      try expect(name, nil, "incomplete")
    }
    try expect("users", source("users", .int32, [0, 1, 2] as [Int32]), "indices below 2, found 2 in row 2")
    try expect("items", source("items", .int32, [0, -1, 2] as [Int32]), "indices below 3, found -1 in row 1")
    try expect("items", source("items", .int32, [0, 1] as [Int32]), "expected I32 [3], found I32 [2]")
    try expect("items", source("items", .int64, [2, 0, 1] as [Int64]), "expected I32 [3], found I64 [3]")
    try expect("items", source("items", .int32, [2, 0, 2] as [Int32]), "at interactions: expected the hash")
    try expect("ratings", source("ratings", .uint32, [0, 0, 0] as [UInt32]), "expected F32 [3]")
    try expect("timestamps", source("timestamps", .int64, [0] as [Int64]), "expected I64 [3]")
    for ends in [[3, 2], [-1, 7], [3, 9], [3, 6], [3, Int64.max], [3, 4]] as [[Int64]] {
      try expect("user_ids.ends", source("user_ids.ends", .int64, ends), "at user_ids")
    }
    let bytes = source("user_ids.bytes", .uint8, [0xFF, 0xFE, 0x61, 0x62, 0x63, 0x64, 0x65] as [UInt8])
    try expect("user_ids.bytes", bytes, "texts in UTF-8, found other bytes at 0")
    try expect(
      "item_ids.ends", source("item_ids.ends", .int64, [0, 0, 4] as [Int64]), "expected distinct ids")
    let other = source("user_ids.bytes", .uint8, Array("annzoxy".utf8))
    try expect("user_ids.bytes", other, "at ids: expected the hash")
    for counts in [[2, 0, 2], [2, 0, 0], [-1, 3, 1], [Int64.max, 0, 0]] as [[Int64]] {
      try expect("genres.counts", source("genres.counts", .int64, counts), "at genres")
    }
    try expect("years", source("years", .int64, [1] as [Int64]), "expected I64 [3]")
    #expect(
      try message("", nil) { $0["format"] = "trestle-dataset-9" }.contains("found trestle-dataset-9"))
    #expect(try message("", nil) { $0["interactions"] = nil }.contains("the hash of what was saved"))
    #expect(try message("", nil) == "no error")
  }

  @Test func damagedFilesAreOpenedOrRefused() throws {
    try whole().saveCache(to: file)
    let bytes = try [UInt8](Data(contentsOf: file))
    var refused = 0
    for place in bytes.indices {
      for value in [0, 0xFF, bytes[place] ^ 1] as [UInt8] where value != bytes[place] {
        var changed = bytes
        changed[place] = value
        try Data(changed).write(to: file)
        do { _ = try Dataset(cache: file) } catch { refused += 1 }
      }
    }
    #expect(refused > bytes.count / 2, "\(refused)")
  }
}
