import TrestleTensor

/// The keys and values of the tokens that a decoder has read, so that the next ones need not read them again.
///
/// A cache belongs to one model and covers one or more sequences. ``forked(into:keeping:)`` lets many continuations share what
/// has been read so far.
public final class KeyValueCache {
  /// What one layer keeps of one sequence: rows shared with other sequences, and its own after them.
  private final class Entry {
    private(set) var sharedKeys: Tensor?
    private(set) var sharedValues: Tensor?
    let keys = RowBuffer()
    let values = RowBuffer()

    init(sharedKeys: Tensor? = nil, sharedValues: Tensor? = nil) {
      self.sharedKeys = sharedKeys
      self.sharedValues = sharedValues
    }

    /// Forgets all rows after the first `length`.
    func truncate(to length: Int) {
      let shared = sharedKeys?.shape[0] ?? 0
      if length < shared {
        sharedKeys = sharedKeys?.firstRows(length)
        sharedValues = sharedValues?.firstRows(length)
      }
      for rows in [keys, values] { rows.truncate(to: min(rows.count, max(length - shared, 0))) }
    }
  }

  /// Per layer, per sequence.
  private var entries: [[Entry]]
  /// How many tokens of each sequence have been read.
  public private(set) var lengths: [Int]
  /// The sequence of the same pass that each one goes on from; `nil` for a cache that keeps rows.
  private var continuing: [Int?]?

  /// A cache in which nothing has been read.
  ///
  /// - Parameters:
  ///   - layerCount: the model's number of blocks.
  ///   - sequenceCount: how many sequences are read side by side.
  public init(layerCount: Int, sequenceCount: Int = 1) {
    entries = (0..<layerCount).map { _ in (0..<sequenceCount).map { _ in Entry() } }
    lengths = Array(repeating: 0, count: sequenceCount)
  }

  /// A cache for one pass in which sequences go on from others of the same pass. It keeps nothing, and gradients flow.
  ///
  /// - Parameter continuing: for each sequence the earlier one that it goes on from, which itself goes on from none; or `nil`.
  init(continuing: [Int?]) {
    precondition(
      continuing.enumerated().allSatisfy { place, earlier in
        earlier.map { (0..<place).contains($0) && continuing[$0] == nil } ?? true
      }, "KeyValueCache: sequences go on from \(continuing)")
    entries = []
    lengths = continuing.map { _ in 0 }
    self.continuing = continuing
  }

  private init(entries: [[Entry]], lengths: [Int]) {
    self.entries = entries
    self.lengths = lengths
  }

  /// The number of sequences.
  public var sequenceCount: Int { lengths.count }
  /// The number of layers.
  public var layerCount: Int { entries.count }

  /// `count` sequences that all go on from the only one of this cache; what has been read is shared, not copied.
  ///
  /// - Parameters:
  ///   - count: the number of sequences.
  ///   - length: how many of the tokens they go on from; all for `nil`.
  /// - Precondition: this cache has one sequence.
  public func forked(into count: Int, keeping length: Int? = nil) -> KeyValueCache {
    precondition(sequenceCount == 1, "KeyValueCache.forked: \(sequenceCount) sequences, expected 1")
    let kept = min(length ?? lengths[0], lengths[0])
    precondition(kept >= 0, "KeyValueCache.forked: keeping \(kept) tokens")
    let forks = entries.map { layer in
      let (keys, values) = rows(of: layer[0])
      return (0..<count).map { _ in
        Entry(sharedKeys: keys?.firstRows(kept), sharedValues: values?.firstRows(kept))
      }
    }
    return KeyValueCache(entries: forks, lengths: Array(repeating: kept, count: count))
  }

  /// Forgets the tokens of each sequence after the first `length`.
  public func truncate(to length: Int) {
    precondition(length >= 0, "KeyValueCache.truncate: to \(length)")
    for layer in entries {
      for entry in layer { entry.truncate(to: length) }
    }
    lengths = lengths.map { min($0, length) }
  }

  /// Forgets all sequences but some, which stand in this order afterwards.
  ///
  /// - Precondition: `sequences` are places of the cache's sequences, each at most once.
  public func keep(_ sequences: [Int]) {
    precondition(
      Set(sequences).count == sequences.count && sequences.allSatisfy(lengths.indices.contains),
      "KeyValueCache.keep: \(sequences) of \(sequenceCount) sequences")
    entries = entries.map { layer in sequences.map { layer[$0] } }
    lengths = sequences.map { lengths[$0] }
  }

  private func rows(of entry: Entry) -> (Tensor?, Tensor?) {
    func joined(_ shared: Tensor?, _ own: Tensor?) -> Tensor? {
      guard let shared else { return own }
      guard let own else { return shared }
      return Tensor.concatenated([shared, own], along: 0)
    }
    return (joined(entry.sharedKeys, entry.keys.rows), joined(entry.sharedValues, entry.values.rows))
  }

