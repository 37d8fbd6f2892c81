import Testing
import TrestleNN
import TrestleTensor

/// What ranks can do, and what becomes of them when one is lost.
@Suite struct CommunicatorTests {
  static let sizes = [1, 2, 3, 5]

  private func run<Value: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (any Communicator) throws -> Value
  ) throws -> [Value] { try ThreadCommunicator.run(ranks: size) { try body($0) }.map { try $0.get() } }

  @Test(arguments: sizes) func everyRankGetsWhatTheOthersHave(size: Int) throws {
    let results = try run(size) { ranks in
      let own = Tensor([Float(ranks.rank), 10])
      let gathered = try ranks.allGather(own).map(\.floats)
      let rows = try ranks.allGatherRows(.full([ranks.rank, 2], Double(ranks.rank))).map(\.floats)
      let sent = (0..<ranks.size).map { Tensor.full([$0 + 1, 1], Double(10 * ranks.rank + $0)) }
      let received = try ranks.allToAllRows(sent).map(\.floats)
      let root = ranks.size - 1
      let shared = try ranks.broadcast(Tensor([Float(ranks.rank)]), from: root).floats
      let value = try ranks.broadcast(["\(ranks.rank)": ranks.rank], from: root)
      try ranks.barrier()
      return (
        gathered, rows, received, shared, value, try ranks.any(ranks.rank == root), try ranks.any(false)
      )
    }
    #expect(results.count == size)
    for (rank, result) in results.enumerated() {
      #expect(result.0 == (0..<size).map { [Float($0), 10] })
      #expect(result.1 == (0..<size).map { Array(repeating: Float($0), count: 2 * $0) })
      #expect(result.2 == (0..<size).map { Array(repeating: Float(10 * $0 + rank), count: rank + 1) })
      #expect(result.3 == [Float(size - 1)])
      #expect(result.4 == ["\(size - 1)": size - 1])
      #expect(result.5 && !result.6)
    }
  }

  /// Numbers whose sum depends on the order of the additions.
  @Test(arguments: sizes) func sumsAreTakenInTheOrderOfTheRanks(size: Int) throws {
    let parts = (0..<size).map { rank in
      var generator = RandomGenerator(seed: UInt64(rank))
      return Tensor.normal([7, 3], deviation: Double(1 << (5 * rank)), using: &generator)
    }
    var expected = parts[0]
    for part in parts.dropFirst() { expected = expected + part }
    let sum = expected.floats
    let results = try run(size) { ranks in
      (try ranks.allReduce(parts[ranks.rank]).floats, try ranks.reduceScatter(parts[ranks.rank]).floats)
    }
    for (all, _) in results { #expect(all == sum) }
    #expect(results.flatMap(\.1) == sum)
    if size == 5 {
      var backwards = parts[4]
      for part in parts.reversed().dropFirst() { backwards = backwards + part }
      #expect(backwards.floats != sum, "the order would not matter")
    }
  }

  @Test func aLostRankStopsTheOthers() throws {
    struct Failure: Error {}
    let results = ThreadCommunicator.run(ranks: 3) { ranks in
      try ranks.barrier()
      if ranks.rank == 1 { throw Failure() }
      try ranks.barrier()
    }
    for rank in [0, 2] {
      guard case .failure(let error as CommunicatorError) = results[rank],
        case .lostRank(rank: 1, size: 3, _) = error
      else {
        Issue.record("rank \(rank): \(results[rank])")
        continue
      }
    }
  }

  @Test func aRankWithOtherDataIsNamed() throws {
    let results = ThreadCommunicator.run(ranks: 3) { ranks in
      try ranks.requireAgreement(on: [1, 2], about: "split")
      try ranks.requireAgreement(on: [ranks.rank == 2 ? 7 : 3], about: "configuration")
    }
    for result in results {
      #expect(throws: CommunicatorError.disagreement(about: "configuration", rank: 2, size: 3)) {
        try result.get()
      }
    }
  }

  @Test func withoutMpirunThereIsOneRank() throws {
    for environment in [[:], ["PMI_SIZE": "1"], ["OMPI_COMM_WORLD_SIZE": "1"]] {
      #expect(try MPICommunicator.launched(environment: environment) is SingleProcess)
    }
  }

  @Test(arguments: ["PMI_SIZE": "MPICH", "OMPI_COMM_WORLD_SIZE": "Open MPI"])
  func aMissingLibraryIsOneLine(variable: String, kind: String) throws {
    do {
      _ = try MPICommunicator.launched(
        environment: [variable: "2", "TRESTLE_MPI_LIBRARY": "/nowhere/libmpi.so"])
      Issue.record("no error")
    } catch {
      let text = "\(error)"
      #expect(text.contains("\(kind)'s mpirun") && text.contains("/nowhere/libmpi.so"), "\(text)")
      #expect(!text.contains("\n"))
    }
    // A library that is there, but not MPI's.
    #expect(throws: CommunicatorError.self) {
      try MPICommunicator.launched(environment: [variable: "2", "TRESTLE_MPI_LIBRARY": "libc.so.6"])
    }
  }
}
