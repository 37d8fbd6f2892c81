import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTestSupport

/// A language model that learns to read on several ranks reads in the bits of one process that accumulates.
@Suite struct RankReadingTests {
  private static func tuned(
    _ ranks: any Communicator, _ reader: URL, accumulation: Int?, epochs: Int = 2, checkpoint: URL? = nil
  ) throws -> [[UInt32]] {
    let dataset = try TinyReader.world()
    let small = TinyReader.fit(dataset, readingEpochs: epochs)
    var configuration = small.configuration
    configuration.side.batchItems = 16
    var fit = HybridFit(
      dataset: dataset, texts: small.texts, kind: .factorization, configuration: configuration)
    (fit.communicator, fit.accumulation) = (ranks, accumulation)
    let reading = try fit.tune(
      LoadedModel(contentsOf: reader), name: "tiny", path: reader, checkpoint: checkpoint)
    let files = reading.adapterFiles.sorted { $0.key < $1.key }.map { $0.value.map { UInt32($0) } }
    #expect(!files.isEmpty)
    return [reading.states.floats.map(\.bitPattern), [Float(reading.figures.tuned).bitPattern]] + files
  }

  @Test func ranksReadInTheBitsOfOneProcess() throws {
    let reader = try TinyReader()
    let model = reader.model
    try withSteadyInstructionSet {
      let alone = try Self.tuned(SingleProcess(), model, accumulation: 4)
      for size in [2, 4] {
        for result in ThreadCommunicator.run(ranks: size, { try Self.tuned($0, model, accumulation: 4) }) {
          #expect(try result.get() == alone)
        }
      }
      #expect(try Self.tuned(SingleProcess(), model, accumulation: nil) != alone)
    }
  }

  @Test func anotherNumberOfRanksGoesOn() throws {
    let reader = try TinyReader()
    let model = reader.model
    try withSteadyInstructionSet {
      let folder = reader.folder.appending(path: "checkpoint")
      let whole = try Self.tuned(SingleProcess(), model, accumulation: 4)
      // Stopped in the first epoch of reading, after the recommender's training.
      let interrupted = ThreadCommunicator.run(ranks: 4) { ranks in
        let dataset = try TinyReader.world()
        let small = TinyReader.fit(dataset)
        var configuration = small.configuration
        configuration.side.batchItems = 16
        var fit = HybridFit(
          dataset: dataset, texts: small.texts, kind: .factorization, configuration: configuration)
        fit.communicator = ranks
        fit.onProgress = { what, done, _ in what.hasPrefix("tiny") && done >= 4 }
        _ = try fit.tune(LoadedModel(contentsOf: model), name: "tiny", path: model, checkpoint: folder)
      }
      for result in interrupted { #expect(throws: BridgeError.self) { try result.get() } }
      for result in ThreadCommunicator.run(
        ranks: 2, { try Self.tuned($0, model, accumulation: nil, checkpoint: folder) })
      {
        #expect(try result.get() == whole)
      }
    }
  }
}
