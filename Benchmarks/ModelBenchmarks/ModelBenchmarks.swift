import BenchmarkSupport
import Foundation
import Trestle

/// Runs the benchmarks and reports them.
enum ModelBenchmarks {
  static let help = """
    Times language models and recommenders.

    usage: model-benchmarks [--filter TEXT] [--json FILE] [--threads N] [--isa NAME] [--repeats N] [--assets DIR]
                            [--arithmetic f32|bf16|int8]

    \(Options.help)
      --assets DIR    the folder that Scripts/fetch-assets fills (default: TRESTLE_ASSETS, or .assets)
      --arithmetic A  what the products are computed in where a case leaves it open: f32 (default), bf16 or int8
    """

  static func run(_ arguments: some Sequence<String>) throws {
    let folder = ProcessInfo.processInfo.environment["TRESTLE_ASSETS"] ?? ".assets"
    var setting = ModelBenchmark.Setting(assets: URL(fileURLWithPath: folder))
    let options = try Options(arguments) { option, value in
      switch option {
      case "--assets": setting.assets = URL(fileURLWithPath: try value())
      case "--arithmetic":
        let names: [String: Arithmetic] = ["f32": .float32, "bf16": .bfloat16, "int8": .int8]
        let name = try value()
        guard let arithmetic = names[name] ?? Arithmetic(rawValue: name) else {
          throw Options.Invalid("--arithmetic is f32, bf16 or int8, not '\(name)'")
        }
        setting.arithmetic = arithmetic
      default: return false
      }
      return true
    }
    if options.showsHelp {
      print(help)
    } else {
      try run(
        LanguageModelCases.all + LargerModelCases.all + TextCases.all + RecommenderCases.all, options, setting
      )
    }
  }

  private static func run(
    _ all: [ModelBenchmark], _ options: Options, _ setting: ModelBenchmark.Setting
  ) throws {
    try options.apply()
    let benchmarks = all.filter { options.wants($0.name) }
    guard !benchmarks.isEmpty else {
      throw Options.Invalid("no case's name contains '\(options.filter ?? "")'")
    }
    var report = Report(options)
    for item in benchmarks {
      guard let body = try item.prepare(setting) else {
        report.leaveOut(item.name, shape: item.shape, because: "files are missing")
        continue
      }
      let timing = try Timing(
        warmups: item.warmups, repeats: options.repeats(standard: item.repeats), body)
      let (rate, unit) = item.rate(seconds: timing.median)
      try report.add(
        item.name, shape: item.shape, timing, rate: rate, unit: unit, arithmetic: item.arithmetic?(setting))
    }
    try report.finish()
  }
}
