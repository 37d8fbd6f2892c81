import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

extension LanguageSide: EntityTables {
  /// The language model's width; users have rows if sequences begin with their tokens.
  public func entityWidth(_ kind: EntityKind) -> Int? {
    kind == .item || configuration.usesUserTokens ? recommender.model.hiddenSize : nil
  }

  /// The rows of the entity tokens.
  public func entityRows(_ kind: EntityKind) -> Tensor? {
    guard entityWidth(kind) != nil else { return nil }
    return recommender.entities[kind].detached
  }

  /// Replaces the rows of the entity tokens.
  public func setEntityRows(_ kind: EntityKind, to rows: Tensor) {
    recommender.entities[kind].update(to: rows)
  }

  /// The mean row and the spread of the model's embedding.
  public var pretrainedRowStatistics: (mean: Tensor, deviation: Double)? {
    let statistics = recommender.model.embeddingStatistics()
    return (statistics.mean, statistics.deviation)
  }
}

extension LanguageSide: InputInjection {
  /// The language model's width.
  public var inputWidth: Int { recommender.model.hiddenSize }
}

extension LanguageSide: TrackedRepresentations {
  /// What the side makes of entities outside its own steps; states after users' histories are not tracked.
  public func trackedRepresentations(
    of kind: EntityKind, ids: Tensor, source: RepresentationSource
  ) throws -> Tensor? {
    try represented(kind, ids, source, table: recommender.entities.items.value)
  }

