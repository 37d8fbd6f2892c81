import Foundation
import TrestleRecommenders

/// How the weights of a fusion of two sides are chosen: α by the activity of a user.
///
/// A ``StackedScorer`` weighs any number of scorers, each by one number for all users. Both take the weights under which validation
/// items are most likely. Here there are classes of activity, each drawn to the common weights, and all items take part; there,
/// scorers that add nothing are left out one by one, weights are drawn to 0 a little, and items may be left out. Of two scorers
/// and one class the weights are therefore not quite the same.
public struct FusionWeights: Codable, Sendable, Equatable {
  /// The upper bounds of the activity classes but the last: training interactions of a user.
  public var bounds: [Int]
  /// α of each class, one more than bounds.
  public var alphas: [Double]

  /// One weight for all users.
  public init(alpha: Double) {
    bounds = []
    alphas = [alpha]
  }

  /// α for a user with `interactions` in training.
  public func alpha(interactions: Int) -> Double { alphas[activityClass(interactions)] }

  /// α for each user.
  public func weights(training: Interactions) -> [Float] {
    training.userCounts().map { Float(alpha(interactions: Int($0))) }
  }

  /// Fits α on the validation data: for all users, then by activity, each class drawn to the common value.
  ///
  /// The weights a and b of both sides' standardised scores are those under which a user's validation items are most
  /// likely, as draws from the softmax of the sum over the items that the user does not have in training; α = b / (a + b),
  /// within 0 and 1. Every item counts, so that the fit wavers less than the choice of the best metric of ten places.
  /// A class leaves the common weights only as far as its users support it: they are fitted as if 200 further users were
  /// like all. Without validation data α is 0.5.
  ///
  /// - Parameters:
  ///   - domain: the scorer of the domain side.
  ///   - language: the scorer of the language side.
  ///   - split: α is fitted on its validation part.
  ///   - classes: the number of activity classes, by quantiles of the users' training interactions.
  ///   - users: the most users whose validation items are looked at, evenly spaced among those who have any.
  public init(
    fitting domain: any CatalogueScorer, _ language: any CatalogueScorer, split: DataSplit, classes: Int = 3,
    users: Int = 4096
  ) throws {
    let counts = split.training.userCounts()
    let sorted = counts.sorted()
    bounds = (1..<Swift.max(classes, 1)).map {
      sorted.isEmpty ? 0 : Int(sorted[max($0 * sorted.count / classes, 1) - 1])
    }
    alphas = [Double](repeating: 0, count: bounds.count + 1)
    let likelihood = FusionLikelihood(domain: domain, language: language, split: split, users: users)
    let userClasses = counts.map { activityClass(Int($0)) }
    let common = try likelihood.maximum(from: [.init(1, 1)], classOf: { _ in 0 })[0]
    var prior = common.curvature
    if common.count > 0 { prior.scale(by: 200 / common.count) }
    let own = try likelihood.maximum(
      from: alphas.map { _ in common.weights }, prior: prior, classOf: { userClasses[Int($0)] })
    alphas = own.map { fit in
      let (a, b) = (Swift.max(fit.weights.domain, 0), Swift.max(fit.weights.language, 0))
      return a + b > 0 ? b / (a + b) : 0
    }
  }

  private func activityClass(_ interactions: Int) -> Int {
    bounds.firstIndex { interactions <= $0 } ?? bounds.count
  }
}

/// How likely the users' validation items are under weighted sums of two sides' scores.
private struct FusionLikelihood {
  struct Weights {
    var domain: Double
    var language: Double
    init(_ domain: Double, _ language: Double) { (self.domain, self.language) = (domain, language) }
  }

  /// The negated second derivatives of a log-likelihood.
  struct Curvature {
    var domain = 0.0
    var mixed = 0.0
    var language = 0.0

    mutating func scale(by factor: Double) {
      domain *= factor
      mixed *= factor
      language *= factor
    }

    func times(_ x: Weights) -> Weights {
      Weights(domain * x.domain + mixed * x.language, mixed * x.domain + language * x.language)
    }

    /// The solution of `self · x = right`; zero where it has none.
    func solve(_ right: Weights) -> Weights {
      let ridge = 1e-9 * (domain + language)
      let (p, q) = (domain + ridge, language + ridge)
      let determinant = p * q - mixed * mixed
      guard determinant > 0, determinant.isFinite else { return Weights(0, 0) }
      return Weights(
        (q * right.domain - mixed * right.language) / determinant,
        (p * right.language - mixed * right.domain) / determinant)
    }
  }

  /// A log-likelihood with its derivatives at some weights.
  struct Fit {
    var weights: Weights
    var count = 0.0
    var value = 0.0
    var slope = Weights(0, 0)
    var curvature = Curvature()
  }

  let domain: any CatalogueScorer
  let language: any CatalogueScorer
  private let training: UserItemMatrix
  private let validation: UserItemMatrix
  private let users: [Int32]

  init(domain: any CatalogueScorer, language: any CatalogueScorer, split: DataSplit, users count: Int) {
    self.domain = domain
    self.language = language
    training = UserItemMatrix(split.training)
    validation = UserItemMatrix(split.validation)
    let active = validation.activeUsers()
    let kept = min(max(count, 1), active.count)
    users = (0..<kept).map { active[$0 * active.count / kept] }
  }

