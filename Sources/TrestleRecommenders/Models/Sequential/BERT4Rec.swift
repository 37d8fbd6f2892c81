import TrestleNN
import TrestleTensor

/// Attention in both directions over a user's last items, trained to fill in items that are masked.
///
/// x = norm(item + position), then ``SASRec``'s layers without the causal mask; at a masked place h = norm(gelu(W x + b)), and the
/// logits are h Eᵀ + c over the catalogue, E the items' rows. In training each item of a window is masked at some rate, or, in a
/// share of the windows, the last one alone; a user is scored at a mask behind its last items. An epoch has every window so many times,
/// cut and masked anew, that about as many items are predicted as there are, up to ten times: so it has about as many predictions
/// as an epoch of the other sequential models, which predict every item.
///
/// Source: Sun et al., *BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer* (2019).
/// The share of windows with the last item masked is RecBole's `ft_ratio`; ten maskings of a window are the publication's code's
/// `dupe_factor`.
public final class BERT4Rec: HistoryRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows and states.
    public var dimension = 64
    /// The number of layers.
    public var layers = 2
    /// The number of attention heads.
    public var heads = 2
    /// The width inside the feed-forward blocks.
    public var hidden = 256
    /// The most items that are read, the mask among them.
    public var windowLength = 50
    /// The rate of dropout on the inputs and on each block's output.
    public var dropout = 0.2
    /// The rate of dropout of the probabilities with which a place reads the others.
    public var attentionDropout = 0.0
    /// The probability with which an item is masked.
    public var maskRate = 0.2
    /// The share of the windows of which the last item alone is masked.
    public var lastItemRate = 0.5
    /// The ε of the layer norms.
    public var epsilon = 1e-12

    /// The defaults.
    public init() {}
  }

  /// BERT4Rec.
  public let name = "BERT4Rec"
  /// How the model was built.
  public let configuration: Configuration
  /// The histories that the scorer continues.
  public var histories: UserHistories
  /// The last of its items' rows is that of the mask.
  private let encoder: AttentionEncoder
  private let transform: Linear
  private let transformNorm: LayerNorm
  private let outputBias: Parameter
  private let dropout: Dropout?

  /// The tables go by RecBole's names, the rest by names like them.
  public static let checkpointKeys = [
    "encoder": "", "transformNorm": "transform_norm", "outputBias": "output_bias",
  ]

  /// A model for the users and items of `training`, with weights drawn from the normal distribution of deviation 0.02.
  ///
  /// - Parameters:
  ///   - training: what is read to score its users.
  ///   - configuration: how the model is built.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the weights.
  /// - Precondition: heads divide the width, a window has room for an item and the mask, the mask's rates are from 0 to 1.
  public init(
    training: Interactions, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let rates = 0.0...1
    precondition(
      configuration.dimension % max(configuration.heads, 1) == 0 && configuration.windowLength > 1
        && rates.contains(configuration.maskRate) && rates.contains(configuration.lastItemRate),
      "BERT4Rec: \(configuration.heads) heads of width \(configuration.dimension), windows of "
        + "\(configuration.windowLength), rates \(configuration.maskRate) and \(configuration.lastItemRate)")
    self.configuration = configuration
    histories = UserHistories(training)
    encoder = AttentionEncoder(
      configuration, itemCount: training.itemCount + 1, isCausal: false, dtype: dtype, using: &generator)
    transform = .narrow(configuration.dimension, configuration.dimension, dtype, using: &generator)
    transformNorm = LayerNorm(width: configuration.dimension, epsilon: configuration.epsilon, dtype: dtype)
    outputBias = Parameter(.zeros([training.itemCount], dtype: dtype))
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
    setTraining(false)
  }

  /// What stands for an item that is to be filled in.
  package var mask: Int32 { Int32(outputBias.shape[0]) }

  /// The states at some places of packed sequences, `[places, dimension]`.
  ///
  /// - Parameters:
  ///   - sequences: of items and masks, none longer than the window or empty.
  ///   - places: in the packed sequences.
  package func states(_ sequences: ItemSequences, at places: [Int32]) -> Tensor {
    let x = encoder(sequences, dropout: dropout)
    return transformNorm(transform(x.gatheredRows(Tensor(places))).gelu())
  }

  /// The logits of all items for some states, `[states, items]`.
  package func logits(_ states: Tensor) -> Tensor {
    let rows = encoder.embedding.items.value.sliced(0..<Int(mask), along: 0)
    return states.matmul(rows, transposingOther: true) + outputBias.value
  }

  /// The items' rows with their offsets.
  public var itemRows: Tensor {
    encoder.embedding.items.detached.sliced(0..<Int(mask), along: 0).rows(withOffsets: outputBias.detached)
  }

  /// The state at a mask behind each user's last items, and a 1.
  public func userStates(_ histories: UserHistories) -> Tensor {
    setTraining(false)
    return histories.states { users in
      guard !users.isEmpty else { return .zeros([0, configuration.dimension], dtype: outputBias.dtype) }
      let sequences = ItemSequences(
        users.map { histories.items(of: $0).suffix(configuration.windowLength - 1) + [mask] })
      return states(sequences, at: sequences.lastPlaces)
    }
  }

  /// Steps over windows of the training histories. A batch has ``TrainingConfiguration/batchSize`` masked items.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    histories = UserHistories(training)
    let batches = MaskedBatches(
      histories, self.configuration, mask: mask, batchSize: configuration.batchSize, seed: configuration.seed)
    return SequenceSteps(model: self, batches: batches.epoch) { [unowned self] batch, _, _ in
      logits(states(batch.sequences, at: batch.places)).crossEntropy(labels: Tensor(batch.targets)).mean()
    }
  }
}

