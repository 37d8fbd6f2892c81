import Foundation
import TrestleRecommenders
import TrestleTensor

/// Several scorers as one: the weighted sum of their scores, each standardised over the catalogue for each user.
///
/// The weights are the same for all users; ``FusionWeights`` says how that differs from the fusion of a bridge's two sides.
public struct StackedScorer: CatalogueScorer {
  /// The scorers.
  public let scorers: [any CatalogueScorer]
  /// Their weights.
  public let weights: [Double]

  /// A weighted sum.
  public init(_ scorers: [any CatalogueScorer], weights: [Double]) {
    precondition(
      !scorers.isEmpty && scorers.count == weights.count
        && scorers.allSatisfy { $0.itemCount == scorers[0].itemCount },
      "StackedScorer: \(weights.count) weights, catalogues of \(scorers.map(\.itemCount)) items")
    (self.scorers, self.weights) = (scorers, weights)
  }

  /// Chooses the weights under which the users' validation items are most likely, as draws from the softmax of the sum over the
  /// items that a user does not have in training. No weight is negative; a scorer that adds nothing gets 0.
  ///
  /// - Parameters:
  ///   - scorers: of one catalogue.
  ///   - split: the weights are fitted on its validation part.
  ///   - candidates: the items that take part; `nil` for all.
  ///   - users: the most users whose validation items are looked at, evenly spaced among those who have any.
  public init(
    fitting scorers: [any CatalogueScorer], on split: DataSplit, candidates: [Int32]? = nil, users: Int = 768
  ) throws {
    let data = try StackingData(scorers, split, candidates: candidates, users: users)
    self.init(scorers, weights: data.weights())
  }

  /// The number of items.
  public var itemCount: Int { scorers[0].itemCount }

  /// Prepares every scorer that has a weight, and measures each user's scores.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    var parts: [(StandardScores, Float)] = []
    for (scorer, weight) in zip(scorers, weights) where weight != 0 {
      parts.append((try StandardScores(of: scorer, users: users), Float(weight)))
    }
    return Batch(parts: parts, userCount: users.count)
  }

  private struct Batch: UserBatchScores {
    var parts: [(StandardScores, Float)]
    let userCount: Int

    mutating func write(items: Range<Int>, into scores: inout [Float]) throws {
      let count = userCount * items.count
      for place in 0..<count { scores[place] = 0 }
      var own = [Float](repeating: 0, count: count)
      for part in parts.indices {
        try parts[part].0.write(items: items, into: &own)
        let weight = parts[part].1
        for place in 0..<count { scores[place] += weight * own[place] }
      }
    }
  }
}

/// Standardised scores of some users' candidates, with what is relevant among them.
private struct StackingData {
  struct User {
    /// `[candidates, scorers]`.
    var scores: [Float]
    var relevant: [Int]
  }

  let width: Int
  private var users: [User] = []

  init(
    _ scorers: [any CatalogueScorer], _ split: DataSplit, candidates: [Int32]?, users limit: Int
  ) throws {
    width = scorers.count
    let (training, validation) = (UserItemMatrix(split.training), UserItemMatrix(split.validation))
    let active = validation.activeUsers()
    let kept = min(max(limit, 1), active.count)
    let chosen = (0..<kept).map { active[$0 * active.count / kept] }
    let items = split.itemCount
    var isCandidate = [Bool](repeating: candidates == nil, count: items)
    for item in candidates ?? [] { isCandidate[Int(item)] = true }
    for part in chosen.chunks(ofCount: 32).map(Array.init) {
      var columns: [[Float]] = []
      for scorer in scorers {
        var own = try StandardScores(of: scorer, users: part)
        var values = [Float](repeating: 0, count: part.count * items)
        try own.write(items: 0..<items, into: &values)
        columns.append(values)
      }
      for (place, user) in part.enumerated() {
        var allowed = isCandidate
        for item in training.items(of: Int(user)) { allowed[Int(item)] = false }
        let relevant = Set(validation.items(of: Int(user)))
        var entry = User(scores: [], relevant: [])
        for item in 0..<items where allowed[item] {
          if relevant.contains(Int32(item)) { entry.relevant.append(entry.scores.count / width) }
          for column in columns { entry.scores.append(column[place * items + item]) }
        }
        if !entry.relevant.isEmpty { users.append(entry) }
      }
    }
  }