  /// The weights of each class that make its users' items most likely, by Newton's method: the logarithm is concave.
  ///
  /// - Parameters:
  ///   - start: where each class begins; with a prior, its middle as well.
  ///   - prior: the curvature of a quadratic penalty around the start.
  func maximum(
    from start: [Weights], prior: Curvature? = nil, classOf: (Int32) -> Int
  ) throws -> [Fit] {
    var best: [Fit] = []
    var steps = start.map { _ in Weights(0, 0) }
    var trial = start
    for _ in 0..<20 {
      var fits = try evaluate(trial, classOf)
      for index in fits.indices {
        if let prior {
          let gap = Weights(
            fits[index].weights.domain - start[index].domain,
            fits[index].weights.language - start[index].language)
          let pull = prior.times(gap)
          fits[index].value -= (gap.domain * pull.domain + gap.language * pull.language) / 2
          fits[index].slope.domain -= pull.domain
          fits[index].slope.language -= pull.language
          fits[index].curvature.domain += prior.domain
          fits[index].curvature.mixed += prior.mixed
          fits[index].curvature.language += prior.language
        }
        if best.count <= index {
          best.append(fits[index])
        } else if fits[index].value >= best[index].value {
          best[index] = fits[index]
        } else {
          // Too far: half of the way.
          steps[index] = Weights(steps[index].domain / 2, steps[index].language / 2)
          trial[index] = Weights(
            best[index].weights.domain + steps[index].domain,
            best[index].weights.language + steps[index].language)
          continue
        }
        steps[index] = fits[index].curvature.solve(fits[index].slope)
        let gain =
          steps[index].domain * fits[index].slope.domain + steps[index].language * fits[index].slope.language
        if !(gain > 1e-7 * max(fits[index].count, 1)) { steps[index] = Weights(0, 0) }
        trial[index] = Weights(
          fits[index].weights.domain + steps[index].domain,
          fits[index].weights.language + steps[index].language)
      }
      if steps.allSatisfy({ $0.domain == 0 && $0.language == 0 }) { break }
    }
    return best
  }

  /// Each user counts once: the mean over the user's validation items.
  private func evaluate(_ weights: [Weights], _ classOf: (Int32) -> Int) throws -> [Fit] {
    var fits = weights.map { Fit(weights: $0) }
    let itemCount = domain.itemCount
    let batch = max(1, min(64, (1 << 24) / max(itemCount, 1)))
    for part in users.chunks(ofCount: batch).map(Array.init) {
      var sides = [
        try StandardScores(of: domain, users: part), try StandardScores(of: language, users: part),
      ]
      var scores = sides.map { _ in [Float](repeating: 0, count: part.count * itemCount) }
      for side in sides.indices { try sides[side].write(items: 0..<itemCount, into: &scores[side]) }
      for (place, user) in part.enumerated() {
        let range = place * itemCount..<(place + 1) * itemCount
        add(user, scores[0][range], scores[1][range], to: &fits[classOf(user)])
      }
    }
    return fits
  }

  private func add(
    _ user: Int32, _ domain: ArraySlice<Float>, _ language: ArraySlice<Float>, to fit: inout Fit
  ) {
    var candidates = [Bool](repeating: true, count: domain.count)
    for item in training.items(of: Int(user)) { candidates[Int(item)] = false }
    let (first, second) = (domain.startIndex, language.startIndex)
    let (a, b) = (fit.weights.domain, fit.weights.language)
    func score(_ item: Int) -> (Double, Double) {
      (Double(domain[first + item]), Double(language[second + item]))
    }
    var top = -Double.infinity
    for item in candidates.indices {
      let (x, y) = score(item)
      if !(x.isFinite && y.isFinite) { candidates[item] = false }
      if candidates[item] { top = max(top, a * x + b * y) }
    }
    let items = validation.items(of: Int(user)).filter { candidates[Int($0)] }
    guard !items.isEmpty else { return }
    var (sum, sumX, sumY, sumXX, sumXY, sumYY) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for item in candidates.indices where candidates[item] {
      let (x, y) = score(item)
      let weight = exp(a * x + b * y - top)
      sum += weight
      sumX += weight * x
      sumY += weight * y
      sumXX += weight * x * x
      sumXY += weight * x * y
      sumYY += weight * y * y
    }
    let (meanX, meanY) = (sumX / sum, sumY / sum)
    var (ownX, ownY) = (0.0, 0.0)
    for item in items {
      let (x, y) = score(Int(item))
      ownX += x / Double(items.count)
      ownY += y / Double(items.count)
    }
    fit.count += 1
    fit.value += a * ownX + b * ownY - top - log(sum)
    fit.slope.domain += ownX - meanX
    fit.slope.language += ownY - meanY
    fit.curvature.domain += sumXX / sum - meanX * meanX
    fit.curvature.mixed += sumXY / sum - meanX * meanY
    fit.curvature.language += sumYY / sum - meanY * meanY
  }
}
