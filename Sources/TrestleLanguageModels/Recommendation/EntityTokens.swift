import TrestleNN
import TrestleTensor

/// Users and items as tokens beyond the vocabulary: ids, and rows of their own.
///
/// Token ids go on where the vocabulary ends: first the users, then the items. Their rows are two tables of their own,
/// so the pretrained embedding stays frozen, or quantised, and a step's gradient holds the rows of the batch alone.
///
/// ```swift
/// let entities = EntityTokens(userCount: 943, itemCount: 1682, for: model, using: &generator)
/// let states = model.hiddenStates(entities.embed(tokens, with: model), sequences: sequences)
/// ```
public final class EntityTokens: Module {
  /// The users' rows, `[users, hidden]`.
  public let users: Parameter
  /// The items' rows, `[items, hidden]`.
  public let items: Parameter
  /// The number of tokens of the model: the first user's id.
  public let vocabularySize: Int

  /// Tokens with the given rows.
  ///
  /// - Parameters:
  ///   - users: `[users, hidden]`; zero rows for none.
  ///   - items: `[items, hidden]`.
  ///   - vocabularySize: the number of tokens of the model.
  public init(users: Tensor, items: Tensor, vocabularySize: Int) {
    precondition(
      users.rank == 2 && items.rank == 2 && users.shape[1] == items.shape[1],
      "EntityTokens: users \(users.shape), items \(items.shape)")
    self.users = Parameter(users)
    self.items = Parameter(items)
    self.vocabularySize = vocabularySize
  }

  /// Tokens with random rows of the mean and spread of the model's pretrained ones.
  public convenience init(
    userCount: Int, itemCount: Int, for model: some LanguageModel, using generator: inout RandomGenerator
  ) {
    let statistics = model.embeddingStatistics()
    let random = { (count: Int, generator: inout RandomGenerator) in
      Tensor.normal([count, model.hiddenSize], deviation: statistics.deviation, using: &generator)
        + statistics.mean
    }
    self.init(
      users: random(userCount, &generator), items: random(itemCount, &generator),
      vocabularySize: model.vocabularySize)
  }

  /// Rows from vectors of another model, brought to the mean and spread of the pretrained rows.
  ///
  /// The vectors are centred, mapped to the hidden width by a random map with orthonormal rows (lengths and angles stay),
  /// scaled to the pretrained entries' deviation, and moved to their mean. Rows of another scale wreck the residual stream.
  /// - Parameters:
  ///   - vectors: `[rows, width]`, with width at most the hidden one.
  ///   - model: whose rows to match.
  ///   - map: `[width, hidden]`; by default ``orthonormalMap(from:to:using:)``.
  ///   - generator: where the map comes from.
  public static func rows(
    matching vectors: Tensor, for model: some LanguageModel, map: Tensor? = nil,
    using generator: inout RandomGenerator
  ) -> Tensor {
    precondition(
      vectors.rank == 2 && vectors.shape[1] <= model.hiddenSize,
      "EntityTokens.rows(matching:): vectors \(vectors.shape), hidden width \(model.hiddenSize)")
    let statistics = model.embeddingStatistics()
    let map = map ?? orthonormalMap(from: vectors.shape[1], to: model.hiddenSize, using: &generator)
    let centred = vectors.detached - vectors.detached.mean(along: [0])
    return centred.matmul(map).spread(by: statistics.deviation, about: statistics.mean)
  }

  /// A random `[from, to]` matrix with orthonormal rows.
  ///
  /// - Precondition: `from ≤ to`.
  public static func orthonormalMap(
    from: Int, to: Int, using generator: inout RandomGenerator
  ) -> Tensor {
    precondition(from <= to, "orthonormalMap: from \(from) to \(to), expected no fewer columns than rows")
    var rows: [[Double]] = []
    while rows.count < from {
      var row = (0..<to).map { _ in generator.normal() }
      // Gram–Schmidt, twice: the second pass removes what rounding left.
      for _ in 0..<2 {
        for other in rows {
          let dot = zip(row, other).reduce(0) { $0 + $1.0 * $1.1 }
          for index in 0..<to { row[index] -= dot * other[index] }
        }
      }
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      if length > 1e-9 { rows.append(row.map { $0 / length }) }
    }
    return Tensor(rows.joined().map { Float($0) }, shape: [from, to])
  }

  /// The number of users.
  public var userCount: Int { users.shape[0] }
  /// The number of items.
  public var itemCount: Int { items.shape[0] }
  /// The number of all tokens: vocabulary, users, items.
  public var tokenCount: Int { vocabularySize + userCount + itemCount }

  /// The token id of a user.
  public func token(user: Int) -> Int32 {
    precondition(user >= 0 && user < userCount, "EntityTokens: user \(user) is outside 0..<\(userCount)")
    return Int32(vocabularySize + user)
  }

  /// The token id of an item.
  public func token(item: Int) -> Int32 {
    precondition(item >= 0 && item < itemCount, "EntityTokens: item \(item) is outside 0..<\(itemCount)")
    return Int32(vocabularySize + userCount + item)
  }

  /// What a token id stands for.
  public enum Kind: Sendable, Hashable {
    /// A token of the vocabulary.
    case text(Int32)
    /// A user, by index.
    case user(Int)
    /// An item, by index.
    case item(Int)
  }

  /// What a token id stands for; `nil` outside all three ranges.
  public func kind(of token: Int32) -> Kind? {
    let index = Int(token)
    if index < 0 || index >= tokenCount { return nil }
    if index < vocabularySize { return .text(token) }
    if index < vocabularySize + userCount { return .user(index - vocabularySize) }
    return .item(index - vocabularySize - userCount)
  }

  /// The rows of tokens of all three kinds, `[tokens, hidden]`, in their order.
  ///
  /// - Precondition: all ids are below ``tokenCount``.
  public func embed(_ tokens: [Int32], with model: some LanguageModel) -> Tensor {
    var text: [Int32] = []
    var userRows: [Int32] = []
    var itemRows: [Int32] = []
    // Each token's kind, and its place among those of its kind.
    var places: [(kind: Int, index: Int)] = []
    places.reserveCapacity(tokens.count)
    for token in tokens {
      switch kind(of: token) {
      case .text(let id):
        places.append((0, text.count))
        text.append(id)
      case .user(let user):
        places.append((1, userRows.count))
        userRows.append(Int32(user))
      case .item(let item):
        places.append((2, itemRows.count))
        itemRows.append(Int32(item))
      case nil:
        preconditionFailure("EntityTokens.embed: token \(token) is outside 0..<\(tokenCount)")
      }
    }
    if itemRows.count == tokens.count { return items.value.gatheredRows(Tensor(itemRows)) }
    if userRows.count == tokens.count { return users.value.gatheredRows(Tensor(userRows)) }
    if text.count == tokens.count { return model.embed(text) }
    var parts: [Tensor] = []
    if !text.isEmpty { parts.append(model.embed(text)) }
    if !userRows.isEmpty { parts.append(users.value.gatheredRows(Tensor(userRows))) }
    if !itemRows.isEmpty { parts.append(items.value.gatheredRows(Tensor(itemRows))) }
    let starts = [0, text.count, text.count + userRows.count]
    return Tensor.concatenated(parts, along: 0).rows(places.map { starts[$0.kind] + $0.index })
  }
}

extension Tensor {
  /// Rows whose mean is 0, scaled so that their elements have a standard deviation, about a mean.
  package func spread(by deviation: Double, about mean: Tensor) -> Tensor {
    let own = squared().mean().item.squareRoot()
    return self * (deviation / Swift.max(own, 1e-12)) + mean
  }
}
