import Foundation
import Trestle
import TrestleCommand

extension Compare {
  /// What was tried of a model's settings on the validation data; nothing for a model without a search space.
  func searched(_ kind: ModelKind, _ split: DataSplit, seed: UInt64) throws -> SearchResult? {
    guard let search else { return nil }
    guard kind.searchSpace(for: split.training) != nil else {
      say("  \(kind.rawValue) has no settings to search for: the recommended ones are taken")
      return nil
    }
    var configuration = HyperparameterSearch.Configuration()
    (configuration.seed, configuration.budget) = (seed, .trials(search))
    (configuration.maximumEpochs, configuration.patience) = (epochs, patience)
    // The search is given what it may know: no test data.
    let trials = try HyperparameterSearch(
      kind, training: split.training, validation: split.validation, configuration: configuration)
    let bar = ProgressLine("\(kind.rawValue), settings")
    var begun = 0
    let found = try trials.run(file: tried) { record in
      begun = max(begun, record.trial + 1)
      bar.update(begun, of: search, note: ", trial \(record.trial)")
      if Interrupts.isRequested { throw stopped }
    } afterEpoch: {
      if Interrupts.isRequested { throw stopped }
    }
    bar.finish("\(found.trials.count) settings tried")
    say(found.table().split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
    if found.best.number == 0 { say("    none did better than the recommended settings") }
    return found
  }

  private var stopped: Interruption {
    Interruption("stopped. What was tried is in \(tried.relativePath); the same command goes on")
  }
}
