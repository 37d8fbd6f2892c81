import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model that reads the items' texts, as the language side of a bridge.
///
/// An item is its text: the mean of its tokens' states at a layer, standardised, and mapped to the shared width by A_L. Users
/// have rows in the shared space. The side learns to tell, from an item's words, which users take it: at each item the
/// cross-entropy over all users against those who had it in training. Adapters in the blocks that are read, the map and, if
/// the phase says so, the users' rows train. An item that nobody has touched is read like any other.
///
/// With ``Configuration/crossFitsAdapters`` two readers share the work, so that what is read of an item can be told from what was learnt
/// from it.
///
/// With users' rows and a map of its own, the side is a recommender that knows texts alone; with rows read from an
/// ``InformationSharingModule`` it learns to read texts in the terms of another recommender.
public final class ReadingSide: TrainableSide {
  /// How the side trains.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The width of the shared space.
    public var width = 64
    /// The items of a batch.
    public var batchItems = 64
    /// The most items of an epoch, the next one going on where it ended; `nil` for all. On large catalogues an epoch, after which
    /// the side is validated, is then a part of a pass.
    public var epochItems: Int?
    /// An item counts as its training interactions, up to this many.
    public var countedInteractions = 20
    /// The rate of the dropout on the standardised states.
    public var dropout = 0.1
    /// The learning rate of the adapters.
    public var adapterLearningRate = 2e-3
    /// The learning rate of the map.
    public var mapLearningRate = 1e-3
    /// The learning rate of the users' rows.
    public var userLearningRate = 5e-3
    /// The cutoff of NDCG, by which the side is validated.
    public var cutoff = 10
    /// Whether there are two readers, each with half of the adapters' ranks and a map of its own, that learn from one half of the
    /// items each. What the other one reads of an item is no echo of what was learnt from it; an item that neither has learnt
    /// from is read by both. Training costs what one reader costs, reading all items twice as much.
    public var crossFitsAdapters = false
    /// Determines the order of items, dropout, the halves, and the rows at the beginning.
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
  /// How the side trains.
  public let configuration: Configuration
  /// Reads the items' texts.
  public let reader: TextReader
  /// The adapters in training; `nil` leaves the language model as it is.
  public let adapters: LoRAAdapters?
  /// Standardises the states: that of the states before training.
  public let scaling: InputScaling
  /// A_L, `[hidden, width]`.
  public let map: Parameter
  /// What the map adds, `[width]`.
  public let offset: Parameter
  /// The second reader's map and what it adds, if there are two.
  let second: (map: Parameter, offset: Parameter)?
  /// The users' rows, `[users, width]`.
  public let users: Parameter
  /// The reader, 0 or 1, that learns from each item; −1 for an item that none learns from. `nil` if there is one reader.
  public let readingHalves: [Int8]?
  private let usersOfItem: [[Int32]]
  private let items: [Int32]
  private let evaluator: RankingEvaluator

  /// Makes a side that reads.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - reader: the language model and the texts of all items.
  ///   - adapters: the adapters to train, in the blocks that `reader` runs.
  ///   - split: its training part is learnt from.
  ///   - validationItems: validation ranks these alone, such as the new items of a `NewItemSplit`; `nil` ranks all.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: how the side trains.
  public init(
    name: String, reader: TextReader, adapters: LoRAAdapters?, split: DataSplit,
    validationItems: [Int32]? = nil, vocabulary: EntityVocabulary,
    configuration: Configuration = Configuration()
  ) {
    precondition(
      reader.texts.count == vocabulary.itemCount && split.itemCount == vocabulary.itemCount,
      "ReadingSide: \(reader.texts.count) texts and a split of \(split.itemCount) items for a vocabulary of \(vocabulary.itemCount)"
    )
    self.name = name
    self.reader = reader
    self.adapters = adapters
    self.vocabulary = vocabulary
    self.configuration = configuration
    scaling = InputScaling(fitting: reader.allRepresentations())
    var generator = RandomGenerator(seed: configuration.seed).split(1)
    let hidden = reader.model.hiddenSize
    map = Parameter(.normal([hidden, configuration.width], deviation: 1, using: &generator))
    offset = Parameter(.zeros([configuration.width]))
    users = Parameter(
      .normal([vocabulary.userCount, configuration.width], deviation: 0.1, using: &generator))
    second =
      configuration.crossFitsAdapters
      ? (Parameter(map.detached.copied()), Parameter(.zeros([configuration.width]))) : nil
    precondition(
      !configuration.crossFitsAdapters || (adapters?.settings.rank ?? 0) % 2 == 0,
      "ReadingSide: adapters of rank \(adapters?.settings.rank ?? 0) for two readers")
    let histories = UserItemMatrix(split.training)
    var usersOfItem = [[Int32]](repeating: [], count: vocabulary.itemCount)
    for user in 0..<histories.userCount {
      for item in histories.items(of: user) { usersOfItem[Int(item)].append(Int32(user)) }
    }
    self.usersOfItem = usersOfItem
    items = usersOfItem.indices.filter { !usersOfItem[$0].isEmpty && !reader.texts[$0].isEmpty }
      .map { Int32($0) }
    readingHalves =
      configuration.crossFitsAdapters
      ? Self.halves(of: items, count: vocabulary.itemCount, seed: configuration.seed) : nil
    var evaluation = RankingEvaluator.Configuration(only: [.ndcg(configuration.cutoff)])
    if let validationItems { evaluation.candidates = .items(validationItems) }
    evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
  }

