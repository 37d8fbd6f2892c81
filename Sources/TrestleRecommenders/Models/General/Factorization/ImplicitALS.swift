import Foundation
import TrestleNN
import TrestleTensor

/// Matrix factorisation for implicit feedback by alternating least squares: score(u, i) = ⟨wᵤ, hᵢ⟩.
///
/// With S the distinct pairs of the training data and c their weights (1 unless given), a sweep solves in closed form,
/// first for all users and then for all items, what lowers
///
/// L = Σ₍ᵤ,ᵢ₎∈S c(u, i) (⟨wᵤ, hᵢ⟩ − 1)² + α Σᵤ Σᵢ ⟨wᵤ, hᵢ⟩² + Σᵤ λᵤ ‖wᵤ − aᵤ‖² + Σᵢ λᵢ ‖hᵢ − bᵢ‖²,
///
/// λᵤ = λ (|Iᵤ| + α · items)^ν and λᵢ = λ (|Uᵢ| + α · users)^ν, where the prior rows a and b are 0 unless ``userPrior`` and
/// ``itemPrior`` are set. A sweep takes time (pairs · width² + rows · width³); it runs on all threads, and its bits depend
/// neither on their number nor on anything but the data, the settings and the generator.
///
/// Source: Hu, Koren and Volinsky, *Collaborative Filtering for Implicit Feedback Datasets* (2008); the weight of the
/// unobserved pairs and the regularisation scaled by frequency: Rendle et al., *Revisiting the Performance of iALS on Item
/// Recommendation Benchmarks* (2021). Hu et al. also weight a pair's target by c + α; here it is c.
public final class ImplicitALS: EmbeddingRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of sweeps of ``ImplicitALS/fit(progress:)``.
    public var sweeps = 16
    /// α, the weight of every pair, against 1 for those of the training data.
    public var unobservedWeight = 0.1
    /// λ, the regularisation before it is scaled.
    public var regularization = 0.01
    /// ν: 1 regularises a row in proportion to its number of pairs, 0 all rows alike.
    public var frequencyExponent = 1.0
    /// The deviation of the first rows, times the square root of the width.
    public var deviation = 0.1

    /// The defaults.
    public init() {}
  }

  /// iALS.
  public let name = "iALS"
  /// How the model was built.
  public let configuration: Configuration
  /// The rows, `[users, dimension]` and `[items, dimension]`.
  public private(set) var representations: Representations
  /// aᵤ, what the users' rows are drawn to, `[users, dimension]`; `nil` for 0.
  public var userPrior: Tensor? { didSet { check(userPrior, representations.users, "userPrior") } }
  /// bᵢ, what the items' rows are drawn to, `[items, dimension]`; `nil` for 0. An item that nobody has takes its row.
  public var itemPrior: Tensor? { didSet { check(itemPrior, representations.items, "itemPrior") } }
  /// The number of sweeps done.
  public private(set) var sweepCount = 0
  private let byUser: WeightedRows
  private let byItem: WeightedRows

  /// A model with rows drawn from the normal distribution; ``fit(progress:)`` or ``sweep()`` trains it.
  ///
  /// - Parameters:
  ///   - training: repeated pairs count once, or with the sum of their weights.
  ///   - weights: c, one positive weight for each row of `training`; `nil` for 1.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the items' first rows.
  /// - Precondition: the width is positive, the penalty and the weights are positive, α is not negative.
  public init(
    training: Interactions, weights: [Float]? = nil, configuration: Configuration? = nil,
    dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      configuration.dimension > 0 && configuration.regularization > 0 && configuration.unobservedWeight >= 0,
      "ImplicitALS: width \(configuration.dimension), penalty \(configuration.regularization), "
        + "unobserved weight \(configuration.unobservedWeight)")
    precondition(
      weights.map { $0.count == training.count && $0.allSatisfy { $0 > 0 && $0.isFinite } } ?? true,
      "ImplicitALS: \(weights?.count ?? 0) positive weights for \(training.count) rows")
    self.configuration = configuration
    byUser = WeightedRows(training, weights)
    byItem = byUser.transposed()
    let deviation = configuration.deviation / Double(configuration.dimension).squareRoot()
    let items = Tensor.normal(
      [training.itemCount, configuration.dimension], deviation: deviation, dtype: dtype, using: &generator)
    representations = Representations(
      users: .zeros([training.userCount, configuration.dimension], dtype: dtype), items: items)
  }

  /// The number of users.
  public var userCount: Int { byUser.rowCount }
  /// The number of items.
  public var itemCount: Int { byUser.columnCount }

  /// The rows.
  public func embeddings() -> Representations { representations }

  /// A snapshot of the rows that scores by inner products.
  public func makeScorer() -> any CatalogueScorer {
    InnerProductScorer(
      Representations(
        users: representations.users.converted(to: .float32),
        items: representations.items.converted(to: .float32)))
  }

  /// Goes on with given rows instead of drawn ones.
  ///
  /// - Precondition: the rows have the model's shapes and type.
  public func start(from rows: Representations) {
    check(rows.users, representations.users, "start: users")
    check(rows.items, representations.items, "start: items")
    representations = Representations(users: rows.users.detached.dense(), items: rows.items.detached.dense())
  }

  /// Runs the configured number of sweeps.
  ///
  /// - Parameter progress: called after each sweep with the number done.
  public func fit(progress: (Int) -> Void = { _ in }) {
    for _ in 0..<configuration.sweeps {
      sweep()
      progress(sweepCount)
    }
  }

  /// Solves for all users, then for all items.
  public func sweep() {
    let users = solver(against: representations.items, prior: userPrior).solve(byUser)
    let items = solver(against: users, prior: itemPrior).solve(byItem)
    representations = Representations(users: users, items: items)
    sweepCount += 1
  }

  /// The row of a user with the given items: what a sweep would give a user of the training data who has these.
  ///
  /// - Parameters:
  ///   - items: distinct items of the catalogue; without any the row is 0.
  ///   - weights: c for each item; `nil` for 1.
  /// - Returns: `[dimension]`.
  public func userRow(items: [Int32], weights: [Float]? = nil) -> Tensor {
    row(items, weights, against: representations.items, "userRow")
  }

  /// The row of an item with the given users; see ``userRow(items:weights:)``.
  public func itemRow(users: [Int32], weights: [Float]? = nil) -> Tensor {
    row(users, weights, against: representations.users, "itemRow")
  }

  /// L, computed in `float64`.
  public func objective() -> Double {
    let users = representations.users.converted(to: .float64)
    let items = representations.items.converted(to: .float64)
    var sum = 0.0
    for user in 0..<userCount {
      let entries = byUser.entries(of: user)
      guard !entries.isEmpty else { continue }
      let rows = items.gatheredRows(Tensor(Array(byUser.columns[entries])))
      let scores: [Double] = users.sliced(user..<user + 1, along: 0).matmul(rows, transposingOther: true)
        .scalars()
      for (score, entry) in zip(scores, entries) {
        sum += Double(byUser.weights?[entry] ?? 1) * (score - 1) * (score - 1)
      }
    }
    let products = users.matmul(users, transposingSelf: true) * items.matmul(items, transposingSelf: true)
    sum += configuration.unobservedWeight * products.sum().item
    sum += penalty(users, userPrior, byUser) + penalty(items, itemPrior, byItem)
    return sum
  }

  private func penalty(_ rows: Tensor, _ prior: Tensor?, _ pairs: WeightedRows) -> Double {
    let distances = prior.map { rows - $0.converted(to: .float64) } ?? rows
    let lengths: [Double] = distances.squared().sum(along: [1]).scalars()
    return lengths.indices.reduce(0) { sum, row in
      sum + regularization(pairs.entries(of: row).count, pairs.columnCount) * lengths[row]
    }
  }

  /// λ of a row with `count` pairs out of `others`.
  private func regularization(_ count: Int, _ others: Int) -> Double {
    configuration.regularization
      * pow(Double(count) + configuration.unobservedWeight * Double(others), configuration.frequencyExponent)
  }

  private func solver(against rows: Tensor, prior: Tensor?) -> LeastSquaresRows {
    LeastSquaresRows(
      rows: rows, unobservedWeight: configuration.unobservedWeight, prior: prior?.detached.dense()
    ) { [self] count in regularization(count, rows.shape[0]) }
  }

  private func row(_ others: [Int32], _ weights: [Float]?, against rows: Tensor, _ what: String) -> Tensor {
    precondition(
      (weights?.count ?? others.count) == others.count && Set(others).count == others.count
        && others.allSatisfy { $0 >= 0 && Int($0) < rows.shape[0] },
      "ImplicitALS.\(what): \(others.count) numbers below \(rows.shape[0]), \(weights?.count ?? 0) weights")
    let pairs = WeightedRows(
      offsets: [0, others.count], columns: others, weights: weights, columnCount: rows.shape[0])
    return solver(against: rows, prior: nil).solve(pairs).squeezed(0)
  }

  private func check(_ rows: Tensor?, _ expected: Tensor, _ what: String) {
    precondition(
      rows.map { $0.shape == expected.shape && $0.dtype == expected.dtype } ?? true,
      "ImplicitALS.\(what): rows \(rows.map { "\($0.dtype) \($0.shape)" } ?? ""), "
        + "expected \(expected.dtype) \(expected.shape)")
  }
}

