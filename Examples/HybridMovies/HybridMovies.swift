import Foundation
import Trestle
import TrestleCommand

/// The main job: trains the bridge and what it is compared with, prints the table, writes the report, and recommends.
@main
struct HybridMovies {
  static func main() { Program.run(Options.self) }

  /// Does what the options ask for.
  static func run(_ options: Options) throws {
    do {
      switch options.command {
      case .recommend(let user, let titles): try Recommend(options).run(user: user, titles: titles)
      case .table: try FullProtocol.writeTable(options)
      case .run where options.isFull: try FullProtocol.run(options)
      case .run: try train(options)
      }
    } catch BridgeError.interrupted(let checkpoint) {
      throw Interruption("stopped. Everything so far is in \(checkpoint); continue with --resume")
    }
  }

  private static func train(_ options: Options) throws {
    let start = ContinuousClock.now
    let world = try World.prepare(options)
    let experiment = try Experiment(world, options)
    experiment.handleInterrupts()
    let counts = [world.dataset.userCount, world.dataset.itemCount, world.dataset.interactions.count]
    say(
      "\(world.datasetName): \(counts[0]) users, \(counts[1]) items, \(counts[2]) interactions; \(world.modelName); "
        + "\(ThreadPool.shared.threadCount) threads, \(InstructionSet.current.rawValue)")
    let runs = options.output.appending(path: "runs")
    if !options.resumes { try? FileManager.default.removeItem(at: runs) }
    var results: [RunResult] = []
    for seed in options.seed..<options.seed + UInt64(options.seeds) {
      for variant in Variant.main {
        let key = RunKey(variant: variant, share: 1, seed: seed)
        let folder = runs.appending(path: key.name)
        let file = folder.appending(path: "result.json")
        // The last bridge is needed in memory, for the report and for serving: its checkpoint makes that quick.
        let isLast = variant == .bridge && seed == options.seed + UInt64(options.seeds) - 1
        if options.resumes, !isLast, let finished = RunResult.read(file), finished.key == key {
          results.append(finished)
          continue
        }
        say("\(title(variant))\(options.seeds > 1 ? ", seed \(seed)" : "")")
        let result = try experiment.run(key, in: folder)
        try result.write(to: file)
        results.append(result)
      }
    }
    let rows = Comparison.rows(results)
    say(Comparison.text(rows))
    let seconds = (ContinuousClock.now - start).inSeconds
    try finish(experiment, options, results, rows, seconds)
    say("")
    say(
      "  \(ProgressLine.text(ContinuousClock.now - start)) in all. The report: \(options.output.path)/index.html"
    )
    let place =
      options.output.lastPathComponent == "hybrid-movies-output" ? "" : " --output \(options.output.path)"
    say("  Now try: swift run -c release hybrid-movies recommend --user \(world.dataset.userIDs[0])\(place)")
  }

  private static func title(_ variant: Variant) -> String {
    switch variant {
    case .domainAlone: "The recommender alone: LightGCN"
    case .randomTokens: "The language model alone, with random entity tokens"
    case .bridge: "The bridge: both, in turn"
    default: variant.rawValue
    }
  }

  private static func finish(
    _ experiment: Experiment, _ options: Options, _ results: [RunResult], _ rows: [ReportData.Row],
    _ seconds: Double
  ) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let seeds = Array(options.seed..<options.seed + UInt64(options.seeds))
    let figures = rows.map { row in
      ResultRow(
        row: row, seeds: seeds, dataset: experiment.world.datasetName,
        languageModel: experiment.world.modelName)
    }
    try AtomicFile.write(
      Array(try encoder.encode(figures)), to: options.output.appending(path: "results.json"))
    guard let bridge = experiment.bridge else { return }
    let saved = try SavedHybrid.save(bridge.context, bridge.recommenders, experiment, options)
    let report = try ReportBuilder(experiment, options, results, rows, saved).build(seconds: seconds)
    try ReportWriter.write(report, to: options.output)
  }
}

/// A row of `results.json`.
struct ResultRow: Encodable {
  let row: ReportData.Row
  let seeds: [UInt64]
  let dataset: String
  let languageModel: String

  enum Keys: String, CodingKey {
    case model, slice, metric, mean, low, high, baseline, users, seeds, dataset
    case pValue = "p_value"
    case languageModel = "language_model"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(row.model, forKey: .model)
    try container.encode(row.slice, forKey: .slice)
    try container.encode(row.metric, forKey: .metric)
    try container.encode(row.mean, forKey: .mean)
    try container.encode(row.low, forKey: .low)
    try container.encode(row.high, forKey: .high)
    // Written as null where there is none, so that every row has the same keys.
    try container.encode(row.pValue, forKey: .pValue)
    try container.encode(row.baseline, forKey: .baseline)
    try container.encode(row.users, forKey: .users)
    try container.encode(seeds, forKey: .seeds)
    try container.encode(dataset, forKey: .dataset)
    try container.encode(languageModel, forKey: .languageModel)
  }
}
