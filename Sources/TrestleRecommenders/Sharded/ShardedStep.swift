import TrestleNN
import TrestleTensor

/// A step of a sharded recommender's training: its batches' losses, and the gradients that their rows' owners add up.
///
/// All ranks add a batch, or none, at the same time; the sums are in the order of the ranks and of the calls.
struct ShardedStep {
  private let model: any ShardedRecommender
  /// This rank's rows of those that scores are made of; `nil` if they are the tables' own.
  private let propagated: Representations?
  /// Whether several batches' gradients are weighed by their examples.
  private let isWeighed: Bool
  private var sums: (users: RowSums, items: RowSums) = (RowSums(), RowSums())
  private var penalties: (users: RowSums, items: RowSums) = (RowSums(), RowSums())
  private(set) var exampleCount = 0
  private var totalLoss = 0.0

  init(_ model: any ShardedRecommender, partCount: Int) throws(CommunicatorError) {
    self.model = model
    propagated = try model.propagated()
    isWeighed = partCount > 1
  }

  /// The mean loss of the batches so far.
  var loss: Double { totalLoss / Double(max(exampleCount, 1)) }

  /// Adds a batch of each rank.
  ///
  /// - Parameter batch: this rank's; `nil` if there is none left for it.
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  mutating func add(_ batch: PairwiseBatch?) throws(CommunicatorError) {
    let side = try Side(model.users, batch?.users.scalars() ?? [], propagated?.users)
    let items = batch.map { $0.positives.scalars() + $0.negatives.scalars() } ?? [Int32]()
    let other = try Side(model.items, items, propagated?.items)
    var found: (loss: Double, gradients: Gradients)?
    if let batch {
      let variables = [side.rows, other.rows, side.own, other.own]
      let (value, gradients) = valueAndGradients(
        of: propagated == nil ? Array(variables.prefix(2)) : variables
      ) {
        Self.loss(side, other, batch.count, penalty: model.regularization)
      }
      found = (value.item, gradients)
    }
    let header = [Int64(batch?.count ?? 0), Int64(bitPattern: (found?.loss ?? 0).bitPattern)]
    for part in try model.communicator.allGather(header) {
      exampleCount += Int(part[0])
      totalLoss += Double(bitPattern: UInt64(bitPattern: part[1])) * Double(part[0])
    }
    let weight = isWeighed ? Double(batch?.count ?? 0) : 1
    sums.users.add(try side.gather(found?.gradients[side.rows], weight))
    sums.items.add(try other.gather(found?.gradients[other.rows], weight))
    if propagated != nil && model.regularization > 0 {
      penalties.users.add(try side.gather(found?.gradients[side.own], weight))
      penalties.items.add(try other.gather(found?.gradients[other.own], weight))
    }
  }

  private static func loss(_ users: Side, _ items: Side, _ count: Int, penalty weight: Double) -> Tensor {
    let places = Tensor(items.request.places)
    return Tensor.pairwiseRankingLoss(
      RankingTables(users: users.rows.value, items: items.rows.value),
      RankingTriples(
        users: Tensor(users.request.places), positives: places.sliced(0..<count, along: 0),
        negatives: places.sliced(count..<2 * count, along: 0)),
      penalty: weight > 0
        ? RankingPenalty(users: users.own.value, items: items.own.value, weight: weight) : nil,
      hasDenseGradients: true)
  }

  /// The mean gradient of this rank's rows over all batches.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  mutating func gradients() throws(CommunicatorError) -> Gradients {
    let factor = isWeighed ? 1 / Double(max(exampleCount, 1)) : 1
    var result = Gradients()
    let (users, items) = (sums.users.take(), sums.items.take())
    guard propagated != nil else {
      // Small tables move as a whole, as those of one process do.
      let isDense = RankingTables.areSmall(model.userCount + model.itemCount)
      for (table, rows) in [(model.users, users), (model.items, items)] {
        guard let rows else { continue }
        let mean = isWeighed ? Gradient.rows(rows).scaled(by: factor) : .rows(rows)
        result[table.shard] = isDense ? .dense(mean.dense()) : mean
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
    for (table, rows) in [(model.users, penalties.users.take()), (model.items, penalties.items.take())] {
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
    /// The distinct rows that scores are made of.
    let rows: Parameter
    /// The distinct rows of the table: the same ones, if scores are made of them.
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

    /// Sends a gradient of these rows to their owners.
    func gather(_ gradient: Gradient?, _ weight: Double) throws(CommunicatorError) -> SparseRows {
      let values = gradient?.dense() ?? .zeros([request.names.count, table.width])
      return try table.gather(weight == 1 ? values : values * weight, request)
    }
  }
}
