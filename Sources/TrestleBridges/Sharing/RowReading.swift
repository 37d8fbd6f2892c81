import TrestleRecommenders
import TrestleTensor

/// Rows of items that nobody has touched, read off what a model makes of their texts.
///
/// The map is fitted on the items with interactions, and chosen among several by how well it ranks held-out items.
public struct RowReading {
  /// What a model makes of every item's text, `[items, hidden]`; of two readers what the first one makes.
  public let readings: Tensor
  /// What a second reader makes of it, and which reader has learnt from each item: 0, 1, or −1 for neither.
  let second: (readings: Tensor, halves: [Int8])?
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
    second = nil
  }

  /// A reading by two readers, each with a map fitted on the half of the items that it has learnt from: an item's row is what the
  /// other one predicts, that of an item of neither half the mean of both.
  ///
  /// - Parameters:
  ///   - readings: what each makes of every item's text, `[items, hidden]`.
  ///   - halves: which has learnt from each item: 0, 1, or −1 for neither.
  ///   - rows: the rows of users and items that scores are computed from.
  ///   - weights: how much each item counts in a fit, `[items]`.
  ///   - maps: the maps to choose among.
  init(
    _ readings: (Tensor, Tensor), halves: [Int8], rows: Representations, weights: [Float],
    maps: [KernelRidge.Configuration]
  ) {
    (self.readings, second) = (readings.0, (readings.1, halves))
    (self.rows, self.weights, self.maps) = (rows, weights, maps)
  }

  /// The rows that a map predicts of all items.
  private func predicted(_ map: KernelRidge.Configuration) -> Tensor {
    func fitted(_ readings: Tensor, half: Int8?) -> Tensor {
      let halves = second?.halves ?? []
      let counting = weights.indices.map { half == nil || halves[$0] == half ? weights[$0] : 0 }
      return KernelRidge(
        inputs: readings, outputs: rows.items, weights: counting, scaling: InputScaling(fitting: readings),
        configuration: map)(readings)
    }
    guard let second else { return fitted(readings, half: nil) }
    return second.halves.byTheOther(fitted(readings, half: 0), fitted(second.readings, half: 1))
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
    let best = try maps.best { map in
      let predicted = predicted(map)
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
