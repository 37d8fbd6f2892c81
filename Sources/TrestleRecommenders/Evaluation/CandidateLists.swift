import Foundation
import TrestleFormats
import TrestleTensor

/// Fixed candidates per user, the alternative to ranking the whole catalogue.
///
/// Figures on sampled candidates are not comparable with full ranking, nor with other candidates: the lists are saved
/// with the result.
public struct CandidateLists: Sendable, Codable, Equatable {
  /// The users that have a list, ascending.
  public let users: [Int32]
  /// The items to rank for each of ``users``, ascending and distinct.
  public let items: [[Int32]]
  /// How the lists were made, for the record.
  public let description: String

  /// Takes lists; items are sorted and repeated ones dropped.
  ///
  /// - Precondition: as many lists as users, users ascending and distinct.
  public init(users: [Int32], items: [[Int32]], description: String) {
    precondition(users.count == items.count, "CandidateLists: \(users.count) users, \(items.count) lists")
    precondition(
      zip(users, users.dropFirst()).allSatisfy { $0 < $1 }, "CandidateLists: users are not ascending")
    self.users = users
    self.items = items.map { Array(Set($0)).sorted() }
    self.description = description
  }

  /// The items to rank for a user who has a list.
  func list(of user: Int32) -> [Int32] {
    guard let index = users.sortedIndex(of: user) else {
      preconditionFailure("CandidateLists: user \(user) has no list")
    }
    return items[index]
  }

  /// For each user with test items: these, and `negatives` further items drawn uniformly without repetition from
  /// those the user has in no part of the split (all of them if there are fewer).
  public static func sampled(from split: DataSplit, negatives: Int, seed: UInt64) -> CandidateLists {
    let test = UserItemMatrix(split.test)
    let known = UserItemMatrix(
      split.training, split.validation, split.test, userCount: split.userCount, itemCount: split.itemCount)
    let users = test.activeUsers()
    let source = RandomGenerator(seed: seed)
    let lists = users.map { user -> [Int32] in
      var generator = source.split(UInt64(user))
      let free = split.itemCount - known.count(of: Int(user))
      // Floyd's sampling of places among the user's free items, each then turned into an item.
      var chosen = Set<Int>()
      for top in max(0, free - negatives)..<free {
        if !chosen.insert(generator.index(below: top + 1)).inserted { chosen.insert(top) }
      }
      return Array(test.items(of: Int(user)))
        + chosen.sorted().map { known.missingItem(of: Int(user), at: $0) }
    }
    return CandidateLists(
      users: users, items: lists,
      description: "test items and \(negatives) uniform negatives, seed \(seed), split \(split.hash)")
  }

  /// For each user with test items: these, and `negatives` further items without repetition from those that the user has in no
  /// part of the split, each drawn in proportion to its training interactions.
  ///
  /// Popular items are harder to tell from the test items than uniform ones: figures are lower, and comparable with those on
  /// the same lists only. Items without training interactions are never drawn; a user for whom there are fewer others gets all.
  public static func sampledByPopularity(
    from split: DataSplit, negatives: Int, seed: UInt64
  ) -> CandidateLists {
    let test = UserItemMatrix(split.test)
    let known = UserItemMatrix(
      split.training, split.validation, split.test, userCount: split.userCount, itemCount: split.itemCount)
    let counts = split.training.itemCounts()
    let taken = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
    let table = taken.isEmpty ? nil : AliasTable(weights: taken.map { Double(counts[Int($0)]) })
    let users = test.activeUsers()
    let source = RandomGenerator(seed: seed)
    let lists = users.map { user -> [Int32] in
      var generator = source.split(UInt64(user))
      let free = taken.filter { !known.contains(user: Int(user), item: $0) }
      guard let table, free.count > negatives else { return Array(test.items(of: Int(user))) + free }
      var chosen = Set<Int32>()
      // Drawing until it is a new one is drawing in proportion among those left; where they are few and rare, keys do that at once.
      for _ in 0..<32 * negatives where chosen.count < negatives {
        let item = taken[table.sample(&generator)]
        if !known.contains(user: Int(user), item: item) { chosen.insert(item) }
      }
      if chosen.count < negatives {
        let left = free.filter { !chosen.contains($0) }
        let keys = left.map { log(1 - generator.uniform()) / Double(counts[Int($0)]) }
        let order = left.indices.sorted { keys[$0] > keys[$1] }
        for place in order.prefix(negatives - chosen.count) { chosen.insert(left[place]) }
      }
      return Array(test.items(of: Int(user))) + chosen
    }
    return CandidateLists(
      users: users, items: lists,
      description: "test items and \(negatives) negatives by popularity, seed \(seed), split \(split.hash)")
  }

  /// Writes the lists as JSON.
  public func write(to file: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try encoder.encode(self).write(to: file, options: .atomic)
  }

  /// Reads lists that ``write(to:)`` wrote.
  ///
  /// - Throws: ``DataError`` if the file cannot be read, is not of this form, or names an item outside
  ///   `0..<itemCount` or users out of order.
  public init(contentsOf file: URL, userCount: Int, itemCount: Int) throws(DataError) {
    let lists: CandidateLists
    do {
      lists = try JSONDecoder().decode(
        CandidateLists.self, from: Data([UInt8](contentsOf: file, limit: 4 << 30)))
    } catch {
      throw .unreadable(path: file.path, reason: "\(error)")
    }
    let ordered = zip(lists.users, lists.users.dropFirst()).allSatisfy { $0 < $1 }
    guard lists.users.count == lists.items.count, ordered,
      lists.users.allSatisfy({ $0 >= 0 && Int($0) < userCount }),
      lists.items.allSatisfy({ list in list.allSatisfy { $0 >= 0 && Int($0) < itemCount } })
    else {
      throw .unreadable(
        path: file.path,
        reason:
          "expected one list per user in ascending order, ids below \(userCount) users and \(itemCount) items"
      )
    }
    self.init(users: lists.users, items: lists.items, description: lists.description)
  }
}

/// The items among which every user's list is ranked, what the user has seen left out.
///
/// Users without a relevant item among them are left out, and only these count as relevant: this is how new items, or the
/// items of a slice, are ranked among themselves. Figures are comparable between equal sets only.
public enum CandidateSet: Sendable, Codable, Equatable {
  /// The whole catalogue.
  case catalogue
  /// These items; their order and repetitions do not matter.
  case items([Int32])
  /// The items of a slice of the training data.
  case slice(ItemSlice)

  /// The items, ascending and distinct; `nil` for the catalogue.
  func items(_ slices: ItemSlices) -> [Int32]? {
    switch self {
    case .catalogue, .slice(.all): return nil
    case .slice(let slice): return slices.items(of: slice)
    case .items(let items):
      precondition(
        items.allSatisfy { $0 >= 0 && Int($0) < slices.slices.count },
        "CandidateSet: an item is outside 0..<\(slices.slices.count)")
      return Set(items).sorted()
    }
  }
}
