import Testing
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// A language model trained by several ranks ends in the bits of one process that accumulates.
@Suite struct RankTrainingTests {
  /// Sequences of items and text for six steps of four parts, of unequal lengths.
  private static let steps: [[[ItemSequenceModel.Sequence]]] = {
    var generator = RandomGenerator(seed: 2)
    func token() -> Int32 { Int32(generator.index(below: 64)) }
    return (0..<6).map { _ in
      (0..<4).map { part in
        (0..<(2 + part)).map { _ in
          let tokens = (0..<(3 + generator.index(below: 9))).map { _ in
            generator.uniform() < 0.4 ? 64 + Int32(generator.index(below: 60)) : token()
          }
          return ItemSequenceModel.Sequence(
            tokens: tokens, targets: tokens.map { _ in Int32(generator.index(below: 40)) })
        }
      }
    }
  }()

  /// Entity rows, the item head, and either all weights or adapters.
  private static func trained(
    _ ranks: any Communicator, accumulation: Int?, adapters: Bool
  ) throws -> [[UInt32]] {
    var generator = RandomGenerator(seed: 6)
    let configuration = LlamaConfiguration(
      vocabularySize: 64, hiddenSize: 32, intermediateSize: 48, layerCount: 2, headCount: 4,
      keyValueHeadCount: 2)
    let model = try Llama(configuration, using: RandomGenerator(seed: 1))
    if adapters {
      _ = try LoRA(rank: 4, alpha: 8).load(into: model, using: generator)
    }
    let entities = EntityTokens(userCount: 20, itemCount: 40, for: model, using: &generator)
    let side = ItemSequenceModel(model: model, entities: entities, head: ItemHead(itemCount: 40))
    let parameters = side.trainableParameters
    let optimizer = AdamW(parameters, learningRate: 1e-2)
    optimizer.maximumNorm = 1
    optimizer.schedule = .cosine(warmup: 2, total: 6)
    let parallel = try DataParallel(
      side, parameters: parameters, communicator: ranks, accumulation: accumulation)
    var losses: [Float] = []
    for (number, parts) in steps.enumerated() {
      let mean = try parallel.step(number) { part in
        DataParallel.Part(exampleCount: parts[part].reduce(0) { $0 + $1.targets.count }) {
          side.sequenceLoss(parts[part])
        }
      }
      guard let mean else { continue }
      optimizer.update(with: mean.gradients)
      losses.append(Float(mean.loss))
    }
    #expect(losses.count == 6 && (losses.last ?? 9) < (losses.first ?? 0))
    return parameters.map { $0.detached.floats.map(\.bitPattern) } + [losses.map(\.bitPattern)]
  }

  @Test(arguments: [false, true], [2, 4]) func ranksTrainInTheBitsOfOneProcess(adapters: Bool, size: Int)
    throws
  {
    try withSteadyInstructionSet {
      let alone = try Self.trained(SingleProcess(), accumulation: 4, adapters: adapters)
      for result in ThreadCommunicator.run(
        ranks: size, { try Self.trained($0, accumulation: 4, adapters: adapters) })
      {
        #expect(try result.get() == alone)
      }
    }
  }
}
