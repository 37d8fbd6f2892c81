import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

extension HybridJobPlan {
  /// A plan that a job has kept.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a file that is none, `FormatError` for one that
  ///   cannot be read.
  init(contentsOf file: URL) throws {
    let bytes = try [UInt8](contentsOf: file, limit: JSONLimits().byteCount)
    guard let plan = try? JSONDecoder().decode(HybridJobPlan.self, from: Data(bytes)), plan.isValid else {
      throw BridgeError.invalidState(
        path: file.path, place: "plan", expected: "the plan of the job that goes on", found: "something else")
    }
    self = plan
  }

  /// Whether its figures can have been measured.
  var isValid: Bool {
    (Array(tokensPerSecond.values) + Array(expected.values) + [epochSeconds])
      .allSatisfy((0...1e15).contains)
  }
}

extension HybridJob {
  /// Reads the plan of the job that is continued, or measures the machine and makes one, and keeps it: a job that goes on must
  /// go on with what it began with, so a plan that cannot be read is an error.
  func makePlan() throws -> HybridJobPlan {
    let file = runs.appending(path: "plan.json")
    if configuration.resumes, FileManager.default.fileExists(atPath: file.path) {
      return try HybridJobPlan(contentsOf: file)
    }
    let plan = try measuredPlan()
    try FileManager.default.createDirectory(at: runs, withIntermediateDirectories: true)
    try AtomicFile.writeJSON(plan, isPretty: true, to: file)
    return plan
  }

  /// The longest budget that fits the time, in the arithmetic that is fastest here.
  private func measuredPlan() throws -> HybridJobPlan {
    guard data.modelURL != nil else {
      // The built-in world is small on every machine.
      return HybridJobPlan(level: configuration.isQuick ? .brief : .long, arithmetic: .float32)
    }
    var plan = HybridJobPlan(level: .brief, arithmetic: .float32)
    plan.tokensPerSecond = try measureArithmetics()
    let fastest = plan.tokensPerSecond.max { ($0.value, $1.key) < ($1.value, $0.key) }
    plan.arithmetic = fastest.flatMap { Arithmetic(rawValue: $0.key) } ?? .float32
    plan.epochSeconds = try measureEpoch()
    let (model, tokens, _) = try languageModel(plan.arithmetic)
    let work = JobWork(
      histories: split.training.userCounts().map { Int($0) }, texts: tokens.map(\.count),
      depth: model.layerCount, hasEncoder: data.encoderURL != nil)
    let epochSeconds = plan.epochSeconds
    plan.choose(
      within: configuration.minutes * 60 * Double(configuration.seeds),
      among: configuration.isQuick ? [.brief] : HybridJobPlan.Level.allCases
    ) { level in
      work.expected(
        budget(share: 1, seed: 0, level: level), tokensPerSecond: fastest?.value ?? 1,
        epochSeconds: epochSeconds
      ).mapValues { ($0 * Double(configuration.seeds)).rounded() }
    }
    return plan
  }

  /// Tokens a second of a training step of the adapted language model, by arithmetic; of a model that is large, in the one that
  /// the processor has instructions for.
  private func measureArithmetics() throws -> [String: Double] {
    let bytes = data.modelURL.flatMap { try? $0.resourceValues(forKeys: [.fileSizeKey]).fileSize } ?? .max
    let candidates = bytes < 400_000_000 ? [Arithmetic.float32, .bfloat16] : [.fastest]
    var steps: [(arithmetic: Arithmetic, step: () -> Double, seconds: [Double])] = []
    var loaded: [LoRAAdapters] = []
    defer { for adapters in loaded { adapters.unload() } }
    for arithmetic in candidates {
      let model = try languageModel(arithmetic).model
      let adapters = try adapt(model, seed: 0)
      loaded.append(adapters)
      steps.append((arithmetic, { Self.step(model, adapters) }, []))
    }
    // In turn, so that what else the machine does strikes both alike. The first step touches the weights for the first time; an
    // arithmetic that is emulated is not waited for.
    for round in 0..<4 {
      let best = steps.compactMap { $0.seconds.last }.min() ?? .infinity
      for place in steps.indices where steps[place].seconds.last.map({ $0 < 3 * best }) ?? true {
        let seconds = steps[place].step()
        if round == 1 { steps[place].seconds = [] }
        steps[place].seconds.append(seconds)
      }
    }
    let speeds = steps.map { step in
      Double(Self.measuredTokens * step.seconds.count) / step.seconds.reduce(0, +)
    }
    for (step, speed) in zip(steps, speeds) where speed < speeds.max() ?? 0 {
      forgetLanguageModel(step.arithmetic)
    }
    return Dictionary(uniqueKeysWithValues: zip(steps.map(\.arithmetic.rawValue), speeds))
  }

  private static let measuredTokens = 384

  /// The seconds of a training step on random rows.
  private static func step(_ model: some LanguageModel, _ adapters: LoRAAdapters) -> Double {
    var generator = RandomGenerator(seed: 0)
    let rows = Tensor.normal([measuredTokens, model.hiddenSize], deviation: 0.1, using: &generator)
    let sequences = PackedSequences(lengths: [Int](repeating: 32, count: measuredTokens / 32))
    let start = ContinuousClock.now
    _ = valueAndGradients(of: adapters.parameters) {
      model.hiddenStates(rows, sequences: sequences).squared().mean()
    }
    return (ContinuousClock.now - start).seconds
  }

  /// Seconds of an epoch of the recommender, from a few of its steps.
  private func measureEpoch() throws -> Double {
    let budget = budget(share: 1, seed: 0, level: .brief)
    let side = PairwiseSide(
      makeGCN(split, budget, 0), split: split, vocabulary: vocabulary, configuration: budget.training)
    let parameters = side.parameterGroups.flatMap { $0.parameters.map(\.parameter) }
    var seconds: [Double] = []
    for batch in side.batches(epoch: 0).prefix(5) {
      let start = ContinuousClock.now
      _ = try valueAndGradients(of: parameters) { try side.step(on: batch).loss }
      seconds.append((ContinuousClock.now - start).seconds)
    }
    let later = seconds.dropFirst()
    return later.isEmpty ? 0 : later.reduce(0, +) / Double(later.count) * Double(side.batchCount)
  }
}
