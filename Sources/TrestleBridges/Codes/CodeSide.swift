import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model for which an item is a short list of code tokens, as the language side of a bridge.
///
/// A training sequence is the codes of a user's items, one item after the other, in windows of the history; at every position after
/// the first item the next code is predicted over all code tokens. The catalogue is ranked by beam search that a trie keeps to the
/// codes of items: an item's score is the log-probability of its codes, and items that no beam reaches come last.
///
/// Source: Hua et al., *How to Index Item IDs for Recommendation Foundation Models* (2023), and Zheng et al., *LC-Rec* (2023), for
/// items as code tokens and the constrained search.
public final class CodeSide: TrainableSide, ItemCodes {
  /// How the side trains and ranks.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The most codes of an item.
    public var levels = 4
    /// The code tokens of each level.
    public var codesPerLevel = 64
    /// About how many items make a window.
    public var windowItems = 12
    /// The most items of a user that an epoch trains on.
    public var trainingItems = 24
    /// The users of a batch.
    public var batchUsers = 16
    /// The width of the beam.
    public var beams = 20
    /// Users that are ranked for validation.
    public var validationUsers = 100
    /// The learning rate of the adapters.
    public var adapterLearningRate = 1e-3
    /// The learning rate of the code tokens' rows.
    public var codeLearningRate = 3e-3
    /// Determines the order of users and windows, and the rows at the beginning.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// The language side.
  public let role = SideRole.language
  /// The name for messages and tables.
  public let name: String
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How the side trains and ranks.
  public let configuration: Configuration
  /// The language model.
  public let model: any LanguageModel
  /// The adapters in training; `nil` leaves the model as it is.
  public let adapters: LoRAAdapters?
  /// The rows of the code tokens, level by level, `[levels · codesPerLevel, hidden]`.
  public let rows: Parameter
  /// Vectors of the items' texts, `[items, width]`; `nil` if there are none.
  public let encodedItemTexts: Tensor?
  private let histories: TimedHistories
  private let evaluator: RankingEvaluator
  private let validationIDs: [Int32]
  /// Of each item the code tokens, and all of them as a trie.
  private var codes: (tokens: [[Int32]], trie: TokenTrie)?

