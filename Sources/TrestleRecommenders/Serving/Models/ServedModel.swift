import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// What of a fitted model answers requests: tensors that can be saved, and how scores come of them.
package struct ServedModel: Sendable {
  /// How scores are computed.
  package enum Form: String, Codable, Sendable {
    /// The number of each item's interactions.
    case popularity
    /// Inner products of users' and items' rows.
    case rows
    /// Sums of a matrix of item-to-item weights over the user's items.
    case itemWeights
    /// The same with a few weights an item.
    case neighbors
    /// Sums over the items of the most similar of the users that the model was fitted on.
    case userNeighbors
    /// A network over users' and items' rows.
    case network
    /// Inner products of a sequence model's states and the items' rows.
    case sequence
    /// Inner products of states, computed from the set of a user's items, and the items' rows.
    case set
  }

  /// How scores are computed.
  package let form: Form
  /// What is saved.
  package let tensors: [String: Tensor]
  /// How someone new gets scores, for forms of rows.
  package let folding: RowFolding
  /// The network of a ``Form/network``, ``Form/sequence`` or ``Form/set``.
  let network: ServedNetwork?
  /// The users of ``Form/userNeighbors``.
  let neighborhood: UserNeighborhood?

  init(
    form: Form, tensors: [String: Tensor], folding: RowFolding = .mean, network: ServedNetwork? = nil,
    neighborhood: UserNeighborhood? = nil
  ) {
    (self.form, self.tensors, self.folding, self.network) = (form, tensors, folding, network)
    self.neighborhood = neighborhood
  }

  /// A tensor that the form has.
  func tensor(_ name: String) -> Tensor {
    guard let tensor = tensors[name] else { preconditionFailure("ServedModel: \(form) without \(name)") }
    return tensor
  }

  /// A scorer of the users who had the items of `histories`.
  func scorer(_ histories: UserHistories, popularity: SharedArray<Float>) throws -> any CatalogueScorer {
    if let scorer = lookingScorer(histories, popularity: popularity) { return scorer }
    if form == .rows {
      return InnerProductScorer(Representations(users: tensor("users"), items: tensor("items")))
    }
    guard let network else { preconditionFailure("ServedModel: \(form) without a network") }
    return network.scorer(histories)
  }

  /// A scorer that computes nothing beforehand, but looks a user's history up when it is asked; `nil` for a form that has rows of
  /// users or a network.
  func lookingScorer(_ histories: UserHistories, popularity: SharedArray<Float>) -> (any CatalogueScorer)? {
    switch form {
    case .popularity: return RowScorer(itemCount: histories.itemCount) { _ in popularity.array }
    case .itemWeights, .neighbors:
      return RowScorer(itemCount: histories.itemCount) { user in
        itemScores(Set(histories.items(of: Int(user))).sorted())
      }
    case .userNeighbors:
      guard let neighborhood else { preconditionFailure("ServedModel: \(form) without its users") }
      return RowScorer(itemCount: histories.itemCount) { user in
        let items = Set(histories.items(of: Int(user))).sorted()
        return neighborhood.scores(of: items, excluding: Int(user))
      }
    case .rows, .network, .sequence, .set: return nil
    }
  }

  /// The scores of someone new who likes `items`, in this order; `nil` if the form has no way to them.
  func scores(liking items: [Int32]) -> [Float]? {
    switch form {
    case .popularity, .network: return nil
    case .rows: return row(liking: items)?.matmul(tensor("items"), transposingOther: true).floats
    case .itemWeights, .neighbors: return itemScores(Set(items).sorted())
    case .userNeighbors: return neighborhood?.scores(of: Set(items).sorted(), excluding: nil)
    case .sequence, .set: return network?.scores(continuing: items)
    }
  }

  /// The row of someone new who likes `items`, in this order, `[1, width]`; `nil` if scores are not inner products of rows.
  func row(liking items: [Int32]) -> Tensor? {
    switch form {
    case .rows: return folding.row(items, tensor("items"))
    case .sequence, .set: return network?.state(continuing: items)
    case .popularity, .network, .itemWeights, .neighbors, .userNeighbors: return nil
    }
  }

  /// How alike the model takes `item` and each of `others` to be; `nil` if it cannot tell.
  func similarities(of item: Int32, to others: [Int32]) -> [Float]? {
    switch form {
    case .popularity: return nil
    case .rows, .network, .sequence, .set:
      guard let table = tensors["items"] else { return nil }
      let rows = table.gatheredRows(Tensor(others)).unitNormalized()
      return rows.matmul(table.gatheredRows(Tensor([item])).unitNormalized(), transposingOther: true).floats
    case .itemWeights:
      let column = tensor("weights").gatheredRows(Tensor(others))
      return column.sliced(Int(item)..<Int(item) + 1, along: 1).floats
    case .neighbors:
      return others.map { other in
        neighbors(of: other).first { $0.item == item }?.similarity ?? 0
      }
    case .userNeighbors: return neighborhood.map { users in others.map { users.cosine(item, $0) } }
    }
  }

  /// Σ over `items` of the items' rows of weights.
  private func itemScores(_ items: [Int32]) -> [Float] {
    if form == .itemWeights {
      let weights = tensor("weights")
      guard !items.isEmpty else { return Array(repeating: 0, count: weights.shape[0]) }
      return weights.gatheredRows(Tensor(items)).sum(along: [0]).floats
    }
    var scores = [Float](repeating: 0, count: tensor("offsets").elementCount - 1)
    for item in items { for entry in neighbors(of: item) { scores[Int(entry.item)] += entry.similarity } }
    return scores
  }

  /// The items that keep `item` among their neighbours.
  private func neighbors(of item: Int32) -> [(item: Int32, similarity: Float)] {
    let bounds = tensor("offsets").sliced(Int(item)..<Int(item) + 2, along: 0).scalars(as: Int32.self)
    let range = Int(bounds[0])..<Int(bounds[1])
    guard !range.isEmpty else { return [] }
    return Array(
      zip(
        tensor("targets").sliced(range, along: 0).scalars(as: Int32.self),
        tensor("similarities").sliced(range, along: 0).floats)
    ).map { (item: $0, similarity: $1) }
  }
}

/// How a row of someone new comes of the rows of the items liked.
package enum RowFolding: Codable, Sendable, Equatable {
  /// The mean of the rows at unit length.
  case mean
  /// The row that a sweep of ``ImplicitALS`` would give.
  case leastSquares(unobservedWeight: Double, regularization: Double, exponent: Double)

  /// Whether a fitted model can have it: what is read from a file may be anything.
  package var isValid: Bool {
    switch self {
    case .mean: true
    case .leastSquares(let weight, let regularization, let exponent):
      (0...1e12).contains(weight) && (0...1e12).contains(regularization) && (-4...4).contains(exponent)
    }
  }

  /// The row for some items of the table `rows`, `[1, width]`.
  package func row(_ items: [Int32], _ rows: Tensor) -> Tensor {
    switch self {
    case .mean:
      return rows.gatheredRows(Tensor(items)).unitNormalized().mean(along: [0], keepingDimensions: true)
    case .leastSquares(let weight, let regularization, let exponent):
      let distinct = Set(items).sorted()
      let pairs = WeightedRows(
        offsets: [0, distinct.count], columns: distinct, weights: nil, columnCount: rows.shape[0])
      return LeastSquaresRows(rows: rows, unobservedWeight: weight, prior: nil) { count in
        regularization * pow(Double(count) + weight * Double(rows.shape[0]), exponent)
      }.solve(pairs)
    }
  }
}
