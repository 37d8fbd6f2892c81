import TrestleRecommenders
import TrestleTensor

/// What a language model wrote about a recommender's rows, as the mean of a Gaussian prior of theirs.
///
/// An entity with n training interactions, whose row is e, has the prior p with confidence c: its posterior is
/// (n · e + κ c · p) / (n + κ c). So an entity without interactions is its prior, and one with many keeps its row; κ says how many
/// interactions a sure prior is worth, and is chosen on validation data.
package struct RowPrior {
  /// p, `[entities, width]`; zeros where the language model has said nothing.
  package let rows: Tensor
  /// c, `[entities]`, from 0 to 1.
  package let confidences: Tensor

  /// κ: none, and from a part of an interaction to a hundred.
  static let strengths = [0, 0.3, 1, 3, 10, 30, 100]

  private init(rows: Tensor, confidences: Tensor) {
    (self.rows, self.confidences) = (rows, confidences)
  }

  /// A prior whose confidence is the share of the rows' variance that it explains.
  ///
  /// - Parameters:
  ///   - rows: predictions of each row that were made without it, `[entities, width]`.
  ///   - actual: the rows, `[entities, width]`.
  ///   - weights: how much each counts, `[entities]`.
  package init(rows: Tensor, of actual: Tensor, weights: [Float]) {
    self.rows = rows.detached
    let says: [Bool] = rows.detached.squared().sum(along: [1]).floats.map { $0 > 0 }
    let counting = zip(weights, says).map { $1 ? $0 : 0 }
    let column = Tensor(counting, shape: [counting.count, 1])
    let total = Double(counting.reduce(0, +))
    guard total > 0 else {
      confidences = .zeros([weights.count])
      return
    }
    let mean = (actual * column).sum(along: [0]) * (1 / total)
    let variance = ((actual - mean).squared() * column).sum().item
    let residual = ((actual - rows.detached).squared() * column).sum().item
    let share = variance > 0 ? Float(min(max(1 - residual / variance, 0), 1)) : 0
    confidences = Tensor(says.map { $0 ? share : 0 })
  }

  /// The rows drawn to the prior, `[entities, width]`.
  ///
  /// - Parameters:
  ///   - own: e.
  ///   - counts: n, `[entities]`.
  ///   - strength: κ.
  package func posterior(_ own: Tensor, counts: [Int32], strength: Double) -> Tensor {
    let shares = zip(counts, confidences.floats).map { count, confidence -> Float in
      let weight = Double(confidence) * strength
      return weight > 0 ? Float(weight / (weight + Double(count))) : 0
    }
    let column = Tensor(shares, shape: [shares.count, 1])
    return own + (rows - own) * column
  }
}

extension RowPrior {
  private static func name(_ kind: EntityKind) -> String { "prior.\(kind.rawValue)s" }

  func save(_ kind: EntityKind, into state: inout BridgeState) {
    state.tensors["\(Self.name(kind)).rows"] = rows
    state.tensors["\(Self.name(kind)).confidences"] = confidences
  }

  /// The prior that was saved; `nil` if there is none.
  static func saved(_ kind: EntityKind, in state: BridgeState, shape: Shape) throws(BridgeError) -> RowPrior?
  {
    let name = name(kind)
    guard state.tensors["\(name).rows"] != nil else { return nil }
    let rows = try state.finiteTensor("\(name).rows", shape: shape)
    return RowPrior(rows: rows, confidences: try state.shares("\(name).confidences", shape: [shape[0]]))
  }
}

extension BDLMStrategy {
  /// The recommender's scorer; where the language model has written, with the rows drawn to it by the strength under which validation
  /// items are ranked best, none among the choices.
  func domainScorer(_ context: BridgeContext) throws -> any CatalogueScorer {
    let plain = try context.domain.scores.makeScorer()
    guard configuration.fitsPrior, !configuration.sharing.isNormalized, !priors.isEmpty,
      let own = (plain as? InnerProductScorer)?.representations,
      own.items.shape[1] == configuration.sharing.width
    else { return plain }
    let best = try RowPrior.chosen(among: priors, of: own, split: context.split)
    context.log("the language model's rows, where sure, count as \(best.strength) interactions")
    return best.strength == 0 ? plain : InnerProductScorer(best.rows)
  }
}

extension RowPrior {
  /// A recommender's rows drawn to priors by the strength under which validation items are ranked best, none among the choices.
  ///
  /// - Parameters:
  ///   - priors: by kind; rows of a kind without one stay.
  ///   - own: the recommender's rows.
  ///   - split: its training part says how many interactions each entity has.
  ///   - candidates: the items that are ranked; `nil` for all.
  static func chosen(
    among priors: [EntityKind: RowPrior], of own: Representations, split: DataSplit,
    candidates: [Int32]? = nil
  ) throws -> (strength: Double, rows: Representations) {
    var evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)], userLimit: 2000)
    if let candidates { evaluation.candidates = .items(candidates) }
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    let counts = [EntityKind.user: split.training.userCounts(), .item: split.training.itemCounts()]
    func drawn(_ kind: EntityKind, _ rows: Tensor, _ strength: Double) -> Tensor {
      priors[kind]?.posterior(rows, counts: counts[kind] ?? [], strength: strength) ?? rows
    }
    let best = try strengths.best { strength in
      let rows =
        strength == 0
        ? own
        : Representations(
          users: drawn(.user, own.users, strength), items: drawn(.item, own.items, strength))
      return (try evaluator.evaluate(InnerProductScorer(rows)).mean(.ndcg(10)) ?? 0, (strength, rows))
    }
    return best.map { ($0.made.0, $0.made.1) } ?? (0, own)
  }
}
