import Foundation
import Trestle
import TrestleCommand

extension Compare {
  /// Trains mechanisms that answer about pairs on a split with labels and prints their table.
  func compare(labelled folder: URL) throws {
    let known = LabelledComparison.mechanisms.map(\.name)
    let names = bridges == nil || bridges == ["all"] ? known : bridges ?? []
    if let other = names.first(where: { !known.contains($0) }) {
      throw UsageError(
        "--labelled: expected --bridges with names of \(known.joined(separator: ", ")), found '\(other)'")
    }
    guard data.interactions == nil && self.folder == nil && search == nil else {
      throw UsageError(
        "--labelled brings its own data and settings: leave --data, --interactions and --search out")
    }
    let split = try LabelledSplit(contentsOf: folder)
    let sizes = [split.training, split.validation, split.test].map { "\($0.count)" }
    say(
      "  \(split.userIDs.count) users, \(split.itemIDs.count) items, \(sizes.joined(separator: " / ")) rows to learn, to choose by, to measure on"
    )
    var comparison = try makeComparison(split)
    // Begun anew for each mechanism, which says first what it has behind it from an earlier run.
    var line: (name: String, bar: ProgressLine, start: Int)?
    comparison.log = { text in
      line?.bar.clear()
      say("  " + printable(text))
    }
    comparison.progress = { name, done, total in
      if line?.name != name { line = (name, ProgressLine(name), done) }
      if let line { line.bar.update(done - line.start, of: total - line.start) }
    }
    let asked = names.compactMap { BridgeMechanism.named($0) }
    var results = try StudyResults(contentsOf: json)
    func own() -> [StudyRecord] {
      results.records.filter { $0.dataset == split.name && $0.protocolName == comparison.protocolName }
    }
    for seed in seed..<seed + UInt64(seeds) {
      let done = Set(own().filter { $0.seed == seed }.map(\.model))
      try comparison.run(asked, seed: seed, without: done) { records in
        line?.bar.clear()
        results.add(records, [])
        if let json { try results.write(to: json) }
      }
      if Interrupts.isRequested {
        line?.bar.clear()
        throw Interruption(
          json.map { "stopped; the same command goes on from what is kept beside \($0.relativePath)" }
            ?? "stopped; nothing is kept without --json")
      }
    }
    line?.bar.clear()
    say("")
    say(LabelledComparison.table(own()))
    say("")
    say(comparison.scope)
    say(
      "intervals are of 95 %; p by drawing users (AUC) and by paired tests over users (UAUC, the larger of two)"
    )
  }

  private func makeComparison(_ split: LabelledSplit) throws -> LabelledComparison {
    let url = try languageModel(model)
    let arithmetic = Arithmetic.fastest
    let loaded = try LoadedModel(
      contentsOf: url, storage: arithmetic == .bfloat16 ? .bfloat16 : .float32)
    let (language, tokenizer) = (loaded.model, loaded.tokenizer)
    language.arithmetic = arithmetic
    var comparison = LabelledComparison(
      split: split, model: language, modelName: url.deletingPathExtension().lastPathComponent,
      budget: budget == .quick ? .quick : budget == .full ? .full : .default, encode: { tokenizer.encode($0) }
    )
    comparison.folder = json.map { $0.deletingPathExtension().appendingPathExtension("runs") }
      .map { $0.appending(path: budget.rawValue) }
    comparison.shouldStop = { Interrupts.isRequested }
    say("  \(comparison.modelName) computes in \(arithmetic.rawValue); \(comparison.scope)")
    return comparison
  }
}