/// Pairs in compressed sparse rows, with a weight for each.
struct WeightedRows: Sendable {
  let offsets: [Int]
  let columns: [Int32]
  /// `nil` if all are 1.
  let weights: [Float]?
  let columnCount: Int

  init(offsets: [Int], columns: [Int32], weights: [Float]?, columnCount: Int) {
    (self.offsets, self.columns, self.weights, self.columnCount) = (offsets, columns, weights, columnCount)
  }

  /// The distinct pairs of interactions, by user; the weights of repeated ones add up.
  init(_ interactions: Interactions, _ given: [Float]?) {
    let matrix = UserItemMatrix(interactions)
    var sums = given.map { _ in [Float](repeating: 0, count: matrix.count) }
    for (index, weight) in (given ?? []).enumerated() {
      let user = Int(interactions.users[index])
      let row = matrix.offsets[user]..<matrix.offsets[user + 1]
      let place = row.partitionPoint { matrix.items[$0] < interactions.items[index] }
      sums?[place] += weight
    }
    self.init(
      offsets: matrix.offsets, columns: matrix.items, weights: sums, columnCount: interactions.itemCount)
  }

  var rowCount: Int { offsets.count - 1 }

  func entries(of row: Int) -> Range<Int> { offsets[row]..<offsets[row + 1] }

  func transposed() -> WeightedRows {
    let (starts, entries) = IndexOrder.grouped(columns, below: columnCount)
    var owners = [Int32](repeating: 0, count: columns.count)
    for row in 0..<rowCount { for entry in self.entries(of: row) { owners[entry] = Int32(row) } }
    return WeightedRows(
      offsets: starts, columns: entries.map { owners[Int($0)] },
      weights: weights.map { weights in entries.map { weights[Int($0)] } }, columnCount: rowCount)
  }
}
