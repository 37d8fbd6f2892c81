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
      case .table: try writeTables(options)
      case .run where options.isFull: try runProtocol(options)
      case .run: try train(options)
      }
    } catch BridgeError.interrupted(let checkpoint) {
      throw Interruption("stopped. Everything so far is in \(checkpoint); continue with --resume")
    }
  }

  private static func train(_ options: Options) throws {
    let job = try makeJob(options)
    let outcome = try job.run()
    say("")
    say(outcome.table)
    say("")
    say(
      "  \(ProgressLine.text(.seconds(outcome.seconds ?? 0))) in all. The report: \(options.output.path)/index.html"
    )
    let place =
      options.output.lastPathComponent == "hybrid-movies-output" ? "" : " --output \(options.output.path)"
    say(
      "  Now try: swift run -c release hybrid-movies recommend --user \(job.data.dataset.userIDs[0])\(place)")
  }

  /// The whole protocol, run by run.
  private static func runProtocol(_ options: Options) throws {
    let known = HybridVariant.protocolVariants
    let variants = try (options.variants ?? known.map(\.rawValue)).map { name in
      guard let variant = known.first(where: { $0.rawValue == name }) else {
        throw UsageError(
          "--variants: unknown '\(name)'; expected some of \(known.map(\.rawValue).joined(separator: ", "))")
      }
      return variant
    }
    try makeJob(options).runProtocol(
      variants: variants, shares: options.shares ?? HybridJob.protocolShares, results: options.results,
      maximumRuns: options.maximumRuns ?? .max)
    say("wrote \(try HybridJob.writeProtocolTable(of: options.results).path)")
  }

  /// `Documentation/Results.md`, and the table of the README, from what is kept of finished runs.
  private static func writeTables(_ options: Options) throws {
    say("wrote \(try HybridJob.writeProtocolTable(of: options.results).path)")
    let page = URL(filePath: "README.md")
    try HybridJobOutcome(contentsOf: options.results.appending(path: "MainJob/ml-100k.json")).writeTable(
      into: page)
    say("wrote \(page.path)")
  }

  /// A job that shows what it does, and that Ctrl-C ends: a training after the present batch, with everything saved, anything else
  /// at once.
  private static func makeJob(_ options: Options) throws -> HybridJob {
    var configuration = HybridJob.Configuration(output: options.output)
    configuration.seed = options.seed
    configuration.seeds = options.seeds
    configuration.minutes = Double(options.minutes)
    configuration.isQuick = options.isQuick
    configuration.resumes = options.resumes
    configuration.writer = options.writer
    let job = try HybridJob(try World.prepare(options), configuration)
    var line: (label: String, bar: ProgressLine)?
    job.onEvent = { event in
      switch event {
      case .message(let text):
        line?.bar.clear()
        say(printable(text))
      case .progress(let label, let done, let total, let isBound):
        if line?.label != label { line = (label, ProgressLine(label)) }
        line?.bar.update(done, of: total, note: isBound ? " at most" : "")
      case .finished(let label, let outcome):
        (line?.label == label ? line?.bar : nil)?.finish(outcome)
        line = nil
      }
    }
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler { [stopping = job.stopping] in
      // Outside training nothing is half done: every file is written at once.
      if !stopping.request() { exit(130) }
    }
    source.resume()
    interrupts = source
    return job
  }

  nonisolated(unsafe) private static var interrupts: DispatchSourceSignal?
}
