import TrestleNN
import TrestleTensor

/// Gated recurrent units over a user's last items.
///
/// h ← GRU(item, h); state = dense(h); the score of the next item is the inner product of the state with the item's row.
/// Trained by cross-entropy at every position of packed windows.
///
/// Source: Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (2016); Tan et al., *Improved
/// Recurrent Neural Networks for Session-based Recommendations* (2016), for the loss.
public final class GRU4Rec: SequentialRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the items' rows.
    public var dimension = 64
    /// The width of the recurrent state.
    public var hidden = 128
    /// The most items that are read.
    public var windowLength = 50
    /// The rate of dropout on the inputs.
    public var dropout = 0.3
    /// How many drawn items stand in the softmax beside the batch's targets; `nil` for the whole catalogue.
    public var sampledItems: Int?

    /// The defaults.
    public init() {}
  }

  /// GRU4Rec.
  public let name = "GRU4Rec"
  /// How the model was built.
  public let configuration: Configuration
  /// The items' rows.
  public let itemEmbedding: Parameter
  /// The histories that the scorer continues.
  public var histories: UserHistories
  private let inputWeight: Parameter
  private let stateWeight: Parameter
  private let dense: Linear
  private let dropout: Dropout?

  /// RecBole's names.
  public static let checkpointKeys = [
    "itemEmbedding": "item_embedding.weight", "inputWeight": "gru.weight_ih_l0",
    "stateWeight": "gru.weight_hh_l0",
  ]

  /// A model for the users and items of `training`: rows by Xavier's normal rule, gates by Xavier's uniform rule.
  public init(
    training: Interactions, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    self.configuration = configuration
    histories = UserHistories(training)
    let (width, hidden) = (configuration.dimension, configuration.hidden)
    itemEmbedding = .xavierTable(rows: training.itemCount, columns: width, dtype: dtype, using: &generator)
    func gates(_ inputs: Int) -> Parameter {
      let bound = (6 / Double(3 * hidden + inputs)).squareRoot()
      return Parameter(.uniform([3 * hidden, inputs], in: -bound..<bound, dtype: dtype, using: &generator))
    }
    inputWeight = gates(width)
    stateWeight = gates(hidden)
    dense = Linear(inputs: hidden, outputs: width, dtype: dtype, using: &generator)
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
    setTraining(false)
  }

  /// The most items that are read.
  public var windowLength: Int { configuration.windowLength }
  /// How many drawn items stand in the softmax; `nil` for the whole catalogue.
  public var sampledItems: Int? { configuration.sampledItems }

  /// The state after each item.
  public func states(_ sequences: ItemSequences) -> Tensor {
    let order = StepOrder(lengths: sequences.lengths)
    var x = itemEmbedding.value.gatheredRows(Tensor(order.places.map { sequences.items[Int($0)] }))
    if let dropout { x = dropout(x) }
    let states = RecurrentPass.states(
      inputs: x.matmul(inputWeight.value, transposingOther: true), weight: stateWeight.value,
      counts: order.counts)
    return dense(states.gatheredRows(Tensor(order.ranks)))
  }
}

/// Sequences side by side, the longest first: step t holds the t-th items of those that have one.
private struct StepOrder {
  /// For each row of the side-by-side order, its place in the packed order.
  private(set) var places: [Int32] = []
  /// For each place in the packed order, its row.
  private(set) var ranks: [Int32]
  /// The number of sequences that have a t-th item, for each t; never rising.
  private(set) var counts: [Int] = []

  init(lengths: [Int]) {
    let order = lengths.indices.sorted { lengths[$0] == lengths[$1] ? $0 < $1 : lengths[$0] > lengths[$1] }
    var starts: [Int] = []
    var total = 0
    for length in lengths {
      starts.append(total)
      total += length
    }
    ranks = [Int32](repeating: 0, count: total)
    places.reserveCapacity(total)
    for step in 0..<(lengths.max() ?? 0) {
      let active = order.prefix { lengths[$0] > step }
      counts.append(active.count)
      for sequence in active {
        ranks[starts[sequence] + step] = Int32(places.count)
        places.append(Int32(starts[sequence] + step))
      }
    }
  }
}

