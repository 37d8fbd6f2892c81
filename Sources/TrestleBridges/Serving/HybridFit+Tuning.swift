import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleText

extension HybridFit {
  /// Lets the language model learn to read.
  ///
  /// - Parameters:
  ///   - loaded: the language model with its tokenizer; it is left as it was.
  ///   - name: its name, for messages.
  ///   - path: where it is: serving looks for it there, see ``ItemTextReader``.
  ///   - checkpoint: a folder in which the state is kept, and from which an earlier call's goes on.
  /// - Throws: `DataError` if too few items have interactions or texts, ``BridgeError/interrupted(checkpoint:)`` if
  ///   ``onProgress`` ended it, and what training throws.
  public func tune(
    _ loaded: LoadedModel, name: String, path: URL, checkpoint: URL? = nil
  ) throws -> TunedReading {
    let c = configuration
    let tokens = texts.texts.map { loaded.tokenizer.encode($0) }
    let new = try NewItemSplit(dataset.interactions, seed: c.seed, configuration: c.split)
    let rows = try domainRows(new, checkpoint?.appending(path: "domain"))
    let weights = new.split.training.itemCounts().indices.map { item in
      tokens[item].isEmpty
        ? 0 : Float(min(Int(new.split.training.itemCounts()[item]), c.bridge.countedInteractions))
    }
    guard weights.contains(where: { $0 > 0 }) else {
      throw DataError.invalidParameter(
        operation: "HybridFit", expected: "texts of items that have interactions", found: "none")
    }
    let style =
      c.readsTwice ? ReadingStyle.twice(tokens, separator: loaded.tokenizer.encode("\n")) : .plain
    let frozen = try bestLayer(tokens, style, loaded.model, new, rows, weights)
    log("layer \(frozen.layer) of \(loaded.model.layerCount) reads best before tuning")
    let (strategy, states, adapters) = try read(
      tokens, style, loaded.model, name, new, rows, frozen.layer, checkpoint)
    let reader = ItemReading.Reader(
      name: name, path: path.path, hash: try ItemTextReader.hash(of: path), layer: frozen.layer,
      noun: texts.noun, style: style)
    return TunedReading(
      reader: reader, states: states, map: strategy.chosenMap ?? frozen.map, scale: strategy.chosenScale,
      adapterFiles: adapters,
      figures: (
        try measure(strategy.rows?.items ?? rows.items, rows.users, new),
        try measure(frozen.rows, rows.users, new), try measure(.zeros(rows.items.shape), rows.users, new)
      ))
  }

  /// The recommender's rows after training without the new items.
  private func domainRows(_ new: NewItemSplit, _ checkpoint: URL?) throws -> Representations {
    var options = FitOptions()
    (options.seed, options.checkpoint) = (configuration.seed, checkpoint)
    (options.settings, options.epochs, options.patience) = (
      self.options.settings, self.options.epochs, self.options.patience
    )
    (options.communicator, options.accumulation, options.shardsTables) = (
      communicator, accumulation, self.options.shardsTables
    )
    let model = try dataset.fit(kind, split: new.split, options: options) { progress in
      if onProgress("\(kind.name) without new items", progress.epoch, progress.expectedEpochs) {
        throw BridgeError.interrupted(checkpoint: checkpoint?.path ?? "memory only")
      }
    }
    guard let rows = model.embeddings, let users = rows.users else {
      throw ServingError.otherData(expected: "a recommender with rows", found: kind.name)
    }
    return Representations(users: users, items: rows.items)
  }

  /// The layer at which the untuned language model reads best.
  private func bestLayer(
    _ tokens: [[Int32]], _ style: ReadingStyle, _ model: any LanguageModel, _ new: NewItemSplit,
    _ rows: Representations,
    _ weights: [Float]
  ) throws -> (layer: Int, map: KernelRidge.Configuration, rows: Tensor) {
    let layers = ReadingTraining.layers(configuration.layerShares, of: model)
    let states = TextReader.meanStates(of: tokens, by: model, layers: layers, style: style)
    let best = try zip(layers, states).best { layer, states in
      let found = try RowReading(
        readings: states, rows: rows, weights: weights, maps: configuration.bridge.maps
      ).best(on: new.split, items: new.validationItems)
      return (found.value, (layer: layer, map: found.map, rows: found.rows))
    }
    guard let best = best?.made else {
      throw DataError.invalidParameter(
        operation: "HybridFit", expected: "a figure on the validation data", found: "none")
    }
    return best
  }

  /// Tunes adapters, and reads all texts with them; the language model is left as it was.
  private func read(
    _ tokens: [[Int32]], _ style: ReadingStyle, _ model: any LanguageModel, _ name: String,
    _ new: NewItemSplit,
    _ rows: Representations, _ layer: Int, _ checkpoint: URL?
  ) throws -> (ReadingStrategy, Tensor, [String: [UInt8]]) {
    let c = configuration
    let tunes = c.bridge.readingEpochs > 0
    let adapters =
      try tunes ? c.adapters.load(into: model, using: RandomGenerator(seed: c.seed).split(7)) : nil
    defer { adapters?.unload() }
    let reader = TextReader(
      model: model, texts: tokens, layer: layer, base: max(0, layer - max(c.tunedBlocks, 1)),
      style: style)
    var training = ReadingTraining(
      domain: (kind.name, rows), split: new.split, validationItems: new.validationItems,
      vocabulary: vocabulary, bridge: c.bridge, side: c.side, seed: c.seed)
    training.checkpoint = (
      checkpoint?.appending(path: "reading"),
      "\(new.split.hash) \(texts.hash) \(name) \(layer) \(c.seed) \(fingerprint)"
    )
    training.ranks = (communicator, accumulation)
    training.onBatch = { [onProgress] in onProgress("\(name) learns to read", $0, $1) }
    training.onEpoch = { [log] record in
      guard let value = record.validation else { return }
      log("reading, epoch \(record.epoch + 1): NDCG@10 among new items \(rounded(value)) on validation data")
    }
    let strategy = try training.run(reader, adapters, name: name)
    return (strategy, reader.allRepresentations(), try files(of: adapters, name))
  }

  private func files(of adapters: LoRAAdapters?, _ name: String) throws -> [String: [UInt8]] {
    guard let adapters else { return [:] }
    let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try adapters.save(to: folder, baseModel: name)
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try [UInt8](contentsOf: folder.appending(path: name), limit: 4 << 30)
    }
    return files
  }

  /// NDCG@10 on the test data, among the items that are new there.
  private func measure(_ items: Tensor, _ users: Tensor, _ new: NewItemSplit) throws -> Double {
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)], among: .items(new.testItems))
    let scorer = InnerProductScorer(Representations(users: users, items: items))
    return try RankingEvaluator(new.split, on: .test, configuration: evaluation).evaluate(scorer)
      .mean(.ndcg(10)) ?? 0
  }
}

/// A figure with four places.
private func rounded(_ value: Double) -> String { String(format: "%.4f", value) }