  /// Makes a side of a language model. Its items have no codes until a bridge gives them some.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - model: the language model.
  ///   - adapters: the adapters to train; `nil` if there are none.
  ///   - split: histories are its training part; validation is on its validation part.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - encodedItemTexts: vectors of the items' texts, `[items, width]`.
  ///   - configuration: how the side trains and ranks.
  public init(
    name: String, model: any LanguageModel, adapters: LoRAAdapters?, split: DataSplit,
    vocabulary: EntityVocabulary, encodedItemTexts: Tensor? = nil,
    configuration: Configuration = Configuration()
  ) {
    precondition(
      encodedItemTexts?.shape[0] ?? vocabulary.itemCount == vocabulary.itemCount,
      "CodeSide: texts \(encodedItemTexts?.shape ?? []) for a vocabulary of \(vocabulary.itemCount) items")
    self.encodedItemTexts = encodedItemTexts
    self.name = name
    self.model = model
    self.adapters = adapters
    self.vocabulary = vocabulary
    self.configuration = configuration
    histories = TimedHistories(split.training)
    let statistics = model.embeddingStatistics()
    var generator = RandomGenerator(seed: configuration.seed).split(5)
    let count = configuration.levels * configuration.codesPerLevel
    rows = Parameter(
      Tensor.normal([count, model.hiddenSize], deviation: statistics.deviation, using: &generator)
        + statistics.mean)
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)])
    var active = UserItemMatrix(split.validation).activeUsers()
    generator.shuffle(&active)
    validationIDs = active.prefix(configuration.validationUsers).sorted()
    evaluator = RankingEvaluator(split.validating(validationIDs), on: .validation, configuration: evaluation)
  }

  /// How many codes an item may have, and how many there are of each level.
  public var codeLimits: (levels: Int, codes: Int) { (configuration.levels, configuration.codesPerLevel) }

  /// Gives every item its codes.
  public func setCodes(_ codes: [[Int32]]) throws(BridgeError) {
    func refuse(_ expected: String, _ found: String) -> BridgeError {
      .invalidState(path: name, place: "codes of items", expected: expected, found: found)
    }
    guard codes.count == vocabulary.itemCount else {
      throw refuse("\(vocabulary.itemCount) lists", "\(codes.count)")
    }
    for list in codes {
      guard !list.isEmpty, list.count <= configuration.levels,
        list.allSatisfy({ $0 >= 0 && $0 < configuration.codesPerLevel })
      else {
        throw refuse(
          "up to \(configuration.levels) codes from 0 to \(configuration.codesPerLevel - 1)", "\(list)")
      }
    }
    let tokens = codes.map { list in
      list.enumerated().map { Int32($0.offset * configuration.codesPerLevel) + $0.element }
    }
    self.codes = (tokens, TokenTrie(tokens))
  }

  // MARK: Training

  private struct Batch: SideBatch {
    /// Items of each window.
    let windows: [[Int32]]
    var count: Int { windows.count }
  }

  /// `adapters` and `codes`, the code tokens' rows.
  public var parameterGroups: [BridgeParameterGroup] {
    let own = BridgeParameterGroup(
      name: "codes", parameters: [("codes", rows)], learningRate: configuration.codeLearningRate)
    guard adapters != nil else { return [own] }
    return [.adapters(adapters, learningRate: configuration.adapterLearningRate), own]
  }

  private var trainingUsers: [Int32] {
    (0..<Int32(vocabulary.userCount)).filter { histories.items[Int($0)].count > 1 }
  }

  /// The number of batches of an epoch.
  public var batchCount: Int {
    (trainingUsers.count + configuration.batchUsers - 1) / configuration.batchUsers
  }

  /// Users in random order, each with windows of the history.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    let source = RandomGenerator(seed: configuration.seed).split(UInt64(epoch) + 10)
    var draw = source
    var order = trainingUsers
    draw.shuffle(&order)
    return AnySequence(
      order.chunks(ofCount: configuration.batchUsers).lazy.map { [self] users -> any SideBatch in
        let windows = users.flatMap { user -> [[Int32]] in
          var generator = source.split(UInt64(user))
          return histories.trainingWindows(
            of: user, width: configuration.windowItems, most: configuration.trainingItems, using: &generator)
        }
        return Batch(windows: windows.filter { $0.count > 1 })
      })
  }

  /// The mean cross-entropy of each code after the first item, over all code tokens.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("CodeSide.step: the batch is of another side")
    }
    let codes = try known()
    var tokens: [[Int32]] = []
    var asked: [Int] = []
    var labels: [Int32] = []
    var start = 0
    for window in batch.windows {
      let all = window.flatMap { codes.tokens[Int($0)] }
      let first = codes.tokens[Int(window[0])].count
      tokens.append(all.dropLast())
      asked += (first - 1..<all.count - 1).map { start + $0 }
      labels += all.dropFirst(first)
      start += all.count - 1
    }
    guard !labels.isEmpty else { return SideStep(loss: rows.value.sum() * 0) }
    let states = model.hiddenStates(
      rows.value.gatheredRows(Tensor(Array(tokens.joined()))),
      sequences: PackedSequences(lengths: tokens.map(\.count)))
    let logits = states.rows(asked).matmul(rows.value, transposingOther: true)
    return SideStep(loss: logits.crossEntropy(labels: Tensor(labels)).mean())
  }

  private func known() throws(BridgeError) -> (tokens: [[Int32]], trie: TokenTrie) {
    guard let codes else {
      throw .invalidState(
        path: name, place: "codes of items", expected: "codes that a bridge gives", found: "none")
    }
    return codes
  }

  /// NDCG@10 on the validation users.
  public func validate() throws -> Double {
    let scorer = RowScorer(try scores(users: validationIDs), of: validationIDs)
    return try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0
  }
}