  /// Where queries and keys lie when `sequences` are read after what the cache holds.
  func extended(by sequences: PackedSequences) -> PackedSequences {
    precondition(
      sequences.count == sequenceCount,
      "hiddenStates: \(sequences.count) sequences, the cache has \(sequenceCount)")
    let queries = (0..<sequences.count).map { sequences.queryStarts[$0 + 1] - sequences.queryStarts[$0] }
    let before = continuing?.map { $0.map { queries[$0] } ?? 0 } ?? lengths
    return PackedSequences(queryLengths: queries, keyLengths: zip(queries, before).map { $0 + $1 })
  }

  /// Rows of a pass, `[tokens, heads, size]`, those of each sequence after those of the one that it goes on from.
  private func spread(_ rows: Tensor, _ sequences: PackedSequences, _ continuing: [Int?]) -> Tensor {
    let starts = sequences.queryStarts
    let places = continuing.enumerated().flatMap { place, earlier in
      (earlier.map { Array(starts[$0]..<starts[$0 + 1]) } ?? []) + Array(starts[place]..<starts[place + 1])
    }
    let shape = rows.shape
    return rows.reshaped(to: [shape[0], shape[1] * shape[2]]).rows(places)
      .reshaped(to: [places.count, shape[1], shape[2]])
  }

  /// Adds one layer's keys and values of new tokens, and returns those of all tokens, packed.
  ///
  /// - Parameters:
  ///   - keys: `[new tokens, heads, size]`.
  ///   - values: of the same shape.
  ///   - sequences: as ``extended(by:)`` gave them.
  func append(layer: Int, keys: Tensor, values: Tensor, sequences: PackedSequences) -> (
    keys: Tensor, values: Tensor
  ) {
    let layer = entries[layer]
    if layer.count == 1 && layer[0].sharedKeys == nil {
      return (layer[0].keys.append(keys), layer[0].values.append(values))
    }
    var allKeys: [Tensor] = []
    var allValues: [Tensor] = []
    for (index, entry) in layer.enumerated() {
      let range = sequences.queryStarts[index]..<sequences.queryStarts[index + 1]
      let ownKeys = entry.keys.append(keys.sliced(range, along: 0))
      let ownValues = entry.values.append(values.sliced(range, along: 0))
      if let shared = entry.sharedKeys { allKeys.append(shared) }
      if let shared = entry.sharedValues { allValues.append(shared) }
      allKeys.append(ownKeys)
      allValues.append(ownValues)
    }
    return (Tensor.concatenated(allKeys, along: 0), Tensor.concatenated(allValues, along: 0))
  }

  /// Attention of new tokens to all tokens of their sequences, whose keys and values are added to one layer.
  ///
  /// One new token of each of several sequences, the case of generation, attends to keys and values where they are; in
  /// other cases those of all sequences are packed.
  /// - Parameters:
  ///   - queries: `[new tokens, heads, size]`.
  ///   - keys: `[new tokens, key heads, size]`.
  ///   - values: of the keys' shape.
  ///   - sequences: as ``extended(by:)`` gave them.
  ///   - window: how many of the last keys a query sees at most; 0 for all.
  ///   - scale: what the scores are multiplied by; by default 1/√size.
  func attention(
    layer: Int, queries: Tensor, keys: Tensor, values: Tensor, sequences: PackedSequences, window: Int = 0,
    scale: Double? = nil
  ) -> Tensor {
    if let continuing {
      return queries.decoderAttention(
        keys: spread(keys, sequences, continuing), values: spread(values, sequences, continuing),
        sequences: sequences, window: window, scale: scale)
    }
    let entries = entries[layer]
    let isStep = queries.shape[0] == entries.count && sequences.queryStarts == Array(0...entries.count)
    let isPlain = entries.count == 1 && entries[0].sharedKeys == nil
    guard isStep, !isPlain, !queries.isTracked, !keys.isTracked, !values.isTracked else {
      let all = append(layer: layer, keys: keys, values: values, sequences: sequences)
      return queries.decoderAttention(
        keys: all.keys, values: all.values, sequences: sequences, window: window, scale: scale)
    }
    let own = entries.enumerated().map { index, entry -> CachedSequences.Rows in
      let row = index..<index + 1
      return (
        entry.keys.append(keys.sliced(row, along: 0)), entry.values.append(values.sliced(row, along: 0))
      )
    }
    // Sequences have something in common if they were forked, and then all of it.
    let shared = entries[0].sharedKeys.flatMap { keys in entries[0].sharedValues.map { (keys, $0) } }
    return queries.detached.cachedAttention(
      CachedSequences(shared: shared, own: own), window: window, scale: scale)
  }

  /// Counts the new tokens as read, once all layers have added theirs.
  func advance(by sequences: PackedSequences) {
    guard continuing == nil else { return }
    for index in 0..<sequences.count {
      lengths[index] += sequences.queryStarts[index + 1] - sequences.queryStarts[index]
    }
  }
}

extension Tensor {
  /// The first rows; `nil` for none.
  fileprivate func firstRows(_ count: Int) -> Tensor? {
    count == 0 ? nil : count == shape[0] ? self : sliced(0..<count, along: 0)
  }
}
