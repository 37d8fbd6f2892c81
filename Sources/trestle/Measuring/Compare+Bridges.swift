import Foundation
import Trestle
import TrestleCommand

extension Compare {
  /// Trains mechanisms side by side and prints their table.
  func compare(_ mechanisms: [BridgeMechanism], _ dataset: Dataset) throws {
    let texts = ItemTexts(dataset: dataset, noun: noun)
    guard texts.texts.contains(where: { !$0.isEmpty }) else {
      throw UsageError("the items have no texts to read; --items FILE names a file with titles")
    }
    let url = try languageModel(model)
    let loaded = try LoadedModel(contentsOf: url)
    let (language, tokenizer) = (loaded.model, loaded.tokenizer)
    var comparison = BridgeComparison(
      dataset: dataset, texts: texts, model: language,
      modelName: url.deletingPathExtension().lastPathComponent,
      budget: budget == .quick ? .quick : budget == .full ? .full : ComparisonBudget(),
      encode: { tokenizer.encode($0) })
    comparison.writer = try writer(url, language, tokenizer, mechanisms)
    comparison.writings = json.map { $0.deletingPathExtension().appendingPathExtension("texts") }
    comparison.log = { say("  " + printable($0)) }
    comparison.shouldStop = { Interrupts.isRequested }
    var results = try StudyResults(contentsOf: json)
    func finished(_ seed: UInt64) -> Set<String> {
      Set(results.records.filter { $0.dataset == dataset.name && $0.seed == seed }.map(\.model))
    }
    let names = [BridgeComparison.baseline] + mechanisms.map(\.name)
    let remaining = Remaining(
      (seed..<seed + UInt64(seeds)).reduce(0) { sum, seed in
        sum + names.count { !finished(seed).contains($0) }
      })
    for seed in seed..<seed + UInt64(seeds) {
      let done = finished(seed)
      try comparison.run(mechanisms, seed: seed, without: done) { records in
        results.add(records, [])
        if let json { try results.write(to: json) }
        remaining.note()
      }
      if Interrupts.isRequested {
        throw Interruption(
          "stopped; the mechanisms that are finished are \(json.map { "in \($0.relativePath)" } ?? "above")")
      }
    }
    say("")
    say(BridgeComparison.table(results.records.filter { $0.dataset == dataset.name }))
  }

  /// Who writes texts, if a mechanism has some written.
  private func writer(
    _ url: URL, _ model: any LanguageModel, _ tokenizer: any Tokenizer, _ mechanisms: [BridgeMechanism]
  ) throws -> TextWriter? {
    let names = Set(BridgeMechanism.written.map(\.name))
    guard mechanisms.contains(where: { names.contains($0.name) }) else { return nil }
    return TextWriter(
      model, identity: try ItemTextReader.hash(of: url), encode: { tokenizer.encode($0) },
      decode: { tokenizer.decode($0, skippingSpecialTokens: true) },
      isEnd: { tokenizer.specialTokens.contains($0) })
  }

  /// The mechanisms with the given names; all for `all` alone.
  static func mechanisms(_ names: [String]) throws -> [BridgeMechanism] {
    if names == ["all"] { return BridgeMechanism.all }
    return try names.map { name in
      guard let found = BridgeMechanism.named(name) else {
        throw UsageError(
          "--bridges: expected 'all' or names of \((BridgeMechanism.all + BridgeMechanism.written).map(\.name).joined(separator: ", ")), found '\(name)'"
        )
      }
      return found
    }
  }
}
