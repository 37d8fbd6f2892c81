import Foundation

/// What ``HyperparameterSearch`` asks of what it searches for.
public protocol SearchObjective: AnyObject {
  /// The most epochs that settings are trained; `nil` for what is fitted at once.
  var maximumEpochs: Int? { get }

  /// Measures settings on validation data.
  ///
  /// - Parameters:
  ///   - settings: the values.
  ///   - trial: their number; the same number has the same settings.
  ///   - epochs: after how many epochs from the first on, those of earlier calls included; `nil` for what is fitted at once.
  ///   - afterEpoch: to be called after each epoch; what it throws ends the search.
  /// - Returns: the best value so far, which depends on settings and epochs only, and not on earlier calls.
  func measure(
    _ settings: SearchSettings, trial: Int, epochs: Int?, afterEpoch: () throws -> Void
  ) throws -> SearchMeasurement
}

/// What settings reached.
public struct SearchMeasurement: Sendable, Codable, Equatable {
  /// The best value of the metric so far; the higher, the better.
  public var value: Double
  /// The epochs done; `nil` for what is fitted at once.
  public var epochs: Int?
  /// The number of epochs, from 1 on, after which the best value was measured.
  public var bestEpoch: Int?
  /// Whether further epochs would change nothing: training has stopped improving.
  public var isFinished: Bool

  /// A measurement.
  public init(value: Double, epochs: Int? = nil, bestEpoch: Int? = nil, isFinished: Bool = true) {
    (self.value, self.epochs, self.bestEpoch, self.isFinished) = (value, epochs, bestEpoch, isFinished)
  }
}

/// A line of the file of trials: what settings reached on a rung.
public struct SearchRecord: Sendable, Codable, Equatable {
  /// Names what was searched: the space, the data, the seed and the rungs. Lines of other searches may stand beside.
  public let search: String
  /// The model's name.
  public let model: String
  /// The trial, from 0 on.
  public let trial: Int
  /// The rung, from 0 on.
  public let rung: Int
  /// The trial's settings.
  public let settings: SearchSettings
  /// What was measured; `nil` if the training failed.
  public let measured: SearchMeasurement?
  /// Why the training failed, if it did.
  public let failure: String?
  /// The seconds that it took.
  public let seconds: Double
}

/// How much a search may spend.
public enum SearchBudget: Sendable, Codable, Equatable {
  /// So many settings, the recommended ones among them.
  case trials(Int)
  /// So many seconds of training and measuring, those of earlier runs included; the recommended settings are always tried, and what
  /// has begun is finished.
  case seconds(Double)
}

/// Settings that were tried, and how they did.
public struct SearchTrial: Sendable, Codable, Equatable {
  /// The number, from 0 on; that of the recommended settings is 0.
  public let number: Int
  /// The settings.
  public let settings: SearchSettings
  /// What was measured on the highest rung that it reached; `nil` if the training failed.
  public internal(set) var measured: SearchMeasurement?
  /// Why the training failed, if it did.
  public internal(set) var failure: String?
  /// The seconds on all rungs.
  public internal(set) var seconds: Double

  /// The best value; `nil` if the training failed.
  public var value: Double? { measured?.value }
}

/// What a search has found, and all that it tried.
public struct SearchResult: Sendable, Codable, Equatable {
  /// The model's name.
  public let model: String
  /// The metric's name.
  public let metric: String
  /// All trials, by their numbers.
  public let trials: [SearchTrial]

  /// The trial of the highest value; of equal ones the first, and the recommended settings if all have failed.
  public var best: SearchTrial {
    trials.reduce(trials[0]) { ($1.value ?? -.infinity) > ($0.value ?? -.infinity) ? $1 : $0 }
  }

  /// The trial of the recommended settings.
  public var initial: SearchTrial { trials[0] }

  /// The epochs of all trials.
  public var epochs: Int { trials.reduce(0) { $0 + ($1.measured?.epochs ?? 0) } }

  /// The seconds of all trials.
  public var seconds: Double { trials.reduce(0) { $0 + $1.seconds } }

  /// What was tried, a line for each trial, the best first.
  public func table() -> String {
    let order = trials.sorted {
      let (a, b) = ($0.value ?? -.infinity, $1.value ?? -.infinity)
      return a == b ? $0.number < $1.number : a > b
    }
    return order.map(line).joined(separator: "\n")
  }

  private func line(_ trial: SearchTrial) -> String {
    let settings = trial.settings.sorted { $0.key < $1.key }.map { "\($0.key) \(Self.short($0.value))" }
    let value =
      trial.value.map { "\(metric) \(String(format: "%.4f", $0))" } ?? "failed: \(trial.failure ?? "")"
    let epochs = trial.measured?.epochs.map { " after \($0) epochs" } ?? ""
    return "\(model) trial \(trial.number)\(trial.number == 0 ? " (recommended)" : ""): \(value)\(epochs); "
      + settings.joined(separator: ", ")
  }

  /// Four digits are enough for people; the file has all.
  static func short(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e6 ? "\(Int(value))" : String(format: "%.4g", value)
  }
}