extension CodeSide: ContextualRepresentations {
  /// Items: the vectors of their texts, if there are any.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> {
    kind == .item && encodedItemTexts != nil ? [.encodedText] : []
  }
  /// The width of the texts' vectors.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    encodedItemTexts?.shape[1] ?? 0
  }
  /// The vectors of the items' texts.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    try requireSource(source, of: kind)
    guard let encodedItemTexts else {
      preconditionFailure("CodeSide.representations: a source without vectors of the texts")
    }
    return encodedItemTexts.gatheredRows(Tensor(ids))
  }
}

extension CodeSide: ScoreProvider {
  /// The log-probabilities of the items that the beams reach; −1000 for the others. `[users, items]`.
  public func scores(users: [Int32]) throws -> Tensor {
    let codes = try known()
    var values = [Float](repeating: -1000, count: users.count * vocabulary.itemCount)
    for (place, user) in users.enumerated() {
      for (item, score) in search(user, codes) { values[place * vocabulary.itemCount + item] = score }
    }
    return Tensor(values, shape: [users.count, vocabulary.itemCount])
  }

  /// A scorer of what the beams reach for all users.
  public func makeScorer() throws -> any CatalogueScorer {
    let users = Array(0..<Int32(vocabulary.userCount))
    return RowScorer(try scores(users: users), of: users)
  }

  /// The items that the beams reach after a user's history, with the log-probabilities of their codes. Items that the user has had
  /// are reached too, and left to whoever ranks.
  private func search(
    _ user: Int32, _ codes: (tokens: [[Int32]], trie: TokenTrie)
  ) -> [(item: Int, score: Float)] {
    struct Beam {
      var tokens: [Int32] = []
      var place: TokenTrie.Position
      var score: Float = 0
    }
    let prefix = histories.items[Int(user)].suffix(configuration.windowItems).flatMap {
      codes.tokens[Int($0)]
    }
    guard !prefix.isEmpty else { return [] }
    return withoutGradients {
      let table = rows.detached
      let cache = KeyValueCache(layerCount: model.layerCount)
      var states = model.hiddenStates(
        table.gatheredRows(Tensor(prefix)), sequences: PackedSequences(lengths: [prefix.count]), cache: cache
      ).rows([prefix.count - 1])
      var beams = [Beam(place: codes.trie.root)]
      var found: [(item: Int, score: Float)] = []
      while !beams.isEmpty {
        let logs = states.matmul(table, transposingOther: true).logSoftmax().floats
        var next: [Beam] = []
        for (row, beam) in beams.enumerated() {
          for token in codes.trie.allowed(at: beam.place) {
            guard let place = codes.trie.position(after: token, from: beam.place) else { continue }
            let score = beam.score + logs[row * table.shape[0] + Int(token)]
            found += codes.trie.sequences(endingAt: place).map { ($0, score) }
            if !codes.trie.allowed(at: place).isEmpty {
              next.append(Beam(tokens: beam.tokens + [token], place: place, score: score))
            }
          }
        }
        beams = Array(
          next.sorted { ($0.score, $1.tokens.last ?? 0) > ($1.score, $0.tokens.last ?? 0) }.prefix(
            configuration.beams))
        guard let length = beams.first?.tokens.count else { break }
        // What has been read of the history is shared; the codes said so far are read anew by every beam.
        states = model.hiddenStates(
          table.gatheredRows(Tensor(beams.flatMap(\.tokens))),
          sequences: PackedSequences(lengths: beams.map { _ in length }),
          cache: cache.forked(into: beams.count)
        ).rows(beams.indices.map { ($0 + 1) * length - 1 })
      }
      return found
    }
  }
}