/// Batches of windows of the users' histories in which items are masked.
///
/// A history is cut from its end, or a little before it, into windows; those of one item are left out. An epoch has them several
/// times; cuts and masks differ each time.
private struct MaskedBatches {
  let histories: UserHistories
  let configuration: BERT4Rec.Configuration
  let mask: Int32
  let batchSize: Int
  let source: RandomGenerator
  /// How often an epoch has the windows.
  let passes: Int

  init(
    _ histories: UserHistories, _ configuration: BERT4Rec.Configuration, mask: Int32, batchSize: Int,
    seed: UInt64
  ) {
    precondition(batchSize > 0, "BERT4Rec: batches of \(batchSize)")
    (self.histories, self.configuration, self.mask) = (histories, configuration, mask)
    self.batchSize = batchSize
    source = RandomGenerator(seed: seed).split(0x6d61_736b)
    passes = Self.passes(histories, configuration)
  }

  /// So many passes that about every item is predicted in one of them, at most ten.
  private static func passes(_ histories: UserHistories, _ configuration: BERT4Rec.Configuration) -> Int {
    var (items, predictions) = (0.0, 0.0)
    for user in 0..<histories.userCount {
      var left = histories.items(of: user).count
      while left > 1 {
        let length = Double(min(left, configuration.windowLength))
        items += length
        predictions +=
          configuration.lastItemRate
          + (1 - configuration.lastItemRate) * max(configuration.maskRate * length, 1)
        left -= configuration.windowLength
      }
    }
    return predictions > 0 ? min(max(Int((items / predictions).rounded()), 1), 10) : 1
  }

  func epoch(_ epoch: Int) -> [SequenceBatch] {
    var generator = source.split(UInt64(epoch))
    var windows: [Range<Int>] = []
    for _ in 0..<passes { windows += self.windows(&generator) }
    var batches: [SequenceBatch] = []
    var sequences: [[Int32]] = []
    var places: [Int32] = []
    var targets: [Int32] = []
    var length = 0
    for index in generator.permutation(of: windows.count) {
      var items = Array(histories.items[windows[Int(index)]])
      for place in masked(items.count, &generator) {
        places.append(Int32(length + place))
        targets.append(items[place])
        items[place] = mask
      }
      length += items.count
      sequences.append(items)
      if targets.count >= batchSize {
        batches.append(SequenceBatch(sequences: ItemSequences(sequences), places: places, targets: targets))
        (sequences, places, targets, length) = ([], [], [], 0)
      }
    }
    if !targets.isEmpty {
      batches.append(SequenceBatch(sequences: ItemSequences(sequences), places: places, targets: targets))
    }
    return batches
  }

  private func windows(_ generator: inout RandomGenerator) -> [Range<Int>] {
    let length = configuration.windowLength
    var windows: [Range<Int>] = []
    for user in 0..<histories.userCount {
      let first = histories.starts[user]
      var end = histories.starts[user + 1]
      if end - first > length { end -= generator.index(below: max(length / 4, 1)) }
      while end - first > 1 {
        let start = max(first, end - length)
        if end - start > 1 { windows.append(start..<end) }
        end = start
      }
    }
    return windows
  }

  /// The places of a window that are masked: at least one.
  private func masked(_ count: Int, _ generator: inout RandomGenerator) -> [Int] {
    guard generator.uniform() >= configuration.lastItemRate else { return [count - 1] }
    let chosen = (0..<count).filter { _ in generator.uniform() < configuration.maskRate }
    return chosen.isEmpty ? [generator.index(below: count)] : chosen
  }
}

extension BERT4Rec.Configuration {
  /// Reads what was saved, by this version or one before it.
  public init(from decoder: any Decoder) throws {
    self.init()
    try readEncoder(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    maskRate = try values.decode(Double.self, forKey: .maskRate)
    lastItemRate = try values.decode(Double.self, forKey: .lastItemRate)
  }
}
