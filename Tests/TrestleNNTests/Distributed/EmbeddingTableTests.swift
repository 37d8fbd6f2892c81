import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// A table that is cut over ranks, against a parameter that is not.
@Suite struct EmbeddingTableTests {
  private static let rowCount = 37
  private static let width = 5

  /// Batches of five steps of four parts.
  private static let steps: [[[Int32]]] = {
    var generator = RandomGenerator(seed: 4)
    return (0..<5).map { _ in
      (0..<4).map { part in (0..<(4 + 2 * part)).map { _ in Int32(generator.index(below: rowCount)) } }
    }
  }()

  private static func loss(_ rows: Tensor) -> Tensor { (rows.squared() + rows.tanh()).sum() * 0.3 }

  private static func table(_ ranks: any Communicator, _ partition: EmbeddingTable.Partition)
    -> EmbeddingTable
  {
    EmbeddingTable(
      rowCount: rowCount, width: width, partition: partition, communicator: ranks, deviation: 0.5,
      using: RandomGenerator(seed: 9))
  }

  private static func trained(
    _ ranks: any Communicator, _ partition: EmbeddingTable.Partition
  ) throws -> [UInt32] {
    let table = table(ranks, partition)
    let optimizer = Adam([table.shard], learningRate: 1e-2)
    for parts in steps {
      for first in stride(from: 0, to: parts.count, by: ranks.size) {
        let own = first + ranks.rank
        let batch = own < parts.count ? parts[own] : []
        let found = try table.lookup(batch)
        let gradients =
          batch.isEmpty ? nil : valueAndGradients(of: [found.rows]) { loss(found[batch]) }.gradients
        try table.add(gradients?[found.rows], of: found, exampleCount: batch.count)
      }
      table.update(optimizer)
    }
    let (start, rest) = (try table.rows(0..<11), try table.rows(11..<rowCount))
    return (start.floats + rest.floats).map(\.bitPattern)
  }

  /// The same with a plain parameter.
  private static func plain() throws -> [UInt32] {
    let rows = Parameter(try table(SingleProcess(), .range).rows(0..<rowCount))
    let optimizer = Adam([rows], learningRate: 1e-2)
    let reducer = GradientReducer([rows], SingleProcess())
    for parts in steps {
      for batch in parts {
        let (value, gradients) = valueAndGradients(of: [rows]) {
          loss(rows.value.gatheredRows(Tensor(batch)))
        }
        _ = try reducer.add(.init(gradients, exampleCount: batch.count, loss: value.item))
      }
      if let mean = try reducer.mean() { optimizer.update(with: mean.gradients) }
    }
    return rows.detached.floats.map(\.bitPattern)
  }

  @Test(arguments: EmbeddingTable.Partition.allCases, [1, 2, 3, 4])
  func anUncutTableHasTheSameBits(partition: EmbeddingTable.Partition, size: Int) throws {
    try withSteadyInstructionSet {
      let expected = try Self.plain()
      let results = ThreadCommunicator.run(ranks: size) { try Self.trained($0, partition) }
      for result in results { #expect(try result.get() == expected) }
    }
  }

  @Test(arguments: EmbeddingTable.Partition.allCases) func everyRowHasOneOwner(
    partition: EmbeddingTable.Partition
  ) throws {
    let counts = try ThreadCommunicator.run(ranks: 4) { ranks in
      let table = Self.table(ranks, partition)
      let own = (0..<Int32(Self.rowCount)).count { table.owner(of: $0) == ranks.rank }
      return [own, table.shard.shape[0]]
    }.map { try $0.get() }
    #expect(counts.allSatisfy { $0[0] == $0[1] && (9...10).contains($0[0]) })
    #expect(counts.reduce(0) { $0 + $1[0] } == Self.rowCount)
  }
}
