import BenchmarkSupport
import Foundation
import Trestle
import TrestleCommand

/// Runs the benchmarks and reports them.
struct ModelBenchmarks: ProgramCommand {
  static let name = "model-benchmarks"
  static let summary = "Times language models and recommenders."
  static var options: [CommandOption<Self>] {
    Options.options.map { $0.part(\.common) } + [
      .file(
        "--assets", "DIR", "the folder that Scripts/fetch-assets fills (default: TRESTLE_ASSETS, or .assets)",
        \.assets),
      .choice(
        "--arithmetic", "NAME", "what the products are computed in where a case leaves it open",
        \.arithmetic),
      .file(
        "--make-shape", "FILE",
        "writes a GGUF file of the shape of Qwen2.5's 7-billion model, with weights from a seed (4.7 GB), and ends; the cases "
          + "look for it in DIR/shapes/qwen2.5-7b.gguf", \.shapeFile),
    ]
  }

  /// What products may be computed in.
  enum Choice: String, CaseIterable {
    case f32, bf16, int8

    var arithmetic: Arithmetic {
      switch self {
      case .f32: .float32
      case .bf16: .bfloat16
      case .int8: .int8
      }
    }
  }

  var common = Options()
  var shapeFile: URL?
  var assets = Assets().folder
  var arithmetic = Choice.f32

  func run() throws {
    try common.apply()
    if let shapeFile {
      let shape = ShapeFile.qwen7B
      try shape.write(to: shapeFile)
      print("\(shapeFile.path): \(shape.name), \(shape.bytesPerToken) bytes of weights read for a token")
      return
    }
    var common = common
    let communicator = try MPICommunicator.launched()
    if communicator.rank > 0 {
      // The first rank speaks for all.
      common.json = nil
      dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO)
    }
    var setting = ModelBenchmark.Setting(assets: assets)
    setting.communicator = communicator
    setting.arithmetic = arithmetic.arithmetic
    let all = LanguageModelCases.all + LargerModelCases.all + TextCases.all + RecommenderCases.all
    let benchmarks = try common.wanted(all) { $0.name }
    var report = Report(common)
    for item in benchmarks {
      guard let body = try item.prepare(setting) else {
        report.leaveOut(item.name, shape: item.shape, because: "files are missing")
        continue
      }
      let timing = try Timing(
        warmups: item.warmups, repeats: common.repeats(standard: item.repeats), body)
      let (rate, unit) = item.rate(seconds: timing.median)
      try report.add(
        item.name, shape: item.shape, timing, rate: rate, unit: unit, arithmetic: item.arithmetic?(setting))
    }
    try report.finish()
    try (communicator as? MPICommunicator)?.end()
  }
}
