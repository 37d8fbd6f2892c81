import Foundation
import TrestleRecommenders
import TrestleTensor

/// How far each user's scores are drawn to the other side's: by how much better that side ranks users of the like on validation data.
///
/// Users are parted into groups by how much they have in training. In a group whose teacher's NDCG@10 is above the student's by d,
/// with standard error s over the group's users, the weight is d / (d + s); where the teacher is no better, 0. So a teacher that is
/// worse than its student teaches nothing, and one that is better for some teaches these.
public enum DivergenceGate {
  /// The weight of every user, `[users]`, from 0 to 1.
  ///
  /// - Parameters:
  ///   - teacher: whose scores are drawn to.
  ///   - student: whose scores are drawn.
  ///   - split: both rank its validation part; users without validation items have their group's weight.
  ///   - groups: into how many groups, about alike in size, users are parted.
  ///   - userLimit: the most users that both rank; `nil` for all.
  public static func weights(
    teacher: any CatalogueScorer, student: any CatalogueScorer, split: DataSplit, groups: Int = 4,
    userLimit: Int? = 2000
  ) throws -> Tensor {
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)], userLimit: userLimit)
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    let (better, worse) = (try evaluator.evaluate(teacher), try evaluator.evaluate(student))
    var gains: [Int32: Double] = [:]
    for (user, (a, b)) in zip(
      better.users, zip(better.values(.ndcg(10)), worse.values(.ndcg(10))))
    { gains[user] = Double(a) - Double(b) }
    let counts = split.training.userCounts()
    let order = counts.indices.sorted { (counts[$0], $0) < (counts[$1], $1) }
    var result = [Float](repeating: 0, count: counts.count)
    let size = Swift.max((order.count + groups - 1) / Swift.max(groups, 1), 1)
    for group in order.chunks(ofCount: size) {
      let weight = Float(Self.weight(group.compactMap { gains[Int32($0)] }))
      for user in group { result[user] = weight }
    }
    return Tensor(result)
  }

  /// d / (d + s) of some gains; 0 if their mean is not above 0 or there are fewer than two.
  static func weight(_ gains: [Double]) -> Double {
    guard gains.count > 1 else { return 0 }
    let count = Double(gains.count)
    let mean = gains.reduce(0, +) / count
    guard mean > 0 else { return 0 }
    let variance = gains.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    return mean / (mean + (variance / count).squareRoot())
  }
}