  /// The weights by Newton's method: the logarithm of the likelihood is concave. What comes out negative is left out, one at a
  /// time.
  func weights() -> [Double] {
    var kept = Array(0..<width)
    while true {
      let found = maximum(kept)
      guard let worst = found.indices.min(by: { found[$0] < found[$1] }), found[worst] < 0, kept.count > 1
      else {
        var result = [Double](repeating: 0, count: width)
        for (place, scorer) in kept.enumerated() { result[scorer] = max(found[place], 0) }
        return result.contains { $0 > 0 } ? result : [Double](repeating: 1, count: width)
      }
      kept.remove(at: worst)
    }
  }

  private func maximum(_ kept: [Int]) -> [Double] {
    var weights = [Double](repeating: 1 / Double(kept.count), count: kept.count)
    var (value, slope, curvature) = derivatives(weights, kept)
    for _ in 0..<25 {
      let size = kept.count
      guard
        let solved = try? Tensor(curvature.flatMap(\.self), shape: [size, size])
          .solving(Tensor(slope, shape: [size, 1]))
      else { break }
      var step: [Double] = solved.scalars()
      var improved = false
      for _ in 0..<8 {
        let trial = zip(weights, step).map { $0 + $1 }
        let next = derivatives(trial, kept)
        if next.value >= value {
          improved = next.value - value > 1e-7
          weights = trial
          (value, slope, curvature) = next
          break
        }
        step = step.map { $0 / 2 }
      }
      if !improved { break }
    }
    return weights
  }

  /// The mean log-likelihood of a user's relevant items, its slope and negated curvature.
  private func derivatives(
    _ weights: [Double], _ kept: [Int]
  ) -> (value: Double, slope: [Double], curvature: [[Double]]) {
    let count = kept.count
    let size = 1 + count + count * count
    let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: max(users.count, 1) * size)
    sums.initialize(repeating: 0)
    defer { sums.deallocate() }
    let target = Shared(sums)
    ThreadPool.shared.run(users.count) { user in
      Self.add(
        users[user], weights, kept, width,
        UnsafeMutableBufferPointer(rebasing: target.buffer[user * size..<(user + 1) * size]))
    }
    var total = [Double](repeating: 0, count: size)
    for user in users.indices { for place in 0..<size { total[place] += sums[user * size + place] } }
    let scale = 1 / Double(max(users.count, 1))
    total = total.map { $0 * scale }
    // A weak pull to 0 keeps weights finite where two scorers say the same.
    let pull = 1e-3
    for place in 0..<count {
      total[0] -= pull / 2 * weights[place] * weights[place]
      total[1 + place] -= pull * weights[place]
      total[1 + count + place * count + place] += pull
    }
    return (
      total[0], Array(total[1..<1 + count]),
      (0..<count).map { Array(total[1 + count + $0 * count..<1 + count + ($0 + 1) * count]) }
    )
  }

  private struct Shared: @unchecked Sendable {
    let buffer: UnsafeMutableBufferPointer<Double>
    init(_ buffer: UnsafeMutableBufferPointer<Double>) { self.buffer = buffer }
  }

  private static func add(
    _ user: User, _ weights: [Double], _ kept: [Int], _ width: Int,
    _ target: UnsafeMutableBufferPointer<Double>
  ) {
    let count = kept.count
    let candidates = user.scores.count / width
    var logits = [Double](repeating: 0, count: candidates)
    for item in 0..<candidates {
      for (place, scorer) in kept.enumerated() {
        logits[item] += weights[place] * Double(user.scores[item * width + scorer])
      }
    }
    let top = logits.max() ?? 0
    var sum = 0.0
    var first = [Double](repeating: 0, count: count)
    var second = [Double](repeating: 0, count: count * count)
    for item in 0..<candidates {
      let share = exp(logits[item] - top)
      sum += share
      for a in 0..<count {
        let x = share * Double(user.scores[item * width + kept[a]])
        first[a] += x
        for b in 0...a { second[a * count + b] += x * Double(user.scores[item * width + kept[b]]) }
      }
    }
    let relevant = Double(user.relevant.count)
    target[0] = user.relevant.reduce(0) { $0 + logits[$1] } / relevant - top - log(sum)
    for a in 0..<count {
      let own = user.relevant.reduce(0) { $0 + Double(user.scores[$1 * width + kept[a]]) } / relevant
      target[1 + a] = own - first[a] / sum
      for b in 0...a {
        let value = second[a * count + b] / sum - first[a] / sum * first[b] / sum
        target[1 + count + a * count + b] = value
        target[1 + count + b * count + a] = value
      }
    }
  }
}
