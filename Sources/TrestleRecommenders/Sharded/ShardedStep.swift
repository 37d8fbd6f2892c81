import TrestleNN
import TrestleTensor

/// A step of a sharded recommender's training: its batches' losses, and the gradients that their rows' owners add up.
///
/// All ranks add a batch, or none, at the same time; the sums are in the order of the ranks and of the calls.
struct ShardedStep {
  private let model: any ShardedRecommender
  /// The step's number, which decides dropout masks.
  private let number: Int
  /// This rank's rows of those that losses are made of; `nil` if they are the tables' own.
  private let propagated: Representations?
  /// Whether several batches' gradients are weighed by their examples.
  private let isWeighed: Bool
  private let network: ShardedNetwork?
  private var sums: (users: RowSums, items: RowSums) = (RowSums(), RowSums())
  private var ownSums: (users: RowSums, items: RowSums) = (RowSums(), RowSums())
  private(set) var exampleCount = 0
  private var totalLoss = 0.0

  init(
    _ model: any ShardedRecommender, _ network: ShardedNetwork?, number: Int, partCount: Int
  ) throws(CommunicatorError) {
    (self.model, self.network, self.number) = (model, network, number)
    propagated = try model.propagated()
    isWeighed = partCount > 1
  }

  /// The mean loss of the batches so far.
  var loss: Double { totalLoss / Double(max(exampleCount, 1)) }

  /// Adds a batch of each rank.
  ///
  /// - Parameters:
  ///   - batch: this rank's; `nil` if there is none left for it.
  ///   - part: the batch's number within the step.
  /// - Throws: what the loss throws; `CommunicatorError` if a rank is lost or the engine fails.
  mutating func add(_ batch: ShardedBatch?, part: Int) throws {
    let side = try Side(model.users, batch?.users ?? [], propagated?.users)
    let other = try Side(model.items, batch?.items ?? [], propagated?.items)
    let found = try batch.map { try computed($0, side, other, part: part) }
    let header = [Int64(batch?.exampleCount ?? 0), Int64(bitPattern: (found?.loss ?? 0).bitPattern)]
    for part in try model.communicator.allGather(header) {
      exampleCount += Int(part[0])
      totalLoss += Double(bitPattern: UInt64(bitPattern: part[1])) * Double(part[0])
    }
    let weight = isWeighed ? Double(batch?.exampleCount ?? 0) : 1
    sums.users.add(try side.gather(found?.gradients[side.rows], weight))
    sums.items.add(try other.gather(found?.gradients[other.rows], weight))
    if propagated != nil && model.lossReadsOwnRows {
      ownSums.users.add(try side.gather(found?.gradients[side.own], weight))
      ownSums.items.add(try other.gather(found?.gradients[other.own], weight))
    }
    try network?.add(found, exampleCount: batch?.exampleCount ?? 0, isWeighed: isWeighed)
  }

  private func computed(
    _ batch: ShardedBatch, _ users: Side, _ items: Side, part: Int
  ) throws -> (loss: Double, gradients: Gradients) {
    var variables = [users.rows, items.rows]
    if propagated != nil { variables += [users.own, items.own] }
    func taken() throws -> (value: Tensor, gradients: Gradients) {
      try valueAndGradients(of: variables + (network?.parameters ?? [])) {
        try model.loss(of: batch, users: users.batchRows, items: items.batchRows)
      }
    }
    let (value, gradients) = try network?.dropout.drawing(step: number, part: part, taken) ?? taken()
    return (value.item, gradients)
  }

  /// The mean gradient of this rank's rows, and of what all ranks hold, over all batches.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  mutating func gradients() throws(CommunicatorError) -> Gradients {
    let factor = isWeighed ? 1 / Double(max(exampleCount, 1)) : 1
    var result = try network?.mean(isWeighed: isWeighed) ?? Gradients()
    let (users, items) = (sums.users.take(), sums.items.take())
    guard propagated != nil else {
      for (table, rows) in [(model.users, users), (model.items, items)] {
        guard let rows else { continue }
        let mean = isWeighed ? Gradient.rows(rows).scaled(by: factor) : .rows(rows)
        result[table.shard] = model.updatesOnlyTouchedRows ? mean : .dense(mean.dense())
      }
      return result
    }
    func dense(_ table: EmbeddingTable, _ rows: SparseRows?) -> Tensor {
      let sum = rows?.dense() ?? .zeros(table.shard.shape)
      return isWeighed ? sum * factor : sum
    }
    let own = try model.gradients(
      Representations(users: dense(model.users, users), items: dense(model.items, items)))
    result[model.users.shard] = .dense(own.users)
    result[model.items.shard] = .dense(own.items)
    var added = Gradients()
    for (table, rows) in [(model.users, ownSums.users.take()), (model.items, ownSums.items.take())] {
      guard let rows else { continue }
      added[table.shard] = isWeighed ? Gradient.rows(rows).scaled(by: factor) : .rows(rows)
    }
    result.add(added)
    return result
  }

  /// A batch's users or items.
  private struct Side {
    let table: EmbeddingTable
    let request: RowRequest
    /// The distinct rows that losses are made of.
    let rows: Parameter
    /// The distinct rows of the table: the same ones, if losses are made of them.
    let own: Parameter

    init(_ table: EmbeddingTable, _ indices: [Int32], _ propagated: Tensor?) throws(CommunicatorError) {
      self.table = table
      request = try table.request(indices)
      own = Parameter(try table.rows(request))
      if let propagated {
        rows = Parameter(try table.rows(request, of: propagated))
      } else {
        rows = own
      }
    }

    /// What the loss sees, tracked while gradients are taken.
    var batchRows: ShardedRows {
      ShardedRows(rows: rows.value, own: own.value, places: request.places)
    }

    /// Sends a gradient of these rows to their owners.
    func gather(_ gradient: Gradient?, _ weight: Double) throws(CommunicatorError) -> SparseRows {
      let values = gradient?.dense() ?? .zeros([request.names.count, table.width])
      return try table.gather(weight == 1 ? values : values * weight, request)
    }
  }
}

/// What every rank holds whole of a sharded recommender, with its gradients' sums.
final class ShardedNetwork {
  let parameters: [Parameter]
  let dropout: PartDropout
  private let reducer: GradientReducer
  /// The only batch's gradients, where there is one a step.
  private var only = Gradients()

  /// - Throws: `CommunicatorError` for a module with running statistics, which would depend on which rank has which batch.
  init?(_ model: any ShardedRecommender) throws(CommunicatorError) {
    guard let network = model.network else { return nil }
    if let buffer = network.namedBuffers.first {
      throw .unsuitable(
        expected: "layers without running statistics over rows that are cut",
        found: "the buffer '\(buffer.name)'")
    }
    parameters = network.trainableParameters
    dropout = PartDropout(network)
    reducer = GradientReducer(parameters, model.communicator)
  }

  func add(
    _ found: (loss: Double, gradients: Gradients)?, exampleCount: Int, isWeighed: Bool
  ) throws(CommunicatorError) {
    guard isWeighed else {
      only = found?.gradients ?? Gradients()
      return
    }
    _ = try reducer.add(
      found.map { GradientReducer.Part($0.gradients, exampleCount: exampleCount, loss: $0.loss) })
  }

  func mean(isWeighed: Bool) throws(CommunicatorError) -> Gradients {
    let gradients = isWeighed ? try reducer.mean()?.gradients ?? Gradients() : only
    var result = Gradients()
    for parameter in parameters { result[parameter] = gradients[parameter] }
    return result
  }
}
