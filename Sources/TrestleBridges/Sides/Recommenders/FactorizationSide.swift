import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Matrix factorisation that learns whether a user likes an item, as the domain side of a bridge:
/// logit(u, i) = ⟨pᵤ, qᵢ⟩ + bᵤ + cᵢ, with binary cross-entropy over labelled pairs.
///
/// Source: Koren, Bell and Volinsky, *Matrix Factorization Techniques for Recommender Systems* (2009), for the biases; Zhang et al.,
/// *CoLLM* (2023), for the loss.
public final class FactorizationSide: TrainableSide, TrackedRepresentations, ScoreProvider, AnswerProvider {
  /// How the side is built and trained.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The width of pᵤ and qᵢ.
    public var dimension = 32
    /// Whether there are bᵤ and cᵢ.
    public var hasBiases = true
    /// The standard deviation of the initial vectors; biases begin at 0.
    public var deviation = 0.01
    /// λ of the penalty ½λ‖θ‖².
    public var decay = 1e-4
    /// The learning rate.
    public var learningRate = 5e-3
    /// The pairs of a batch.
    public var batchSize = 512
    /// Determines the initial vectors and the pairs' order.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// The domain side.
  public let role = SideRole.domain
  /// Matrix factorisation.
  public let name = "MF"
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How the side is built and trained.
  public let configuration: Configuration
  private let training: [PromptExample]
  private let validation: [PromptExample]
  private let tables: [EntityKind: Parameter]
  private let biases: [EntityKind: Parameter]

  /// A side with random vectors.
  ///
  /// - Parameters:
  ///   - examples: its training part is learnt, its validation part validates; histories are ignored.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: how the side is built and trained.
  public init(
    _ examples: PromptExamples, vocabulary: EntityVocabulary, configuration: Configuration = Configuration()
  ) {
    self.vocabulary = vocabulary
    self.configuration = configuration
    (training, validation) = (examples.training, examples.validation)
    var generator = RandomGenerator(seed: configuration.seed)
    var tables: [EntityKind: Parameter] = [:]
    var biases: [EntityKind: Parameter] = [:]
    for kind in EntityKind.allCases {
      let count = vocabulary.count(of: kind)
      tables[kind] = Parameter(
        .normal([count, configuration.dimension], deviation: configuration.deviation, using: &generator))
      if configuration.hasBiases { biases[kind] = Parameter(.zeros([count, 1])) }
    }
    (self.tables, self.biases) = (tables, biases)
  }

  // MARK: Training

  private struct Batch: SideBatch {
    let examples: [PromptExample]
    var count: Int { examples.count }
  }

  /// One group, `rows`: vectors and biases.
  public var parameterGroups: [BridgeParameterGroup] {
    var parameters: [(name: String, parameter: Parameter)] = []
    for kind in EntityKind.allCases {
      if let table = tables[kind] { parameters.append(("\(kind.rawValue)s", table)) }
      if let bias = biases[kind] { parameters.append(("\(kind.rawValue)s.bias", bias)) }
    }
    return [
      BridgeParameterGroup(name: "rows", parameters: parameters, learningRate: configuration.learningRate)
    ]
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { (training.count + configuration.batchSize - 1) / configuration.batchSize }

  /// The training pairs in random order.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    var generator = RandomGenerator(seed: configuration.seed).split(0x6f72_6465).split(UInt64(epoch))
    var order = training
    generator.shuffle(&order)
    return AnySequence(
      order.chunks(ofCount: configuration.batchSize).lazy.map { part -> any SideBatch in
        Batch(examples: Array(part))
      })
  }

