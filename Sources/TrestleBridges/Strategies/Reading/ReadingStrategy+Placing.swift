import TrestleRecommenders
import TrestleTensor

extension ReadingStrategy {
  /// A recommender's rows with written ones for the items without training interactions.
  ///
  /// - Parameters:
  ///   - written: a row for each item, `[items, width]`; those of items with interactions are not used.
  ///   - rows: the recommender's.
  ///   - split: the scale is chosen by NDCG@10 on its validation part, over the items that are known by then: those with
  ///     training interactions and those of `validationItems`.
  ///   - validationItems: the items that are new in the validation data.
  ///   - scales: the factors of the written rows to choose among.
  public static func placing(
    _ written: Tensor, into rows: Representations, split: DataSplit, validationItems: [Int32],
    scales: [Double]
  ) throws -> Representations {
    let scale = try bestScale(written, rows, split, validationItems, scales)
    return placing(written, into: rows, counts: split.training.itemCounts(), scale: scale)
  }

  private static func placing(
    _ written: Tensor, into rows: Representations, counts: [Int32], scale: Double
  ) -> Representations {
    func column(_ value: (Int32) -> Float) -> Tensor { Tensor(counts.map(value), shape: [counts.count, 1]) }
    return Representations(
      users: rows.users,
      items: rows.items * column { $0 > 0 ? 1 : 0 } + written * column { $0 > 0 ? 0 : Float(scale) })
  }

  static func bestScale(
    _ written: Tensor, _ rows: Representations, _ split: DataSplit, _ validationItems: [Int32],
    _ scales: [Double]
  ) throws -> Double {
    let counts = split.training.itemCounts()
    let known = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) } + validationItems
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)], among: .items(known))
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    var best = (value: -Double.infinity, scale: 1.0)
    for scale in scales {
      let placed = placing(written, into: rows, counts: counts, scale: scale)
      let value = try evaluator.evaluate(InnerProductScorer(placed)).mean(.ndcg(10)) ?? 0
      if value > best.value { best = (value, scale) }
    }
    return best.scale
  }
}
