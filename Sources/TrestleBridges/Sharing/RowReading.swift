import TrestleRecommenders
import TrestleTensor

/// Rows of items that nobody has touched, read off what a model makes of their texts.
///
/// The map is fitted on the items with interactions, and chosen among several by how well it ranks held-out items.
public struct RowReading {
  /// What a model makes of every item's text, `[items, hidden]`.
  public let readings: Tensor
  /// The rows of users and items that scores are computed from; those of items of weight 0 are not looked at.
  public let rows: Representations
  /// How much each item counts in the fit, `[items]`; 0 for items without interactions.
  public let weights: [Float]
  /// The maps to choose among.
  public let maps: [KernelRidge.Configuration]

  /// A reading of texts in the terms of a recommender's rows.
  public init(
    readings: Tensor, rows: Representations, weights: [Float],
    maps: [KernelRidge.Configuration] = KernelRidge.Configuration.candidates
  ) {
    precondition(
      readings.shape[0] == rows.items.shape[0] && weights.count == readings.shape[0] && !maps.isEmpty,
      "RowReading: readings \(readings.shape), rows \(rows.items.shape), \(weights.count) weights, \(maps.count) maps"
    )
    self.readings = readings
    self.rows = rows
    self.weights = weights
    self.maps = maps
  }

  /// Several readings of the same items as one, `[items, the widths' sum]`: each is scaled by ``InputScaling`` first, so that
  /// all count alike.
  public static func sideBySide(_ readings: [Tensor]) -> Tensor {
    if readings.count == 1 { return readings[0] }
    return Tensor.concatenated(readings.map { InputScaling(fitting: $0)($0) }, along: 1)
  }

  /// The map whose rows rank `items` best on the validation data, its NDCG@10 among them, and its rows for all items.
  ///
  /// - Parameters:
  ///   - split: its validation part is ranked.
  ///   - items: the items that are ranked.
  ///   - userLimit: the most users that are looked at; `nil` for all.
  public func best(
    on split: DataSplit, items: [Int32], userLimit: Int? = nil
  ) throws -> (map: KernelRidge.Configuration, value: Double, rows: Tensor) {
    let evaluation = RankingEvaluator.Configuration(
      only: [.ndcg(10)], among: .items(items), userLimit: userLimit)
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    let scaling = InputScaling(fitting: readings)
    let best = try maps.best { map in
      let fitted = KernelRidge(
        inputs: readings, outputs: rows.items, weights: weights, scaling: scaling, configuration: map)
      let predicted = fitted(readings)
      let scorer = InnerProductScorer(Representations(users: rows.users, items: predicted))
      return (try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0, (map: map, rows: predicted))
    }
    return best.map { ($0.made.map, $0.figure, $0.made.rows) } ?? (maps[0], 0, rows.items)
  }

  /// The share of the variance of some items' rows that the reading explains: 1 − Σ wᵢ |yᵢ − ŷᵢ|² / Σ wᵢ |yᵢ − ȳ|².
  ///
  /// ŷ is the map fitted on all other items with a weight, ȳ their weighted mean, wᵢ the items' own weights. 0 is what one mean
  /// row explains; a map that misleads is below it.
  ///
  /// - Parameters:
  ///   - map: kernel and penalty.
  ///   - items: items with rows and weights of their own, which the map does not see.
  /// - Returns: at most 1; 0 if the items' rows do not vary, or none of the items has a weight.
  public func explainedVariance(_ map: KernelRidge.Configuration, of items: [Int32]) -> Double {
    var others = weights
    for item in items { others[Int(item)] = 0 }
    let fitted = KernelRidge(
      inputs: readings, outputs: rows.items, weights: others, scaling: InputScaling(fitting: readings),
      configuration: map)
    let ids = Tensor(items)
    let counting = Tensor(items.map { weights[Int($0)] }, shape: [items.count, 1])
    let actual = rows.items.gatheredRows(ids)
    let predicted = fitted(readings.gatheredRows(ids))
    let residual: [Float] = ((actual - predicted).squared() * counting).sum().scalars()
    let total: [Float] = ((actual - fitted.outputMean).squared() * counting).sum().scalars()
    return total[0] > 0 ? 1 - Double(residual[0]) / Double(total[0]) : 0
  }
}
