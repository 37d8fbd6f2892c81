import Foundation

/// The results of several models, runs of one model being told apart by their seeds, and by their windows where several are tested
/// (``RollingTimeSplits``), as table, Markdown, CSV and JSON Lines.
public struct Leaderboard: Sendable, Codable {
  /// One run of one model.
  public struct Run: Sendable, Codable {
    /// The model's name.
    public let model: String
    /// The seed of the run.
    public let seed: UInt64
    /// What was measured.
    public let result: EvaluationResult
    /// The time that the training took.
    public let trainingSeconds: Double
    /// The search by which its settings were chosen, with all that was tried; `nil` for the recommended settings.
    public var search: SearchResult?
    /// Which of several windows of time was tested, from 1; `nil` if there is one split for each seed.
    public var window: Int?
  }

  /// The data set's name, for titles and records.
  public var dataset: String
  /// All runs in the order in which they were added.
  public private(set) var runs: [Run] = []

  /// Creates an empty leaderboard.
  public init(dataset: String) { self.dataset = dataset }

  /// Adds a run.
  public mutating func add(model: String, seed: UInt64, result: EvaluationResult, trainingSeconds: Double) {
    runs.append(Run(model: model, seed: seed, result: result, trainingSeconds: trainingSeconds))
  }

  /// Adds a run whose settings a search has chosen.
  public mutating func add(
    model: String, seed: UInt64, result: EvaluationResult, trainingSeconds: Double, search: SearchResult?
  ) {
    add(
      model: model, seed: seed, window: nil, result: result, trainingSeconds: trainingSeconds, search: search)
  }

  /// Adds a run on one of several windows of time.
  ///
  /// - Parameters:
  ///   - model: the model's name.
  ///   - seed: the seed of the run.
  ///   - window: which window was tested, from 1; `nil` if there is one split for each seed.
  ///   - result: what was measured.
  ///   - trainingSeconds: the time that the training took.
  ///   - search: the search by which the settings were chosen; `nil` for the recommended settings.
  public mutating func add(
    model: String, seed: UInt64, window: Int?, result: EvaluationResult, trainingSeconds: Double,
    search: SearchResult? = nil
  ) {
    runs.append(
      Run(
        model: model, seed: seed, result: result, trainingSeconds: trainingSeconds, search: search,
        window: window))
  }

  /// The windows of time that runs have tested, ascending; none where there is one split for each seed.
  public var windows: [Int] { Set(runs.compactMap(\.window)).sorted() }

  /// The runs on one window alone, whose models can be compared user by user.
  public func runs(inWindow window: Int) -> Leaderboard {
    var board = Leaderboard(dataset: dataset)
    board.runs = runs.filter { $0.window == window }
    return board
  }

  /// The models in the order in which they first came.
  public var models: [String] {
    var seen = Set<String>()
    return runs.map(\.model).filter { seen.insert($0).inserted }
  }

  /// The results of a model's runs.
  public func results(of model: String) -> [EvaluationResult] {
    runs.filter { $0.model == model }.map(\.result)
  }

  /// The mean of a measure over a model's runs with its interval, `nil` if no run has it. Where there are several windows of time, a seed's
  /// value is the mean over them, and the interval is one over seeds.
  public func interval(_ metric: String, of model: String, on slice: ItemSlice = .all) -> MeanInterval? {
    var values: [Double] = []
    var windows: [UInt64: [Double]] = [:]
    for run in runs where run.model == model {
      guard let value = Self.value(metric, of: run.result, on: slice) else { continue }
      if run.window == nil { values.append(value) } else { windows[run.seed, default: []].append(value) }
    }
    for (_, own) in windows.sorted(by: { $0.key < $1.key }) {
      values.append(own.reduce(0, +) / Double(own.count))
    }
    return values.isEmpty ? nil : .student(values)
  }

  /// How a model compares with a baseline on one measure.
  public struct Comparison: Sendable, Codable {
    /// The model.
    public let model: String
    /// The paired comparison over users.
    public let comparison: PairedComparison
    /// The p-value of Student's test after Holm's correction over all models of the list.
    public let adjustedStudentT: Double
    /// The p-value of Wilcoxon's test after Holm's correction over all models of the list.
    public let adjustedWilcoxon: Double
  }

  /// Compares every other model with `baseline`, with Holm's correction over them.
  ///
  /// - Throws: ``DataError`` if the runs cannot be paired.
  public func comparisons(with baseline: String, metric: RankingMetric, on slice: ItemSlice = .all)
    throws(DataError) -> [Comparison]
  {
    try comparisons(with: baseline, metric: metric.name, on: slice)
  }

  /// Compares every other model with `baseline` by the measure with a name, such as a ``CustomRankingMetric``, with Holm's correction
  /// over them.
  ///
  /// - Throws: ``DataError`` if the runs cannot be paired.
  public func comparisons(with baseline: String, metric: String, on slice: ItemSlice = .all)
    throws(DataError) -> [Comparison]
  {
    let reference = results(of: baseline)
    var pairs: [(String, PairedComparison)] = []
    for model in models where model != baseline {
      pairs.append(
        (model, try PairedComparison(results(of: model), over: reference, metric: metric, on: slice)))
    }
    let student = PairedTests.holm(pairs.map { $0.1.studentT.pValue })
    let wilcoxon = PairedTests.holm(pairs.map { $0.1.wilcoxon.pValue })
    return pairs.indices.map {
      Comparison(
        model: pairs[$0].0, comparison: pairs[$0].1, adjustedStudentT: student[$0],
        adjustedWilcoxon: wilcoxon[$0])
    }
  }

  /// The value of a measure of either kind.
  static func value(_ metric: String, of result: EvaluationResult, on slice: ItemSlice) -> Double? {
    result.slice(slice)?.means[metric] ?? (slice == .all ? result.listValues[metric] : nil)
  }
}