  private static func halves(of items: [Int32], count: Int, seed: UInt64) -> [Int8] {
    var order = items
    var generator = RandomGenerator(seed: seed).split(3)
    generator.shuffle(&order)
    var halves = [Int8](repeating: -1, count: count)
    for (place, item) in order.enumerated() { halves[Int(item)] = Int8(place % 2) }
    return halves
  }

  // MARK: Training

  struct Batch: SideBatch {
    let items: [Int32]
    let generator: RandomGenerator
    var count: Int { items.count }
  }

  /// `adapters`, `map` and `users`.
  public var parameterGroups: [BridgeParameterGroup] {
    var groups: [BridgeParameterGroup] = []
    if adapters != nil {
      groups.append(.adapters(adapters, learningRate: configuration.adapterLearningRate))
    }
    groups.append(
      BridgeParameterGroup(
        name: "map",
        parameters: [("map.weight", map), ("map.offset", offset)]
          + (second.map { [("map2.weight", $0.map), ("map2.offset", $0.offset)] } ?? []),
        learningRate: configuration.mapLearningRate))
    groups.append(
      BridgeParameterGroup(
        name: "users", parameters: [("users", users)], learningRate: configuration.userLearningRate))
    return groups
  }

  /// The items of an epoch.
  private var epochCount: Int { min(items.count, max(configuration.epochItems ?? items.count, 1)) }

  /// The number of batches of an epoch.
  public var batchCount: Int { (epochCount + configuration.batchItems - 1) / configuration.batchItems }

  /// The items with texts and training interactions, pass by pass in a random order of its own.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    let generator = RandomGenerator(seed: configuration.seed).split(2)
    var order: [Int32] = []
    let start = epoch * epochCount
    if !items.isEmpty {
      for pass in start / items.count...(start + epochCount - 1) / items.count {
        var passGenerator = generator.split(UInt64(pass))
        var shuffled = items
        passGenerator.shuffle(&shuffled)
        order += shuffled
      }
      order = Array(order.dropFirst(start % items.count).prefix(epochCount))
    }
    let source = generator.split(UInt64(epoch))
    return AnySequence(
      order.chunks(ofCount: configuration.batchItems).lazy.enumerated().map { number, part -> any SideBatch in
        Batch(items: Array(part), generator: source.split(UInt64(number)))
      })
  }

  /// The cross-entropy over the users of each item's text, weighted by the item's interactions; the batch's items with their
  /// mapped rows.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("ReadingSide.step: the batch is of another side")
    }
    var generator = batch.generator
    let readers = readers(of: batch.items)
    var states = scaling(read(batch.items, by: readers))
    if configuration.dropout > 0 { states = states.dropout(rate: configuration.dropout, using: &generator) }
    let rows = mapped(states, by: readers)
    return SideStep(
      loss: loss(of: batch.items, rows),
      items: BatchEntities(ids: Tensor(batch.items), representations: rows, source: .text))
  }

  /// The same loss of some items, without dropout.
  package func loss(of items: [Int32]) -> Tensor {
    let readers = readers(of: items)
    return loss(of: items, mapped(scaling(read(items, by: readers)), by: readers))
  }

  /// The reader that learns from each item; the first for an item that none learns from. `nil` if there is one.
  private func readers(of items: [Int32]) -> [Int8]? {
    readingHalves.map { halves in items.map { Swift.max(halves[Int($0)], 0) } }
  }

  private func loss(of items: [Int32], _ rows: Tensor) -> Tensor {
    let logits = rows.matmul(users.value, transposingOther: true)
    return (logits.logSoftmax() * targets(items)).sum() * (-1 / Double(items.count))
  }

  /// What is made of some items' texts, `[items, hidden]`, tracked while gradients are taken.
  ///
  /// - Parameter readers: the reader of each; `nil` if there is one.
  private func read(_ items: [Int32], by readers: [Int8]?) -> Tensor {
    guard let readers, let adapters else { return reader.representations(of: items) }
    let rank = adapters.settings.rank
    let gates = readers.flatMap { half -> [Float] in
      (0..<rank).map { Float(($0 < rank / 2) == (half == 0) ? 1 : 0) }
    }
    return reader.representations(of: items, gating: adapters, by: Tensor(gates, shape: [items.count, rank]))
  }

  /// Standardised states in the shared space, by the maps of their readers.
  private func mapped(_ states: Tensor, by readers: [Int8]?) -> Tensor {
    let first = states.matmul(map.value) + offset.value
    guard let readers, let second else { return first }
    let isFirst = Tensor(readers.map { $0 == 0 ? Float(1) : 0 }, shape: [readers.count, 1])
    return first * isFirst + (states.matmul(second.map.value) + second.offset.value) * (1 - isFirst)
  }

  /// For each item the users who had it in training, their shares adding up to the item's weight, `[items, users]`.
  private func targets(_ items: [Int32]) -> Tensor {
    let count = vocabulary.userCount
    var values = [Float](repeating: 0, count: items.count * count)
    let most = max(configuration.countedInteractions, 1)
    for (place, item) in items.enumerated() {
      let takers = usersOfItem[Int(item)]
      let share = Float(min(takers.count, most)) / Float(most) / Float(takers.count)
      for user in takers { values[place * count + Int(user)] = share }
    }
    return Tensor(values, shape: [items.count, count])
  }

  /// NDCG on the validation data.
  public func validate() throws -> Double {
    try evaluator.evaluate(InnerProductScorer(scoringRows())).mean(.ndcg(configuration.cutoff)) ?? 0
  }

  // MARK: Exchange

  /// Takes over users' rows, and the map that fits items' rows best by ridge regression on what is read now.
  ///
  /// - Parameters:
  ///   - userRows: `[users, width]`.
  ///   - itemRows: `[items, width]`.
  ///   - weights: how much each item counts, `[items]`.
  ///   - strength: the ridge penalty; see ``RidgeMap``.
  public func adopt(userRows: Tensor, itemRows: Tensor, weights: [Float], strength: Double = 1) {
    let maps = [(map, offset)] + (second.map { [($0.map, $0.offset)] } ?? [])
    for (half, (map, offset)) in maps.enumerated() {
      let counting = readingHalves.map { halves in zip(weights, halves).map { $1 == half ? $0 : 0 } }
      let fitted = RidgeMap(
        inputs: scaling(all(by: readingHalves == nil ? nil : half)), outputs: itemRows, strength: strength,
        weights: Tensor(counting ?? weights))
      map.update(to: fitted.weight)
      let shift = fitted.inputMean.expanded(at: 0).matmul(fitted.weight)
      offset.update(to: fitted.outputMean - shift.reshaped(to: [configuration.width]))
    }
    users.update(to: userRows.detached)
  }

  /// What is made of all texts, by one of two readers, not tracked.
  private func all(by half: Int?) -> Tensor {
    let items = (0..<Int32(vocabulary.itemCount)).map { $0 }
    return withoutGradients { read(items, by: half.map { half in items.map { _ in Int8(half) } }).detached }
  }

  private func scoringRows() -> Representations {
    guard let halves = readingHalves else {
      return Representations(
        users: users.detached,
        items: withoutGradients { mapped(scaling(all(by: nil)), by: nil).detached })
    }
    let rows = (0...1).map { half in
      withoutGradients {
        mapped(scaling(all(by: half)), by: halves.map { _ in Int8(half) }).detached
      }
    }
    return Representations(users: users.detached, items: halves.byTheOther(rows[0], rows[1]))
  }
}

