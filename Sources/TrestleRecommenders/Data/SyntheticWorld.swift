import Foundation
import TrestleTensor

/// A made-up world of users with tastes and items with genres, texts and years, for tests and for machines without
/// data. The same configuration and seed give the same world.
///
/// Each item belongs to one or two genres and each user favours a few. A row is drawn by choosing one of the user's
/// genres, then an item of it by popularity, which follows a power law over the items of a genre; so behaviour, genres
/// and words agree, as far as ``Configuration/noise`` lets them.
public struct SyntheticWorld: Sendable, Codable {
  /// The size and character of a world.
  public struct Configuration: Sendable, Codable, Equatable {
    /// The number of users.
    public var users = 400
    /// The number of items.
    public var items = 300
    /// The number of interactions to draw; a pair that keeps repeating is given up after eight draws, so slightly
    /// fewer come out.
    public var interactions = 12_000
    /// The number of genres, 1 to 16.
    public var genres = 8
    /// The number of genres that a user favours.
    public var tastes = 2
    /// The exponent of the power law of popularity; 0 makes all items of a genre equally likely.
    public var skew = 0.8
    /// The share of rows whose item has nothing to do with the user's tastes.
    public var noise = 0.1
    /// The share of items that are drawn a hundred times more seldom than their place in the law says.
    public var coldShare = 0.1
    /// Whether items get titles and texts; without them large worlds are made faster.
    public var hasTexts = true

    /// Creates the default world: 400 users, 300 items, about 12,000 interactions.
    public init() {}
  }

  /// The configuration.
  public let configuration: Configuration
  /// The seed.
  public let seed: UInt64

  /// Describes a world; ``dataset()`` makes it.
  public init(_ configuration: Configuration = Configuration(), seed: UInt64) {
    self.configuration = configuration
    self.seed = seed
  }

  /// Makes the world.
  ///
  /// Time runs from 2020 on, in seconds: each user is active for some weeks, and rows come in the order of users and,
  /// within a user, of time.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a configuration that describes no world.
  public func dataset() throws(DataError) -> Dataset {
    try check()
    let root = RandomGenerator(seed: seed)
    let catalogue = Catalogue(configuration, root.split(1))
    let (interactions, tastes) = draw(catalogue, root)
    var attributes = ItemAttributes(count: configuration.items)
    attributes.genres = catalogue.genres.map { $0.map { SyntheticWords.genres[Int($0)].name } }
    if configuration.hasTexts {
      for item in 0..<configuration.items {
        var generator = root.split(2).split(UInt64(item))
        let words = SyntheticWords(genre: Int(catalogue.genres[item][0]), generator: &generator)
        attributes.titles[item] = words.title
        attributes.texts[item] = words.sentence
        attributes.years[item] = 1950 + generator.index(below: 74)
      }
    }
    let userTexts =
      configuration.hasTexts
      ? tastes.map { "likes " + $0.map { SyntheticWords.genres[Int($0)].name }.joined(separator: " and ") }
      : []
    return Dataset(
      name: "synthetic-\(seed)", interactions: interactions, userIDs: IDMap(numbered: configuration.users),
      itemIDs: IDMap(numbered: configuration.items), items: attributes, userTexts: userTexts)
  }

  private func check() throws(DataError) {
    func require(_ holds: Bool, _ expected: String, _ found: String) throws(DataError) {
      guard holds else {
        throw .invalidParameter(operation: "SyntheticWorld", expected: expected, found: found)
      }
    }
    let c = configuration
    try require(c.users >= 0 && c.users < Int(Int32.max), "0 to 2³¹ users", "\(c.users)")
    try require(c.items >= 0 && c.items < Int(Int32.max), "0 to 2³¹ items", "\(c.items)")
    try require(
      c.interactions >= 0 && c.interactions < Int(Int32.max), "0 to 2³¹ interactions", "\(c.interactions)")
    try require((1...SyntheticWords.genres.count).contains(c.genres), "1 to 16 genres", "\(c.genres)")
    try require((1...c.genres).contains(c.tastes), "1 to \(c.genres) tastes", "\(c.tastes)")
    try require(c.skew >= 0 && c.skew <= 4, "a skew from 0 to 4", "\(c.skew)")
    try require((0...1).contains(c.noise), "a share of noise from 0 to 1", "\(c.noise)")
    try require((0...1).contains(c.coldShare), "a share of cold items from 0 to 1", "\(c.coldShare)")
  }

