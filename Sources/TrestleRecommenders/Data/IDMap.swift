import TrestleFormats

/// The two-way map between external ids (text) and the dense indices `0..<count` in order of first appearance.
///
/// All ids live in one array of UTF-8 bytes behind an open-addressing table, so a million ids cost their bytes plus
/// some 20 bytes each. The table's hash is seeded, so that no file's ids all collide.
public struct IDMap: Sendable {
  private var bytes: [UInt8] = []
  private var ends: [UInt32] = []
  private var slots: [Int32] = []
  /// Ids behind these, which versions of a map that share the rest have added.
  private var added = AddedIDs()

  /// Creates an empty map.
  public init() {}

  /// Creates the map of `ids` in their order; repeated ids keep their first index.
  public init(_ ids: some Sequence<String>) {
    for id in ids { insert(id) }
  }

  /// Creates the map of the ids `"0"` to `"count - 1"`.
  public init(numbered count: Int) {
    ends.reserveCapacity(count)
    for index in 0..<count { insert(String(index)) }
  }

  /// The number of ids.
  public var count: Int { ends.count + added.count }

  /// The external id of `index`.
  ///
  /// - Precondition: `index` is in `0..<count`.
  public subscript(index: Int) -> String {
    precondition(index >= 0 && index < count, "IDMap[\(index)]: expected an index below \(count)")
    if index >= ends.count { return added[index - ends.count] }
    return String(decoding: bytes[start(of: index)..<Int(ends[index])], as: UTF8.self)
  }

  /// The index of an external id, `nil` if it is unknown.
  public func index(of id: String) -> Int? {
    let key = Array(id.utf8)
    return lookUp(key, 0..<key.count) ?? added.place(of: id).map { ends.count + $0 }
  }

  /// The index of the id, which is added if it is new.
  @discardableResult
  public mutating func insert(_ id: String) -> Int {
    if added.count > 0 { self = IDMap(ids) }
    let key = Array(id.utf8)
    return insert(key, 0..<key.count)
  }

  /// The map with further ids behind its own, which it shares: the time goes by the number of the new ones.
  ///
  /// - Precondition: none of the ids is there, and none comes twice.
  package func adding(_ ids: [String]) -> IDMap {
    var result = self
    for id in ids {
      precondition(result.index(of: id) == nil, "IDMap.adding: '\(id)' is there")
      result.added.append(id)
    }
    return result
  }

  /// All external ids in the order of their indices.
  public var ids: [String] { (0..<count).map { self[$0] } }

  /// The hash of all ids in order: two maps with the same hash give the same index to the same id.
  public var hash: String {
    guard added.count == 0 else { return IDMap(ids).hash }
    var hash = StableHash()
    hash.combine(count)
    hash.combine(ends.map { Int32(bitPattern: $0) })
    hash.combine(bytes: bytes)
    return hash.hexadecimal
  }

  /// Whether one more id of so many bytes fits: there may be 2³¹ ids of 4 GiB together.
  func hasRoom(for byteCount: Int) -> Bool {
    count < Int(Int32.max) - 1 && bytes.count + byteCount <= Int(UInt32.max)
  }

  /// The index of the id spelled by `source[range]`, `nil` if it is unknown; of a map without added ids.
  func lookUp(_ source: [UInt8], _ range: Range<Int>) -> Int? {
    guard !slots.isEmpty else { return nil }
    let found = slots[slot(of: source, range)]
    return found < 0 ? nil : Int(found)
  }

  /// The index of the id spelled by the UTF-8 bytes `source[range]`, which is added if it is new.
  mutating func insert(_ source: [UInt8], _ range: Range<Int>) -> Int {
    if slots.isEmpty || ends.count * 10 >= slots.count * 7 { grow() }
    let slot = slot(of: source, range)
    if slots[slot] >= 0 { return Int(slots[slot]) }
    precondition(hasRoom(for: range.count), "IDMap.insert: more than 2³¹ ids or 4 GiB of them")
    bytes.append(contentsOf: source[range])
    ends.append(UInt32(bytes.count))
    slots[slot] = Int32(ends.count - 1)
    return ends.count - 1
  }

  private func start(of index: Int) -> Int { index == 0 ? 0 : Int(ends[index - 1]) }

  /// The slot that holds the id, or the empty one where it belongs.
  private func slot(of source: [UInt8], _ range: Range<Int>) -> Int {
    let mask = slots.count - 1
    var slot =
      Int(truncatingIfNeeded: SeededHash.hash(source, from: range.lowerBound, to: range.upperBound)) & mask
    while slots[slot] >= 0 {
      if matches(Int(slots[slot]), source, range) { return slot }
      slot = (slot + 1) & mask
    }
    return slot
  }

  private func matches(_ index: Int, _ source: [UInt8], _ range: Range<Int>) -> Bool {
    let start = start(of: index)
    guard Int(ends[index]) - start == range.count else { return false }
    for offset in 0..<range.count where bytes[start + offset] != source[range.lowerBound + offset] {
      return false
    }
    return true
  }

  private mutating func grow() {
    let size = max(64, slots.count * 2)
    slots = [Int32](repeating: -1, count: size)
    for index in 0..<ends.count {
      let range = start(of: index)..<Int(ends[index])
      var slot =
        Int(truncatingIfNeeded: SeededHash.hash(bytes, from: range.lowerBound, to: range.upperBound))
        & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(index)
    }
  }
}

extension IDMap: Equatable {
  /// Whether both maps give the same indices to the same ids.
  public static func == (first: IDMap, second: IDMap) -> Bool {
    guard first.added.count == 0, second.added.count == 0 else {
      return first.count == second.count && (0..<first.count).allSatisfy { first[$0] == second[$0] }
    }
    return first.ends == second.ends && first.bytes == second.bytes
  }
}

extension IDMap: Codable {
  /// Reads the list of ids.
  public init(from decoder: any Decoder) throws {
    let ids = try decoder.singleValueContainer().decode([String].self)
    self.init(ids)
    guard count == ids.count else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "expected distinct ids, found a repeated one")
      )
    }
  }

  /// Writes the list of ids.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(ids)
  }
}

/// Ids in order of which each version shares with the one before it what is the same.
private struct AddedIDs: Sendable {
  private var ids = SharedMap<String>()
  /// The places of the ids of each class of hashes.
  private var classes = SharedMap<[Int]>()
  private(set) var count = 0

  subscript(place: Int) -> String {
    guard let id = ids[place] else { preconditionFailure("AddedIDs[\(place)]: \(count) ids") }
    return id
  }

  func place(of id: String) -> Int? {
    count == 0 ? nil : classes[Self.classOf(id)]?.first { ids[$0] == id }
  }

  mutating func append(_ id: String) {
    let own = Self.classOf(id)
    ids.set(id, at: count)
    classes.set((classes[own] ?? []) + [count], at: own)
    count += 1
  }

  /// One of 32,768 classes: a million ids have some thirty in each.
  private static func classOf(_ id: String) -> Int { id.hashValue & 0x7FFF }
}