extension [Int8] {
  /// Of each row the one by the reader that has not learnt from it; of rows that neither has learnt from the mean of both.
  func byTheOther(_ first: Tensor, _ second: Tensor) -> Tensor {
    let shares = Tensor(map { $0 < 0 ? Float(0.5) : Float($0) }, shape: [count, 1])
    return first * shares + second * (1 - shares)
  }
}

extension ReadingSide: CrossFittedReading {
  /// What one of the two readers makes of items' texts, before standardisation, `[ids, hidden]`.
  public func representations(ofItems ids: [Int32], readBy half: Int) throws -> Tensor {
    withoutGradients { read(ids, by: readingHalves == nil ? nil : ids.map { _ in Int8(half) }).detached }
  }
}

extension ReadingSide: TrackedRepresentations {
  /// The mean states of items' texts, before standardisation; gradients reach the adapters. Of two readers the one that learns
  /// from an item reads it, the first one what none learns from.
  public func trackedRepresentations(
    of kind: EntityKind, ids: Tensor, source: RepresentationSource
  ) throws -> Tensor? {
    guard kind == .item, source == .text else { return nil }
    let items = ids.scalars(as: Int32.self)
    return read(items, by: readers(of: items))
  }

  /// Items: their texts.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> {
    kind == .item ? [.text] : []
  }

  /// The language model's width.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    reader.model.hiddenSize
  }

  /// The mean states of items' texts, before standardisation, `[ids, hidden]`.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    try requireSource(source, of: kind)
    guard let halves = readingHalves else {
      return withoutGradients { reader.representations(of: ids).detached }
    }
    return ids.map { halves[Int($0)] }.byTheOther(
      try representations(ofItems: ids, readBy: 0), try representations(ofItems: ids, readBy: 1))
  }
}

extension ReadingSide: ScoreProvider {
  /// The inner products of the users' rows with the mapped texts.
  public func makeScorer() throws -> any CatalogueScorer { InnerProductScorer(scoringRows()) }

  /// The scores of all items, `[users, items]`.
  public func scores(users: [Int32]) throws -> Tensor {
    let rows = scoringRows()
    return rows.users.gatheredRows(Tensor(users)).matmul(rows.items, transposingOther: true)
  }
}