  /// Draws the rows user by user, each from a stream of its own, without repeated pairs.
  private func draw(_ catalogue: Catalogue, _ root: RandomGenerator) -> (Interactions, [[UInt8]]) {
    let c = configuration
    var users: [Int32] = []
    var items: [Int32] = []
    var times: [Int64] = []
    var tastes: [[UInt8]] = []
    users.reserveCapacity(c.interactions)
    items.reserveCapacity(c.interactions)
    times.reserveCapacity(c.interactions)
    tastes.reserveCapacity(c.users)
    let quota = Quota(configuration: c)
    let streams = root.split(3)
    // The last user who got an item, to drop repeats without a set per user.
    var owner = [Int32](repeating: -1, count: c.items)
    for user in 0..<c.users {
      var generator = streams.split(UInt64(user))
      var order = (0..<UInt8(c.genres)).map { $0 }
      for place in 0..<c.tastes { order.swapAt(place, place + generator.index(below: c.genres - place)) }
      let own = Array(order.prefix(c.tastes))
      tastes.append(own)
      guard c.items > 0 else { continue }
      var time = 1_577_836_800 + Int64(generator.index(below: 3 * 365)) * 86_400
      for _ in 0..<quota.rows(of: user, &generator) {
        var found: Int32?
        for _ in 0..<8 where found == nil {
          let item =
            generator.uniform() < c.noise
            ? catalogue.item(&generator)
            : catalogue.item(of: own[generator.index(below: own.count)], &generator)
          if owner[Int(item)] != Int32(user) { found = item }
        }
        guard let item = found else { continue }
        owner[Int(item)] = Int32(user)
        time += 60 + Int64(generator.index(below: 86_400))
        users.append(Int32(user))
        items.append(item)
        times.append(time)
      }
    }
    return (
      Interactions(users: users, items: items, timestamps: times, userCount: c.users, itemCount: c.items),
      tastes
    )
  }

  /// How many rows each user gets: between half and three halves of the mean.
  private struct Quota {
    let configuration: Configuration

    func rows(of user: Int, _ generator: inout RandomGenerator) -> Int {
      let mean = Double(configuration.interactions) / Double(configuration.users)
      return Int(mean * (0.5 + generator.uniform()) + 0.5)
    }
  }

  /// The items by genre, with tables to draw them by popularity in constant time.
  private struct Catalogue {
    private(set) var genres: [[UInt8]] = []
    private var members: [[Int32]]
    private var tables: [AliasTable]
    private let everything: AliasTable?

    init(_ configuration: Configuration, _ source: RandomGenerator) {
      var generator = source
      let count = configuration.items
      members = Array(repeating: [], count: configuration.genres)
      var weights: [[Double]] = Array(repeating: [], count: configuration.genres)
      var all = [Double](repeating: 0, count: count)
      for item in 0..<count {
        let first = UInt8(generator.index(below: configuration.genres))
        var own = [first]
        if configuration.genres > 1, generator.uniform() < 0.3 {
          let other = UInt8(generator.index(below: configuration.genres - 1))
          own.append(other >= first ? other + 1 : other)
        }
        genres.append(own)
        var weight = pow(Double(1 + generator.index(below: count)), -configuration.skew)
        if generator.uniform() < configuration.coldShare { weight /= 100 }
        all[item] = weight
        for genre in own {
          members[Int(genre)].append(Int32(item))
          weights[Int(genre)].append(weight)
        }
      }
      everything = count > 0 ? AliasTable(weights: all) : nil
      tables = weights.map { AliasTable(weights: $0.isEmpty ? [1] : $0) }
    }

    /// Any item by popularity.
    func item(_ generator: inout RandomGenerator) -> Int32 {
      everything.map { Int32($0.sample(&generator)) } ?? 0
    }

    /// An item of a genre, or any item if the genre has none.
    func item(of genre: UInt8, _ generator: inout RandomGenerator) -> Int32 {
      let place = tables[Int(genre)].sample(&generator)
      return members[Int(genre)].isEmpty ? item(&generator) : members[Int(genre)][place]
    }
  }
}
