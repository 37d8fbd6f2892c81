import TrestleRecommenders
import TrestleTensor

/// What a user has, weighted by how alike an item reads: neighbours by text instead of by users.
public struct TextNeighborScorer: CatalogueScorer {
  private let texts: Tensor
  private let history: UserItemMatrix

  /// Neighbours by what a model makes of the items' texts.
  ///
  /// - Parameters:
  ///   - readings: `[items, hidden]`.
  ///   - training: what the users have.
  public init(readings: Tensor, training: Interactions) {
    texts = InputScaling(fitting: readings)(readings)
    history = UserItemMatrix(training)
  }

  /// The number of items.
  public var itemCount: Int { texts.shape[0] }

  /// Adds up exp(4 (cosine − 1)) over each user's items.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    let items = Array(Set(users.flatMap { history.items(of: Int($0)) })).sorted()
    var result = [Float](repeating: 0, count: users.count * itemCount)
    if !items.isEmpty {
      let places = Dictionary(uniqueKeysWithValues: items.enumerated().map { ($1, $0) })
      var has = [Float](repeating: 0, count: users.count * items.count)
      for (place, user) in users.enumerated() {
        for item in history.items(of: Int(user)) { has[place * items.count + (places[item] ?? 0)] = 1 }
      }
      let near = ((texts.gatheredRows(Tensor(items)).matmul(texts, transposingOther: true) - 1) * 4).exp()
      result = Tensor(has, shape: [users.count, items.count]).matmul(near).floats
    }
    return WholeScores(scores: result, itemCount: itemCount, userCount: users.count)
  }
}