  /// The logits of pairs, `[pairs]`; tracked while gradients are taken.
  public func logits(_ examples: [PromptExample]) -> Tensor {
    let ids = [EntityKind.user: Tensor(examples.map(\.user)), .item: Tensor(examples.map(\.item))]
    func rows(_ tables: [EntityKind: Parameter], _ kind: EntityKind) -> Tensor? {
      guard let table = tables[kind], let ids = ids[kind] else { return nil }
      return table.value.gatheredRows(ids)
    }
    guard let users = rows(tables, .user), let items = rows(tables, .item) else {
      preconditionFailure("FactorizationSide: no tables")
    }
    return EntityKind.allCases.reduce(users.rowDot(items)) { sum, kind in
      rows(biases, kind).map { sum + $0.squeezed(1) } ?? sum
    }
  }

  /// The mean binary cross-entropy of the labels, with the penalty.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("FactorizationSide.step: the batch is of another side")
    }
    let losses = batch.examples.answerLosses(logits(batch.examples))
    var loss = losses.mean()
    if configuration.decay > 0 {
      for (_, parameter) in parameterGroups.flatMap(\.parameters) {
        loss = loss + parameter.value.squared().sum() * (configuration.decay / 2)
      }
    }
    var step = SideStep(loss: loss)
    step.examples = { batch.examples.withLosses(losses) }
    return step
  }

  /// The logits of any number of pairs, not tracked.
  public func answers(to examples: [PromptExample]) -> [Float] {
    examples.isEmpty ? [] : withoutGradients { logits(examples) }.floats
  }

  /// bᵤ + cᵢ of any number of pairs, what the vectors add left out; `nil` without biases.
  public func biasAnswers(to examples: [PromptExample]) -> [Float]? {
    guard let users = biases[.user]?.detached.floats, let items = biases[.item]?.detached.floats else {
      return nil
    }
    return examples.map { users[Int($0.user)] + items[Int($0.item)] }
  }

  /// The validation pairs.
  public var validationQuestions: [PromptExample] { validation }

  /// AUC on the validation pairs; .5 where it is not defined.
  public func validate() throws -> Double {
    PromptSide.areas(answers(to: validation), validation).auc ?? 0.5
  }

  // MARK: Exchange

  /// Rows only.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> { [.row] }

  /// The width of the vectors, and one more with biases.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    configuration.dimension + (configuration.hasBiases ? 1 : 0)
  }

  /// The vectors, with the bias behind them if there is one.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    rows(kind).gatheredRows(Tensor(ids))
  }

  /// The same, tracked while gradients are taken.
  public func trackedRepresentations(
    of kind: EntityKind, ids: Tensor, source: RepresentationSource
  ) throws -> Tensor? {
    let parts = [tables[kind], biases[kind]].compactMap { $0?.value.gatheredRows(ids) }
    return source == .row ? (parts.count == 1 ? parts[0] : Tensor.concatenated(parts, along: 1)) : nil
  }

  private func rows(_ kind: EntityKind) -> Tensor {
    let parts = [tables[kind], biases[kind]].compactMap { $0?.detached }
    return parts.count == 1 ? parts[0] : Tensor.concatenated(parts, along: 1)
  }

  /// Rows whose inner products are the logits.
  private func scoringRows() -> Representations {
    guard configuration.hasBiases, let users = tables[.user], let items = tables[.item],
      let userBias = biases[.user], let itemBias = biases[.item]
    else { return Representations(users: rows(.user), items: rows(.item)) }
    let one = { (kind: EntityKind) in Tensor.ones([self.vocabulary.count(of: kind), 1]) }
    return Representations(
      users: Tensor.concatenated([users.detached, userBias.detached, one(.user)], along: 1),
      items: Tensor.concatenated([items.detached, one(.item), itemBias.detached], along: 1))
  }

  /// A scorer of the catalogue by the logits.
  public func makeScorer() throws -> any CatalogueScorer { InnerProductScorer(scoringRows()) }

  /// The logits of all items for `users`, `[users, items]`.
  public func scores(users: [Int32]) throws -> Tensor {
    let rows = scoringRows()
    return rows.users.gatheredRows(Tensor(users)).matmul(rows.items, transposingOther: true)
  }
}
