import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A recommender that is solved for in closed form (EASE, iALS) as the domain side of a bridge: it has no steps, and can be drawn to
/// a prior.
///
/// It is fitted when something is first asked of it, and anew whenever the prior changes. A phase in which it trains is one epoch
/// without batches: the fit, and its validation.
public final class ClosedFormSide: TrainableSide, ContextualRepresentations, ScoreProvider, PriorInjection {
  /// What is solved for.
  public enum Model: Codable, Sendable {
    /// Weights between items, drawn to ``RecommenderPrior/itemWeights(_:)``; see `FEASE`.
    case ease(FEASE.Configuration)
    /// Rows by alternating least squares, drawn to ``RecommenderPrior/rows(users:items:)``: see `ImplicitALS`. A prior is in the
    /// terms of the rows of the fit without one, from which a fit with a prior starts.
    case als(ImplicitALS.Configuration)
  }

  /// The domain side.
  public let role = SideRole.domain
  /// What is solved for.
  public let model: Model
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// Determines the rows that iALS begins with.
  public let seed: UInt64
  private let training: Interactions
  private let evaluator: RankingEvaluator
  private let metric: RankingMetric
  private var prior: RecommenderPrior?
  private var fitted: Fit?
  /// iALS without a prior.
  private var base: Representations?

  private struct Fit {
    let scorer: any CatalogueScorer
    let rows: Representations?
  }

  /// A side that is fitted to a split's training part.
  ///
  /// - Parameters:
  ///   - model: what is solved for.
  ///   - split: its validation part validates.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - metric: what is validated.
  ///   - validationItems: validation ranks these alone; `nil` ranks all.
  ///   - seed: determines the rows that iALS begins with.
  public init(
    _ model: Model, split: DataSplit, vocabulary: EntityVocabulary, metric: RankingMetric = .ndcg(10),
    validationItems: [Int32]? = nil, seed: UInt64 = 0
  ) {
    self.model = model
    self.vocabulary = vocabulary
    self.metric = metric
    self.seed = seed
    training = split.training
    var evaluation = RankingEvaluator.Configuration(only: [metric])
    if let validationItems { evaluation.candidates = .items(validationItems) }
    evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
  }

  /// EASE or iALS.
  public var name: String {
    switch model {
    case .ease: "EASE"
    case .als: "iALS"
    }
  }

  // MARK: Fitting

  private func fit() throws -> Fit {
    if let fitted { return fitted }
    let result: Fit
    switch model {
    case .ease(let configuration):
      var weights: Tensor?
      if case .itemWeights(let tensor) = prior { weights = tensor }
      let solved = try FEASE(training: training, prior: weights, configuration: configuration)
      result = Fit(scorer: solved.makeScorer(), rows: nil)
    case .als(let configuration):
      var rows = base ?? solved(configuration, prior: (nil, nil), from: nil)
      base = rows
      if case .rows(let users, let items) = prior {
        rows = solved(configuration, prior: (users, items), from: rows)
      }
      result = Fit(scorer: InnerProductScorer(rows), rows: rows)
    }
    fitted = result
    return result
  }

  private func solved(
    _ configuration: ImplicitALS.Configuration, prior: (users: Tensor?, items: Tensor?),
    from rows: Representations?
  ) -> Representations {
    var generator = RandomGenerator(seed: seed)
    let model = ImplicitALS(training: training, configuration: configuration, using: &generator)
    if let rows { model.start(from: rows) }
    (model.userPrior, model.itemPrior) = (prior.users, prior.items)
    model.fit()
    return model.representations
  }

  /// The width of iALS' rows; `nil` for EASE.
  public var priorWidth: Int? {
    if case .als(let configuration) = model { return configuration.dimension }
    return nil
  }

  /// What the next fit is drawn to.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a prior of another kind, shape or type, or with numbers
  ///   that are none.
  public func setPrior(_ prior: RecommenderPrior?) throws(BridgeError) {
    switch (model, prior) {
    case (_, nil): break
    case (.ease, .itemWeights(let weights)?):
      try check(weights, [vocabulary.itemCount, vocabulary.itemCount], "weights between items")
    case (.als(let configuration), .rows(let users, let items)?):
      try users.map { rows throws(BridgeError) in
        try check(rows, [vocabulary.userCount, configuration.dimension], "rows of users")
      }
      try items.map { rows throws(BridgeError) in
        try check(rows, [vocabulary.itemCount, configuration.dimension], "rows of items")
      }
    case (.ease, .rows?), (.als, .itemWeights?):
      throw .invalidState(
        path: name, place: "prior", expected: priorWidth == nil ? "weights between items" : "rows",
        found: priorWidth == nil ? "rows" : "weights between items")
    }
    self.prior = prior
    fitted = nil
  }

  private func check(_ tensor: Tensor, _ shape: Shape, _ what: String) throws(BridgeError) {
    guard tensor.shape == shape, tensor.dtype == .float32 else {
      throw .invalidState(
        path: name, place: "prior", expected: "\(what), float32 \(shape)",
        found: "\(tensor.dtype) \(tensor.shape)")
    }
    guard tensor.detached.floats.allSatisfy(\.isFinite) else {
      throw .invalidState(path: name, place: "prior", expected: "\(what), finite", found: "other numbers")
    }
  }

  // MARK: Training

  /// Nothing trains by steps.
  public var parameterGroups: [BridgeParameterGroup] { [] }
  /// 0.
  public var batchCount: Int { 0 }
  /// None.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> { AnySequence([]) }
  /// There is no batch to step on.
  public func step(on batch: any SideBatch) throws -> SideStep {
    preconditionFailure("ClosedFormSide.step: a side in closed form has no batches")
  }
  /// The metric on the validation data.
  public func validate() throws -> Double { try evaluator.evaluate(makeScorer()).mean(metric) ?? 0 }

  // MARK: Exchange

  /// Rows of iALS; EASE has none.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> {
    priorWidth == nil ? [] : [.row]
  }
  /// The width of iALS' rows; 0 for EASE.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int { priorWidth ?? 0 }
  /// Rows of the present fit.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    try requireSource(source, of: kind)
    guard let rows = try fit().rows else { return .zeros([ids.count, 0]) }
    return rows[kind].gatheredRows(Tensor(ids))
  }

  /// The scorer of the present fit.
  public func makeScorer() throws -> any CatalogueScorer { try fit().scorer }

  /// The scores of all items, `[users, items]`.
  public func scores(users: [Int32]) throws -> Tensor { try fit().scorer.allScores(of: users) }
}
