import Foundation
import Trestle
import TrestleCommand

/// `trestle study`: what a language model that reads tells a recommender, with the controls beside it.
struct Study: ProgramCommand {
  static let name = "study"
  static let summary =
    "Measures what a language model tells a recommender of items that nobody has touched, with controls."
  static var options: [CommandOption<Self>] {
    DataOptions.options.map { $0.part(\.data) } + [
      .file(
        "--model", "PATH", "the language model: a GGUF file or a Hugging Face folder (SmolLM2 if absent)",
        \.model),
      .text("--noun", "WORD", "what the items are called, in front of each text: Movie, Book …", \.noun),
      .file("--data", "DIR", "a folder of them, as --interactions takes it too", \.folder),
      .choices("--protocols", "A,B", "how the data is parted; new-items alone if absent", \.protocols),
      .list(
        "--models", "A,B", "only these models, and fusion; LightGCN has the bridge and all controls", \.models
      ),
      .choices("--variants", "A,B", "the bridge and its controls", \.variants),
      .number("--seed", "N", in: 0...UInt64.max, "the first seed", \.seed),
      .number("--seeds", "N", in: 1...1000, "how many seeds, each with a split of its own", \.seeds),
      .choice("--budget", "NAME", "how long things train", \.budget),
      .file(
        "--json", "FILE", "a line of JSON for every figure; figures that are there are not made again", \.json
      ),
      .number("--threads", "N", in: 1...1024, "how many threads take part (all cores if absent)", \.threads),
    ]
  }

  enum Budget: String, CaseIterable, Codable, Sendable { case quick, `default`, full }

  var data = DataOptions()
  var folder: URL?
  var protocols = [StudyProtocol.newItems]
  var model: URL?
  var noun = ""
  var models: [String]?
  var variants = HybridStudy.Variant.allCases
  var seed: UInt64 = 1
  var seeds = 1
  var budget = Budget.default
  var json: URL?
  var threads: Int?

  func run() throws {
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    Interrupts.handle()
    var data = data
    if let folder { data.interactions = folder }
    if let json { try AtomicFile.checkDestination(json) }
    _ = try languageModel(model)
    let dataset = try data.read()
    let study = try makeStudy(dataset)
    var results = try StudyResults(contentsOf: json)
    let runs = protocols.flatMap { part in (seed..<seed + UInt64(seeds)).map { (part, $0) } }
    let remaining = Remaining(
      runs.reduce(0) { sum, run in
        let done = results.cases(of: dataset.name, run.0, seed: run.1)
        return sum + study.cases(run.0).count { !done.contains($0) }
      })
    for part in protocols {
      for seed in seed..<seed + UInt64(seeds) {
        let done = results.cases(of: dataset.name, part, seed: seed)
        try study.run(seed: seed, part, without: done) { _, records, values in
          results.add(records, values)
          if let json { try results.write(to: json) }
          remaining.note()
        }
        if Interrupts.isRequested {
          throw Interruption(
            "stopped; what is finished is \(json.map { "in \($0.relativePath)" } ?? "above")")
        }
      }
    }
    for part in protocols {
      say("")
      say(part.rawValue + ":")
      say("")
      say(results.table(of: dataset.name, part))
    }
  }

  private func makeStudy(_ dataset: Dataset) throws -> HybridStudy {
    let texts = ItemTexts(dataset: dataset, noun: noun)
    guard texts.texts.contains(where: { !$0.isEmpty }) else {
      throw UsageError("the items have no texts to read; --items FILE names a file with titles")
    }
    let assets = Assets()
    let url = try languageModel(model)
    let loaded = try LoadedModel(contentsOf: url)
    let (language, tokenizer) = (loaded.model, loaded.tokenizer)
    var encoded: Tensor?
    if variants.contains(.sentenceEncoder), let folder = try? assets.miniLM {
      encoded = try encode(texts, SentenceEncoder(folder: folder))
    } else if variants.contains(.sentenceEncoder) {
      say("  no sentence encoder is there: that control is left out")
    }
    var configuration = HybridStudy.Configuration()
    configuration.variants = variants
    if let unknown = models?.first(where: { !HybridStudy.modelNames.contains($0) }) {
      throw UsageError(
        "--models: there is no '\(unknown)' here; there are \(HybridStudy.modelNames.joined(separator: ", "))"
      )
    }
    configuration.models = models
    if budget == .quick {
      configuration.bridge.readingEpochs = 2
      configuration.bridge.warmUpEpochs = 120
      configuration.models = models ?? [ModelKind.lightGCN.name]
      configuration.layerShares = [1.0 / 3, 0.5]
      configuration.readsTwice = false
      configuration.regularizations = []
    } else if budget == .full {
      configuration.bridge.readingEpochs = 12
      configuration.choosingUsers = 10_000
    }
    var study = HybridStudy(
      dataset: dataset, texts: texts, model: language,
      modelName: url.deletingPathExtension().lastPathComponent,
      tokens: texts.texts.map { tokenizer.encode($0) }, encodedTexts: encoded,
      separator: tokenizer.encode("\n"), configuration: configuration)
    study.log = { say("  " + printable($0)) }
    study.shouldStop = { Interrupts.isRequested }
    return study
  }

  /// What the encoder makes of each text; zeros for an empty one.
  private func encode(_ texts: ItemTexts, _ encoder: SentenceEncoder) -> Tensor {
    let places = texts.texts.indices.filter { !texts[$0].isEmpty }
    let rows = encoder.encode(places.map { texts[$0] })
    let all = Tensor.zeros([texts.count, rows.shape[1]])
    all.scatterAddInPlace(rows, at: Tensor(places.map { Int32($0) }))
    return all
  }
}