/// A recurrent pass as one operation, with its own backward pass: the tape would keep, and add up, a slice per step.
///
/// r, z = σ(x_rz + U_rz h), n = tanh(x_n + r ⊙ U_n h), h ← (1 − z) ⊙ n + z ⊙ h.
private enum RecurrentPass {
  /// What a step leaves for the backward pass; all `[sequences of the step, hidden]`.
  private struct Step {
    let before: Tensor
    let reset: Tensor
    let update: Tensor
    let proposal: Tensor
    /// U_n h.
    let recall: Tensor
  }

  /// - Parameters:
  ///   - inputs: the steps' x one below the other, `[tokens, 3 · hidden]`, gates in the order r, z, n.
  ///   - weight: U, `[3 · hidden, hidden]`.
  ///   - counts: the rows of each step, never rising.
  /// - Returns: `[tokens, hidden]`.
  static func states(inputs: Tensor, weight: Tensor, counts: [Int]) -> Tensor {
    let (x, u) = (inputs.detached, weight.detached)
    let hidden = u.shape[1]
    var steps: [Step] = []
    var states: [Tensor] = []
    var state = Tensor.zeros([counts.first ?? 0, hidden], dtype: x.dtype)
    var row = 0
    for count in counts {
      let before = state.sliced(0..<count, along: 0)
      let input = x.sliced(row..<row + count, along: 0)
      let own = before.matmul(u, transposingOther: true)
      func part(_ tensor: Tensor, _ index: Int) -> Tensor {
        tensor.sliced(index * hidden..<(index + 1) * hidden, along: 1)
      }
      let reset = (part(input, 0) + part(own, 0)).sigmoid()
      let update = (part(input, 1) + part(own, 1)).sigmoid()
      let recall = part(own, 2)
      let proposal = (part(input, 2) + reset * recall).tanh()
      state = proposal + update * (before - proposal)
      steps.append(Step(before: before, reset: reset, update: update, proposal: proposal, recall: recall))
      states.append(state)
      row += count
    }
    let output = states.isEmpty ? Tensor.zeros([0, hidden], dtype: x.dtype) : .concatenated(states, along: 0)
    return Tensor.custom("GRU", inputs: [inputs, weight], output: output) { upstream in
      backward(upstream, steps, u, counts)
    }
  }

  private static func backward(
    _ upstream: Tensor, _ steps: [Step], _ u: Tensor, _ counts: [Int]
  ) -> [Tensor?] {
    let hidden = u.shape[1]
    var row = counts.reduce(0, +)
    guard row > 0 else { return [nil, nil] }
    var carried: Tensor?
    var inputGradients: [Tensor] = []
    var ownGradients: [Tensor] = []
    for (step, count) in zip(steps, counts).reversed() {
      row -= count
      var d = upstream.sliced(row..<row + count, along: 0)
      if let tail = carried {
        // Sequences that ended here have nothing carried back.
        let missing = count - tail.shape[0]
        d =
          d
          + (missing == 0
            ? tail : .concatenated([tail, .zeros([missing, hidden], dtype: d.dtype)], along: 0))
      }
      let dProposal = (d - d * step.update) * (1 - step.proposal.squared())
      let dUpdate = d * (step.before - step.proposal) * (step.update - step.update.squared())
      let dReset = dProposal * step.recall * (step.reset - step.reset.squared())
      let own = Tensor.concatenated([dReset, dUpdate, dProposal * step.reset], along: 1)
      inputGradients.append(.concatenated([dReset, dUpdate, dProposal], along: 1))
      ownGradients.append(own)
      carried = d * step.update + own.matmul(u)
    }
    let before = Tensor.concatenated(steps.map(\.before), along: 0)
    let own = Tensor.concatenated(ownGradients.reversed(), along: 0)
    return [
      .concatenated(inputGradients.reversed(), along: 0), own.matmul(before, transposingSelf: true),
    ]
  }
}