  /// Users: token row and state after the history. Items: token row and, with texts, pooled text and prompt. Both: what a
  /// sentence encoder makes of the texts, if there is one.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> {
    var sources: Set<RepresentationSource> = kind == .user ? [.behaviour] : [.row]
    if configuration.usesUserTokens { sources.insert(.row) }
    if kind == .item, itemTexts != nil { sources.formUnion([.text, .prompt]) }
    if encodedItemTexts != nil { sources.insert(.encodedText) }
    return sources
  }

  /// The language model's width, or the sentence encoder's.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    source == .encodedText ? encodedItemTexts?.shape[1] ?? 0 : recommender.model.hiddenSize
  }

  /// Representations from rows, histories or texts.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    try requireSource(source, of: kind)
    switch (kind, source) {
    case (.user, .row): return recommender.entities.users.detached.gatheredRows(Tensor(ids))
    case (.item, .row): return recommender.entities.items.detached.gatheredRows(Tensor(ids))
    case (_, .encodedText): return encodedTexts(of: kind, ids)
    case (.user, _): return userStates(ids)
    case (.item, _): return textStates(ids, withToken: source == .prompt)
    }
  }

  /// The encoded texts of items or users; without texts about users the means over their training histories, zeros for a user
  /// without one.
  private func encodedTexts(of kind: EntityKind, _ ids: [Int32]) -> Tensor {
    guard let encodedItemTexts else { return .zeros([ids.count, 0]) }
    if kind == .item { return encodedItemTexts.gatheredRows(Tensor(ids)) }
    if let encodedUserTexts { return encodedUserTexts.gatheredRows(Tensor(ids)) }
    let result = Tensor.zeros([ids.count, encodedItemTexts.shape[1]])
    for (place, user) in ids.enumerated() {
      let items = histories.items[Int(user)]
      guard !items.isEmpty else { continue }
      let rows = encodedItemTexts.gatheredRows(Tensor(items))
      result.scatterAddInPlace(
        rows.mean(along: [0], keepingDimensions: true), at: Tensor([Int32(place)]))
    }
    return result
  }

  /// The means of the states after the windows of the users' histories, `[users, hidden]`; zeros for a user without one
  /// if sequences do not begin with a token.
  func userStates(_ users: [Int32]) -> Tensor { meanOverWindows(users) { $0 } }

  /// The means over each user's windows of what `transform` makes of the states after them.
  private func meanOverWindows(_ users: [Int32], _ transform: (Tensor) -> Tensor) -> Tensor {
    var windows: [[Int32]] = []
    var owners: [Int32] = []
    var weights: [Float] = []
    for (place, user) in users.enumerated() {
      var own = histories.readingWindows(
        of: user, width: configuration.windowItems, most: configuration.readingItems, seed: configuration.seed
      )
      if own.isEmpty { own = [[]] }
      windows += own
      owners += own.map { _ in Int32(place) }
      weights += own.map { _ in 1 / Float(own.count) }
    }
    let states = transform(statesAfter(windows, users: owners.map { users[Int($0)] }))
    let result = Tensor.zeros([users.count, states.shape[1]])
    result.scatterAddInPlace(states * Tensor(weights, shape: [weights.count, 1]), at: Tensor(owners))
    return result
  }

  /// The states after given lists of items, `[lists, hidden]`, read in passes of bounded size.
  ///
  /// - Parameter users: whose tokens come first; negative for someone without one.
  package func statesAfter(_ lists: [[Int32]], users: [Int32]) -> Tensor {
    let userTokens = configuration.usesUserTokens ? 1 : 0
    let known = lists.indices.filter { lists[$0].count + userTokens > 0 }
    let result = Tensor.zeros([lists.count, recommender.model.hiddenSize])
    withoutGradients {
      for pass in passes(known, lengths: lists.map { $0.count + userTokens }) {
        let (states, sequences) = read(pass.map { lists[$0] }, users: pass.map { users[$0] })
        result.scatterAddInPlace(states.detached.rows(sequences.lastRows), at: Tensor(pass.map { Int32($0) }))
      }
    }
    return result
  }

  /// Cuts sequences, taken by length, into passes of bounded numbers of tokens.
  private func passes(_ indices: [Int], lengths: [Int]) -> [[Int]] {
    var result: [[Int]] = []
    var tokens = 0
    for index in indices.sorted(by: { (lengths[$0], $0) < (lengths[$1], $1) }) {
      if result.isEmpty || tokens + lengths[index] > configuration.readingTokens {
        result.append([])
        tokens = 0
      }
      result[result.count - 1].append(index)
      tokens += lengths[index]
    }
    return result
  }

  /// The pooled states of items' texts, or the states of their tokens after their texts, not tracked.
  private func textStates(_ items: [Int32], withToken: Bool) -> Tensor {
    withoutGradients { trackedTextStates(items, withToken: withToken).detached }
  }

  /// The same, tracked while gradients are taken; zeros for an item without a text.
  private func trackedTextStates(_ items: [Int32], withToken: Bool) -> Tensor {
    let texts = items.map { itemTexts?[Int($0)] ?? [] }
    let known = texts.indices.filter { !texts[$0].isEmpty }
    var total: Tensor?
    for pass in passes(known, lengths: texts.map { $0.count + 1 }) {
      let prompts = pass.map { place in
        texts[place] + (withToken ? [recommender.entities.token(item: Int(items[place]))] : [])
      }
      let states = withToken ? recommender.lastStates(prompts) : meanStates(prompts)
      let placed = states.scatterAddedRows(at: Tensor(pass.map { Int32($0) }), rowCount: items.count)
      total = total.map { $0 + placed } ?? placed
    }
    return total ?? .zeros([items.count, recommender.model.hiddenSize])
  }

  /// The means of prompts' states at the configuration's layer, `[prompts, hidden]`.
  private func meanStates(_ prompts: [[Int32]]) -> Tensor {
    guard let layer = configuration.textLayer else { return recommender.meanStates(prompts) }
    let sequences = PackedSequences(lengths: prompts.map(\.count))
    let inputs = recommender.entities.embed(Array(prompts.joined()), with: recommender.model)
    return sequences.meanPooled(
      recommender.model.states(inputs, sequences: sequences, from: 0, layers: [layer])[0])
  }

  /// What the side makes of any entities in a step, tracked; `nil` for a source that it has not, or only for the batch's users.
  func represented(
    _ kind: EntityKind, _ ids: Tensor, _ source: RepresentationSource, table: Tensor
  ) throws -> Tensor? {
    guard representationSources(kind).contains(source) else { return nil }
    switch (kind, source) {
    case (.item, .row): return table.gatheredRows(ids)
    case (.user, .row): return recommender.entities.users.value.gatheredRows(ids)
    case (.item, .text): return trackedTextStates(ids.scalars(), withToken: false)
    case (.item, .prompt): return trackedTextStates(ids.scalars(), withToken: true)
    case (_, .encodedText): return try representations(of: kind, ids: ids.scalars(), source: source)
    default: return nil
    }
  }
}

/// The users of a batch, each once, where several windows of theirs are read.
struct WindowMeans {
  /// The users, ascending, `[users]`.
  let users: Tensor
  private let places: Tensor
  private let shares: Tensor

