import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

extension HybridRun {
  /// What a variant's reading says of the items that each part holds, as weights of the others' scores.
  func smoothers(_ variant: HybridStudy.Variant) throws -> [SmoothedScorer.Smoother] {
    if let known = smoothers[variant] { return known }
    let readings = try readings(variant)
    let maps =
      variant == .meanRow
      ? [KernelRidge.Configuration(kernel: .linear, strength: 1)] : study.configuration.bridge.maps
    let chosen = try held.indices.map { try choose(maps, readings[$0], without: $0).map }
    chosenMaps[variant] = chosen
    let result = held.indices.map { number in
      let smoother = KernelRidge.smoother(
        inputs: readings[number], weights: weights(without: number), targets: held[number],
        configuration: chosen[number])
      return SmoothedScorer.Smoother(
        targets: held[number], examples: smoother.examples, matrix: smoother.matrix)
    }
    smoothers[variant] = result
    return result
  }

  /// How much each item counts in the map that a part's items are held from.
  private func weights(without number: Int) -> [Float] {
    var own = weights
    for item in held[number] { own[Int(item)] = 0 }
    return own
  }

  /// The map, among some, whose rows rank a part's items best on the validation data.
  private func choose(
    _ maps: [KernelRidge.Configuration], _ readings: Tensor, without number: Int
  ) throws -> (map: KernelRidge.Configuration, value: Double) {
    let choice = try RowReading(
      readings: readings, rows: trained, weights: weights(without: number), maps: maps
    ).best(
      on: data.split, items: data.hasNewItems ? data.validationItems : held[number],
      userLimit: study.configuration.choosingUsers)
    return (choice.map, choice.value)
  }

  /// The share of the variance of the recommender's rows that a variant's reading explains, of items held from the map and from
  /// the language model's tuning; of new items the rows are those of the same recommender trained where none is held.
  func explainedVariance(_ variant: HybridStudy.Variant) throws -> Double {
    _ = try smoothers(variant)
    let maps = chosenMaps[variant] ?? []
    let readings = try readings(variant)
    let unheld = try rowsOfAll()
    let shares = held.indices.map { number in
      let judged = data.hasNewItems ? data.testItems : held[number]
      var weights = unheld.weights
      for item in Set(held[number]).subtracting(judged) { weights[Int(item)] = 0 }
      return RowReading(readings: readings[number], rows: unheld.rows, weights: weights)
        .explainedVariance(maps[number], of: judged)
    }
    return shares.reduce(0, +) / Double(shares.count)
  }

  private func rowsOfAll() throws -> (rows: Representations, weights: [Float]) {
    if let unheld { return unheld }
    guard data.hasNewItems else { return (trained, weights) }
    let all = try StudyProtocol.warm.split(
      study.dataset.interactions, seed: seed, newItems: study.configuration.split
    ).split
    let (_, rows) = try Self.train(
      study, all, vocabulary, seed: seed, regularization: regularization)
    let result = (rows, Self.weights(all.training, study.configuration))
    unheld = result
    return result
  }

  // MARK: Readings

  /// For each part of ``held``, what reads in a variant.
  private func readings(_ variant: HybridStudy.Variant) throws -> [Tensor] {
    try variant == .bridge ? tunedReadings() : held.map { _ in try untunedReadings(variant) }
  }

  /// What reads in a variant without training, `[items, width]`; the bridge's untrained part for ``HybridStudy/Variant/bridge``.
  func untunedReadings(_ variant: HybridStudy.Variant) throws -> Tensor {
    switch variant {
    case .meanRow, .alone: return .zeros([vocabulary.itemCount, 1])
    case .sentenceEncoder: return required(study.encodedTexts, variant)
    case .features: return required(HybridStudy.features(of: study.dataset.items), variant)
    case .bridge, .noLanguageTraining, .textsOnly: return try read(study.readings.states())
    case .shuffledTexts:
      var generator = RandomGenerator(seed: seed).split(5)
      var order = Array(0..<Int32(vocabulary.itemCount))
      generator.shuffle(&order)
      return try read(study.readings.states()).gatheredRows(Tensor(order))
    case .randomLanguageModel:
      return try read(required(study.readings.randomStates(), variant))
    }
  }

