import TrestleRecommenders
import TrestleTensor

extension CatalogueScorer {
  /// The scores of all items, `[users, items]`.
  func allScores(of users: [Int32]) throws -> Tensor {
    var values = [Float](repeating: 0, count: users.count * itemCount)
    var batch = try prepare(users: users)
    try batch.write(items: 0..<itemCount, into: &values)
    return Tensor(values, shape: [users.count, itemCount])
  }

  /// The scores of pairs of a user and an item, in the examples' order.
  func scores(of examples: [PromptExample]) throws -> [Float] {
    var result = [Float](repeating: 0, count: examples.count)
    let places = Dictionary(grouping: examples.indices, by: { examples[$0].user })
    for users in places.keys.sorted().chunks(ofCount: 512) {
      let table = try allScores(of: Array(users)).floats
      for (row, user) in users.enumerated() {
        for place in places[user] ?? [] {
          result[place] = table[row * itemCount + Int(examples[place].item)]
        }
      }
    }
    return result
  }
}

extension RowScorer {
  /// A scorer of some users by a table of their scores.
  ///
  /// - Parameters:
  ///   - scores: `[users, items]`.
  ///   - users: whose scores the rows are, each once; others have the first row.
  init(_ scores: Tensor, of users: [Int32]) {
    let (table, count) = (scores.floats, scores.shape[1])
    let places = Dictionary(uniqueKeysWithValues: users.enumerated().map { ($1, $0) })
    self.init(itemCount: count) { user in
      let place = places[user] ?? 0
      return Array(table[place * count..<(place + 1) * count])
    }
  }
}
