import Foundation
import TrestleFormats

/// What the indices of a trained recommender stand for: the users' and items' ids, and the items' titles.
public struct Catalogue: Sendable, Equatable {
  /// The users' ids.
  public let userIDs: IDMap
  /// The items' ids.
  public let itemIDs: IDMap
  /// The items' titles, as lists show them; the id where there is none.
  public let titles: [String]

  /// The ids and titles of a data set.
  public init(_ dataset: Dataset) {
    userIDs = dataset.userIDs
    itemIDs = dataset.itemIDs
    let items = dataset.items
    titles = (0..<dataset.itemCount).map { item in
      guard !items.titles[item].isEmpty else { return dataset.itemIDs[item] }
      return items.years[item].map { "\(items.titles[item]) (\($0))" } ?? items.titles[item]
    }
  }

  /// Given ids and titles.
  ///
  /// - Precondition: there are as many titles as items.
  public init(userIDs: IDMap, itemIDs: IDMap, titles: [String]) {
    precondition(titles.count == itemIDs.count, "Catalogue: \(titles.count) titles of \(itemIDs.count) items")
    (self.userIDs, self.itemIDs, self.titles) = (userIDs, itemIDs, titles)
  }

  /// The hash of both id maps, as ``Dataset/vocabularyHash``.
  public var vocabularyHash: String {
    var hash = StableHash()
    hash.combine(userIDs.hash)
    hash.combine(itemIDs.hash)
    return hash.hexadecimal
  }

  /// The index of a user.
  ///
  /// - Throws: ``ServingError/unknownUser(id:count:examples:)``.
  public func user(_ id: String) throws(ServingError) -> Int {
    if let index = userIDs.index(of: id) { return index }
    throw .unknownUser(
      id: id, count: userIDs.count, examples: (0..<min(3, userIDs.count)).map { userIDs[$0] })
  }

  /// The index of an item.
  ///
  /// - Throws: ``ServingError/unknownItem(id:count:examples:)``.
  public func item(_ id: String) throws(ServingError) -> Int {
    if let index = itemIDs.index(of: id) { return index }
    throw .unknownItem(
      id: id, count: itemIDs.count, examples: (0..<min(3, itemIDs.count)).map { itemIDs[$0] })
  }

  /// The item whose title or id is, begins with, or contains a text, whatever the case.
  ///
  /// - Throws: ``ServingError/unknownItem(id:count:examples:)`` with the titles that have words in common.
  public func item(titled text: String) throws(ServingError) -> Int {
    // Spaces alone name nothing, as when a shell's variable is empty.
    let wanted = text.allSatisfy(\.isWhitespace) ? "" : text.lowercased()
    let lower = wanted.isEmpty ? [] : titles.map { $0.lowercased() }
    // "Alien" is "Alien (1979)" rather than "Alien: Resurrection (1997)".
    let match =
      lower.firstIndex { $0 == wanted } ?? itemIDs.index(of: text)
      ?? lower.firstIndex { $0.hasPrefix(wanted + " (") }
      ?? lower.firstIndex { $0.hasPrefix(wanted) }
      ?? lower.firstIndex { $0.contains(wanted) }
    if let match { return match }
    let words = wanted.split { !$0.isLetter && !$0.isNumber }.filter { $0.count > 3 }
    let shared = lower.map { title in words.count { title.contains($0) } }
    var near = shared.indices.filter { shared[$0] > 0 }
    near.sort { shared[$0] == shared[$1] ? $0 < $1 : shared[$0] > shared[$1] }
    let examples = (near.isEmpty ? Array(titles.indices.prefix(3)) : Array(near.prefix(3))).map {
      "“\(titles[$0])”"
    }
    throw .unknownItem(id: text, count: titles.count, examples: examples)
  }
}

extension Catalogue: Codable {
  private enum Keys: String, CodingKey { case users, items, titles }

  /// Reads the ids and titles.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    userIDs = try container.decode(IDMap.self, forKey: .users)
    itemIDs = try container.decode(IDMap.self, forKey: .items)
    titles = try container.decode([String].self, forKey: .titles)
    guard titles.count == itemIDs.count else {
      throw DecodingError.dataCorruptedError(
        forKey: .titles, in: container, debugDescription: "\(titles.count) titles of \(itemIDs.count) items")
    }
  }

  /// Writes the ids and titles.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(userIDs, forKey: .users)
    try container.encode(itemIDs, forKey: .items)
    try container.encode(titles, forKey: .titles)
  }
}