  /// What a variant needs, which the study has asked for before (``HybridStudy/isPossible(_:)``).
  private func required<Value>(_ value: Value?, _ variant: HybridStudy.Variant) -> Value {
    guard let value else { preconditionFailure("HybridRun: nothing to read for \(variant.rawValue)") }
    return value
  }

  /// The states of the chosen layers as one reading.
  private func read(_ states: [Tensor]) throws -> Tensor {
    let layers = try layers()
    return RowReading.sideBySide(
      zip(study.readings.layers, states).filter { layers.contains($0.0) }.map(\.1))
  }

  /// The layers that read best on validation data: one, or all side by side; chosen with the pretrained model, for all variants.
  private func layers() throws -> [Int] {
    if let chosenLayers { return chosenLayers }
    let all = study.readings.layers
    let states = study.readings.states()
    let map = [KernelRidge.Configuration(kernel: .exponential(sharpness: 2), strength: 0.3)]
    let candidates = all.count > 1 ? [all] + all.map { [$0] } : [all]
    let best = try candidates.best { candidate in
      let readings = RowReading.sideBySide(zip(all, states).filter { candidate.contains($0.0) }.map(\.1))
      return (try choose(map, readings, without: 0).value, candidate)
    }
    let (value, found) = best ?? (0, all)
    study.log(
      "\(part.rawValue), seed \(seed): layers \(found.map { "\($0)" }.joined(separator: "+")) of "
        + "\(study.model.layerCount) read best, validation \(StudyResults.short(value))")
    chosenLayers = found
    return found
  }

  /// For each part, what the language model makes of all texts after it was tuned without the part's items, beside what it made
  /// of them before.
  private func tunedReadings() throws -> [Tensor] {
    if let tuned { return tuned }
    let untuned = try untunedReadings(.bridge)
    let layers = try layers()
    let least = Double(study.model.layerCount) * study.configuration.tunedShare - 1e-6
    let layer = layers.first { Double($0) >= least } ?? layers[layers.count - 1]
    let result = try held.indices.map { number in
      RowReading.sideBySide([untuned, try tune(layer, untuned, without: number)])
    }
    tuned = result
    return result
  }

  /// The language model is tuned to read in the recommender's terms on the items that a part does not hold.
  private func tune(_ layer: Int, _ untuned: Tensor, without number: Int) throws -> Tensor {
    let c = study.configuration
    let adapters = try c.adapters.load(
      into: study.model, using: RandomGenerator(seed: seed).split(7 + UInt64(number)))
    defer { adapters.unload() }
    let reader = study.readings.reader(layer: layer, base: max(0, layer - c.tunedBlocks))
    let judged = data.hasNewItems ? data.validationItems : held[number]
    var training = ReadingTraining(
      domain: (domain.name, trained),
      split: data.hasNewItems ? data.split : Self.leavingOut(held[number], of: data.split),
      validationItems: judged, vocabulary: vocabulary, bridge: c.bridge, side: c.side, seed: seed)
    training.untrained = untuned
    training.log = study.log
    training.onBatch = study.onBatch
    training.checkpoint = (
      study.checkpoint?.appending(path: "\(number)"), "\(data.split.hash) \(study.modelName) \(layer) \(c)"
    )
    training.onEpoch = { [study] record in
      study.log(
        "  reading, epoch \(record.epoch + 1): loss \(StudyResults.short(record.loss)), validation "
          + StudyResults.short(record.validation ?? 0))
    }
    _ = try training.run(reader, adapters, name: study.modelName)
    return reader.allRepresentations()
  }

  /// The split without the training interactions of some items.
  private static func leavingOut(_ items: [Int32], of split: DataSplit) -> DataSplit {
    let left = Set(items)
    let rows = split.training.items.indices.filter { !left.contains(split.training.items[$0]) }
      .map { Int32($0) }
    return DataSplit(
      training: split.training.selecting(rows: rows), validation: split.validation, test: split.test,
      strategy: split.strategy)
  }
}
