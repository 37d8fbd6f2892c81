import Foundation
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model that learns to read in the terms of a recommender that is fitted already: the side, the strategy and the
/// trainer put together.
struct ReadingTraining {
  /// The recommender's name and rows.
  let domain: (name: String, rows: Representations)
  /// What the adapters are trained on, and judged by: its validation data has `validationItems` as new items.
  let split: DataSplit
  let validationItems: [Int32]
  let vocabulary: EntityVocabulary
  /// How the sides exchange; its warm-up is over.
  let bridge: ReadingStrategy.Configuration
  let side: ReadingSide.Configuration
  let seed: UInt64
  /// What the untrained model makes of the texts, read beside the tuned states; `nil` for nothing.
  var untrained: Tensor?
  /// Where the trainer's state is kept, and what tells it from another's.
  var checkpoint: (folder: URL?, fingerprint: String) = (nil, "")
  /// The ranks that train together, and how many batches make a step; `nil` for one of each rank.
  var ranks: (communicator: any Communicator, accumulation: Int?) = (SingleProcess(), nil)
  var log: (String) -> Void = { _ in }
  /// Called after each epoch of the language model.
  var onEpoch: (BridgeEpochRecord) -> Void = { _ in }
  /// Called after each batch with how many are done, and of how many; true ends the training.
  var onBatch: ((_ done: Int, _ total: Int) -> Bool)?

  /// Trains. The adapters keep what they have learned; the reader reads with them as long as they are loaded.
  ///
  /// - Parameters:
  ///   - reader: the language model, with the adapters loaded.
  ///   - adapters: these; `nil` leaves the language model as it is.
  ///   - name: the language model's name, for messages.
  /// - Returns: the strategy after its last phase.
  func run(_ reader: TextReader, _ adapters: LoRAAdapters?, name: String) throws -> ReadingStrategy {
    var side = side
    (side.seed, side.width) = (seed, domain.rows.items.shape[1])
    let language = ReadingSide(
      name: name, reader: reader, adapters: adapters, split: split, validationItems: validationItems,
      vocabulary: vocabulary, configuration: side)
    var bridge = bridge
    bridge.warmUpEpochs = 0
    let strategy = ReadingStrategy(
      validationItems: validationItems, untrained: untrained, configuration: bridge)
    let fixed = FixedRowsSide(name: domain.name, rows: domain.rows, vocabulary: vocabulary)
    let context = try BridgeContext(domain: fixed, language: language, split: split, log: log)
    let trainer = try BridgeTrainer(
      strategy, context, folder: checkpoint.folder, fingerprint: checkpoint.fingerprint,
      communicator: ranks.communicator, accumulation: ranks.accumulation)
    let epochs = bridge.readingEpochs
    trainer.onProgress = { [onBatch, trainer] progress in
      let done = progress.epoch * progress.batchCount + progress.batch
      if onBatch?(done, epochs * progress.batchCount) == true { trainer.requestStop() }
    }
    defer { trainer.onProgress = nil }
    trainer.onEpoch = { [onEpoch] record in
      if record.side == .language { onEpoch(record) }
    }
    try trainer.run()
    return strategy
  }

  /// The layers at some shares of a model's depth, each once, ascending.
  static func layers(_ shares: [Double], of model: any LanguageModel) -> [Int] {
    let depth = model.layerCount
    let layers = Set(shares.map { min(max(1, Int((Double(depth) * $0).rounded())), depth) })
    return layers.isEmpty ? [depth] : layers.sorted()
  }
}
