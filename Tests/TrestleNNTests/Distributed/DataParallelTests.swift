import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// A step's gradient does not depend on how many ranks compute its parts.
@Suite struct DataParallelTests {
  /// A table, looked up row by row or as a whole, dropout, and a layer that some parts do not use.
  private final class Model: Module {
    let table: Parameter
    let dropout: Dropout
    let layer: Linear
    let rare: Linear

    init() {
      var generator = RandomGenerator(seed: 3)
      table = Parameter(.normal([50, 6], using: &generator))
      dropout = Dropout(rate: 0.3, using: &generator)
      layer = Linear(inputs: 6, outputs: 5, using: &generator)
      rare = Linear(inputs: 5, outputs: 5, using: &generator)
    }

    func loss(_ batch: Batch) -> Tensor {
      var states = layer(dropout(table.value.gatheredRows(Tensor(batch.rows)))).relu()
      if batch.usesRare { states = rare(states) }
      let loss = states.squared().mean()
      return batch.usesTable ? loss + table.value.squared().mean() : loss
    }
  }

  struct Batch: Sendable {
    var rows: [Int32]
    var usesRare = false
    var usesTable = false
  }

  /// Steps of parts that differ in size and in what they use; the last step has fewer.
  private static let steps: [[Batch]] = {
    var generator = RandomGenerator(seed: 8)
    return (0..<6).map { step in
      (0..<(step == 5 ? 3 : 4)).map { part in
        Batch(
          rows: (0..<(3 + part + step)).map { _ in Int32(generator.index(below: 12)) },
          usesRare: (step + part) % 3 == 1, usesTable: step == 2 || (step == 4 && part == 1))
      }
    }
  }()

  private static func trained(_ communicator: any Communicator, accumulation: Int?) throws -> [[UInt32]] {
    let model = Model()
    let optimizer = AdamW(model.parameters, learningRate: 1e-2)
    optimizer.maximumNorm = 1
    let parallel = try DataParallel(model, communicator: communicator, accumulation: accumulation)
    var losses: [Float] = []
    for (number, parts) in steps.enumerated() {
      let mean = try parallel.step(number) { part in
        guard part < parts.count else { return nil }
        return DataParallel.Part(exampleCount: parts[part].rows.count) { model.loss(parts[part]) }
      }
      guard let mean else { continue }
      optimizer.update(with: mean.gradients)
      losses.append(Float(mean.loss))
    }
    return model.parameters.map { $0.detached.floats.map(\.bitPattern) } + [losses.map(\.bitPattern)]
  }

  @Test(arguments: [2, 3, 4]) func ranksTrainInTheBitsOfOneProcess(size: Int) throws {
    try withSteadyInstructionSet {
      let alone = try Self.trained(SingleProcess(), accumulation: 4)
      for result in ThreadCommunicator.run(ranks: size, { try Self.trained($0, accumulation: 4) }) {
        #expect(try result.get() == alone)
      }
    }
  }

  /// Against the plain gradient of the mean over all examples, without dropout.
  @Test func theMeanIsThatOfOneBatch() throws {
    let parts = Self.steps[4]
    let model = Model()
    model.setTraining(false)
    let total = Float(parts.reduce(0) { $0 + $1.rows.count })
    let (value, gradients) = valueAndGradients(of: model.parameters) {
      parts.map { model.loss($0) * (Double($0.rows.count) / Double(total)) }.reduce(Tensor(0)) { $0 + $1 }
    }
    let parallel = try DataParallel(model, communicator: SingleProcess(), accumulation: parts.count)
    let mean = try #require(
      try parallel.step(0) { part in
        DataParallel.Part(exampleCount: parts[part].rows.count) { model.loss(parts[part]) }
      })
    #expect(abs(mean.loss - value.item) < 1e-6)
    for parameter in model.parameters {
      let (found, expected) = (mean.gradients[parameter]?.dense(), gradients[parameter]?.dense())
      #expect((found == nil) == (expected == nil))
      guard let found, let expected else { continue }
      #expect(found.shape == expected.shape)
      #expect(zip(found.floats, expected.floats).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  @Test func lookupsStayRowSparse() throws {
    let parts = Self.steps[0]
    for result in ThreadCommunicator.run(
      ranks: 2,
      { ranks in
        let model = Model()
        let parallel = try DataParallel(model, communicator: ranks, accumulation: 4)
        let mean = try parallel.step(0) { part in
          DataParallel.Part(exampleCount: parts[part].rows.count) { model.loss(parts[part]) }
        }
        guard case .rows(let rows)? = mean?.gradients[model.table] else { return [Int32]() }
        return rows.indices.scalars(as: Int32.self)
      })
    {
      #expect(try result.get() == Set(parts.flatMap(\.rows)).sorted())
    }
  }

  @Test func fewerPartsThanRanksAreRefused() throws {
    for result in ThreadCommunicator.run(ranks: 3, { try Self.trained($0, accumulation: 2) }) {
      #expect(throws: CommunicatorError.self) { try result.get() }
    }
  }

  @Test func aStateReachesAllRanks() throws {
    let results = ThreadCommunicator.run(ranks: 3) { ranks in
      let model = Model()
      let optimizer = AdamW(model.parameters, learningRate: 1e-2)
      if ranks.rank == 1 {
        for step in 0..<3 {
          let gradients = valueAndGradients(of: model.parameters) { model.loss(Self.steps[step][0]) }
            .gradients
          optimizer.update(with: gradients)
        }
        optimizer.groups[0].multiplier = 0.5
      }
      try ranks.broadcastState(of: model, optimizers: ["": optimizer], from: 1)
      try ranks.requireSameParameters(model)
      let gradients = valueAndGradients(of: model.parameters) { model.loss(Self.steps[3][0]) }.gradients
      optimizer.update(with: gradients)
      return (model.parameters.map { $0.detached.floats }, optimizer.stepCount)
    }
    let first = try results[0].get()
    #expect(first.1 == 4)
    for result in results { #expect(try result.get() == first) }
    #expect(first.0 != Model().parameters.map { $0.detached.floats })
  }
}
