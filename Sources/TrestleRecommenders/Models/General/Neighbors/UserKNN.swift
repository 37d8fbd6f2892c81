import TrestleTensor

/// User-based neighbours: an item scores by the similarity of the users who have it.
///
/// s(u, v) = |Iᵤ ∩ Iᵥ| / (√|Iᵤ| √|Iᵥ| + shrinkage + 1e-6), the cosine of the users' rows; score(u, i) = Σ of s(u, v) over those
/// of the nearest neighbours v of u, other than u, who have i.
///
/// Source: Herlocker et al., *An Algorithmic Framework for Performing Collaborative Filtering* (1999).
public final class UserKNN: Recommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// How many neighbours a user has.
    public var neighbors = 100
    /// What is added to the denominator: similarities that rest on few items fall.
    public var shrinkage = 0.0

    /// The defaults.
    public init() {}
  }

  /// UserKNN.
  public let name = "UserKNN"
  /// How the model was built.
  public let configuration: Configuration
  /// The training users, among whom neighbours are found.
  let neighborhood: UserNeighborhood

  /// Keeps the interactions; neighbours are found when a user is scored.
  ///
  /// - Parameters:
  ///   - training: repeated pairs count once.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  /// - Precondition: at least one neighbour.
  public init(training: Interactions, configuration: Configuration? = nil) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(configuration.neighbors > 0, "UserKNN: \(configuration.neighbors) neighbours")
    self.configuration = configuration
    neighborhood = UserNeighborhood(UserItemMatrix(training), configuration)
  }

  /// The number of users.
  public var userCount: Int { neighborhood.matrix.userCount }
  /// The number of items.
  public var itemCount: Int { neighborhood.matrix.itemCount }

  /// The neighbours of `user`, the most similar first; of equal ones the lower user.
  public func neighbors(of user: Int32) -> [(user: Int32, similarity: Float)] {
    neighborhood.neighbors(of: neighborhood.matrix.items(of: Int(user)), excluding: Int(user))
  }

  /// A scorer over the training histories.
  public func makeScorer() -> any CatalogueScorer {
    RowScorer(itemCount: itemCount) { [neighborhood] user in
      neighborhood.scores(of: neighborhood.matrix.items(of: Int(user)), excluding: Int(user))
    }
  }
}

/// The users among whom the neighbours of others are found.
struct UserNeighborhood: Sendable {
  /// What the users have.
  let matrix: UserItemMatrix
  let configuration: UserKNN.Configuration
  private let starts: [Int]
  private let users: [Int32]
  private let norms: [Double]

  init(_ matrix: UserItemMatrix, _ configuration: UserKNN.Configuration) {
    (self.matrix, self.configuration) = (matrix, configuration)
    (starts, users) = matrix.usersByItem()
    norms = (0..<matrix.userCount).map { Double(matrix.count(of: $0)).squareRoot() }
  }

  /// The nearest users of someone with these distinct items, the most similar first.
  ///
  /// - Parameter user: who is no neighbour: the one asked for, if it is among the users.
  func neighbors(of items: some Collection<Int32>, excluding user: Int?) -> [(user: Int32, similarity: Float)]
  {
    var counts = [Int32](repeating: 0, count: matrix.userCount)
    for item in items {
      for other in users[starts[Int(item)]..<starts[Int(item) + 1]] { counts[Int(other)] += 1 }
    }
    let norm = Double(items.count).squareRoot()
    var top = TopItems(limit: min(configuration.neighbors, matrix.userCount))
    for other in counts.indices where counts[other] > 0 && other != user {
      top.offer(Float(Double(counts[other]) / (norm * norms[other] + configuration.shrinkage + 1e-6)), other)
    }
    return top.sorted().map { ($0.item, $0.score) }
  }

  /// The scores of someone with these distinct items, `[items]`.
  func scores(of items: some Collection<Int32>, excluding user: Int?) -> [Float] {
    var scores = [Float](repeating: 0, count: matrix.itemCount)
    for neighbor in neighbors(of: items, excluding: user) {
      for item in matrix.items(of: Int(neighbor.user)) { scores[Int(item)] += neighbor.similarity }
    }
    return scores
  }

  /// The cosine of the columns of `item` and another.
  func cosine(_ item: Int32, _ other: Int32) -> Float {
    let (first, second) = (owners(of: item), owners(of: other))
    guard !first.isEmpty, !second.isEmpty else { return 0 }
    let common = Set(first).intersection(second).count
    return Float(Double(common) / (Double(first.count) * Double(second.count)).squareRoot())
  }

  private func owners(of item: Int32) -> ArraySlice<Int32> {
    users[starts[Int(item)]..<starts[Int(item) + 1]]
  }
}

/// The former name of ``UserKNN``.
@available(*, deprecated, renamed: "UserKNN")
public typealias UserNeighbors = UserKNN