  /// - Parameter owners: the user of each window.
  init(_ owners: [Int32]) {
    let distinct = Set(owners).sorted()
    let placeOf = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, Int32($0)) })
    var counts = [Float](repeating: 0, count: distinct.count)
    let places = owners.map { placeOf[$0] ?? 0 }
    for place in places { counts[Int(place)] += 1 }
    users = Tensor(distinct)
    self.places = Tensor(places)
    shares = Tensor(places.map { 1 / counts[Int($0)] }, shape: [owners.count, 1])
  }

  /// The means of each user's windows' rows, `[users, width]`; gradients flow through.
  func means(of rows: Tensor) -> Tensor {
    (rows * shares).scatterAddedRows(at: places, rowCount: users.elementCount)
  }
}

extension LanguageSide: ScoreProvider {
  /// Rows whose inner products are the item head's logits, averaged over a user's windows: the users' states and the
  /// items' rows, each with one column more for the biases. Users that are not asked for have zeros.
  public func scoringRows(users: [Int32]) -> Representations {
    let items = withoutGradients { scoringItemRows() }
    let states = meanOverWindows(users, scoringStates)
    let all = Tensor.zeros([vocabulary.userCount, states.shape[1]])
    all.scatterAddInPlace(states, at: Tensor(users))
    return Representations(users: all, items: items)
  }

  /// States as the head compares them with ``scoringItemRows()``, with a column of ones.
  package func scoringStates(_ states: Tensor) -> Tensor {
    let head = recommender.head
    let rows = head.similarity == .cosine ? states.unitNormalized() * head.scale.detached : states
    return Tensor.concatenated([rows, .ones([rows.shape[0], 1])], along: 1)
  }

  private func scoringItemRows() -> Tensor {
    let head = recommender.head
    var rows =
      injectedRows?(.item, Tensor((0..<Int32(vocabulary.itemCount)).map { $0 }))?.detached
      ?? recommender.entities.items.detached
    if head.similarity == .cosine { rows = (rows - rows.mean(along: [0])).unitNormalized() }
    return Tensor.concatenated([rows, head.bias.detached.expanded(at: 1)], along: 1)
  }

  /// A scorer of all users' states.
  public func makeScorer() throws -> any CatalogueScorer {
    InnerProductScorer(scoringRows(users: Array(0..<Int32(vocabulary.userCount))))
  }

  /// The logits of all items, averaged over the windows of the users' histories.
  public func scores(users: [Int32]) throws -> Tensor {
    meanOverWindows(users, scoringStates).matmul(
      withoutGradients { scoringItemRows() }, transposingOther: true)
  }
}

extension LanguageSide {
  /// The scoring row for someone new who likes some items, `[1, width]`, to be compared with the items' scoring rows.
  public func state(liking items: [Int]) -> Tensor {
    scoringStates(statesAfter([items.map { Int32($0) }], users: [-1]))
  }

  /// Saves what training has made of the side: entity rows, adapters and head, but not the language model's own weights.
  public func save(to url: URL) throws {
    let tensors = parameterGroups.flatMap(\.parameters).map {
      SafetensorsSource(name: $0.name, tensor: $0.parameter.detached)
    }
    try SafetensorsWriter.write(tensors, metadata: ["vocabulary": vocabulary.hash], to: url)
  }

  /// Takes over what ``save(to:)`` has saved; a file that is refused changes nothing.
  ///
  /// - Throws: ``BridgeError`` if the file belongs to other users and items or another model, `FormatError` if it cannot be
  ///   read.
  public func load(from url: URL) throws {
    let file = try SafetensorsFile(url, access: .copied)
    guard file.metadata["vocabulary"] == vocabulary.hash else {
      throw BridgeError.foreignVocabulary(
        side: name, expected: vocabulary.hash, found: file.metadata["vocabulary"] ?? "none in \(url.path)")
    }
    var values: [(Parameter, Tensor)] = []
    for (name, parameter) in parameterGroups.flatMap(\.parameters) {
      let tensor = try file.tensor(name)
      guard tensor.shape == parameter.shape, tensor.dtype == parameter.dtype else {
        throw BridgeError.invalidState(
          path: url.path, place: name, expected: "\(parameter.dtype) \(parameter.shape)",
          found: "\(tensor.dtype) \(tensor.shape)")
      }
      values.append((parameter, tensor.copied()))
    }
    for (parameter, value) in values { parameter.update(to: value) }
  }
}
