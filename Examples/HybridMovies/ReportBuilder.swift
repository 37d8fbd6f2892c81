import Foundation
import Trestle

/// Collects what the report shows from finished runs and the bridge in memory.
struct ReportBuilder {
  private let experiment: Experiment
  private let options: Options
  private let results: [RunResult]
  private let rows: [ReportData.Row]
  private let saved: SavedHybrid

  init(
    _ experiment: Experiment, _ options: Options, _ results: [RunResult], _ rows: [ReportData.Row],
    _ saved: SavedHybrid
  ) {
    self.experiment = experiment
    self.options = options
    self.results = results
    self.rows = rows
    self.saved = saved
  }

  func build(seconds: Double) throws -> ReportData {
    let world = experiment.world
    let lastSeed = options.seed + UInt64(options.seeds) - 1
    return ReportData(
      run: ReportData.Run(
        dataset: world.datasetName, users: world.dataset.userCount, items: world.dataset.itemCount,
        interactions: world.dataset.interactions.count, languageModel: world.modelName,
        seeds: Array(options.seed...lastSeed), splitHash: experiment.split.hash, seconds: seconds,
        isQuick: options.isQuick, instructionSet: InstructionSet.current.rawValue,
        threads: ThreadPool.shared.threadCount),
      rows: rows,
      curves: results.filter { $0.key.seed == lastSeed }.map {
        ReportData.Curve(name: $0.key.variant.rawValue, records: $0.records)
      },
      map: map(), exchanges: exchanges(), users: try users(), notes: notes())
  }

  /// Both states of the store's item rows on the plane of the final ones' two main directions.
  private func map() -> [ReportData.MapPoint] {
    guard let strategy = experiment.bridge?.strategy, let before = strategy.firstItems,
      let after = strategy.sharing?.items.rows
    else { return [] }
    let plane = Self.principalPlane(after)
    let mean = after.mean(along: [0])
    func places(_ rows: Tensor) -> [Float] { (rows - mean).matmul(plane, transposingOther: true).floats }
    let (first, last) = (places(before), places(after))
    let counts = experiment.split.training.itemCounts()
    let items = experiment.world.dataset.items
    return (0..<items.count).filter { counts[$0] > 0 }.map { item in
      ReportData.MapPoint(
        title: saved.hybrid.catalogue.titles[item], genre: items.genres[item].first ?? "unknown",
        popularity: Int(counts[item]), before: [Double(first[2 * item]), Double(first[2 * item + 1])],
        after: [Double(last[2 * item]), Double(last[2 * item + 1])])
    }
  }

  /// The two main directions of rows, `[2, width]`, by power iteration on their covariance.
  private static func principalPlane(_ rows: Tensor) -> Tensor {
    let centred = rows - rows.mean(along: [0])
    let covariance = centred.matmul(centred, transposingSelf: true)
    var generator = RandomGenerator(seed: 1)
    var directions: [Tensor] = []
    for _ in 0..<2 {
      var direction = Tensor.normal([1, rows.shape[1]], using: &generator).unitNormalized()
      for _ in 0..<200 {
        direction = direction.matmul(covariance)
        for other in directions { direction = direction - other * direction.rowDot(other).item }
        direction = direction.unitNormalized()
      }
      directions.append(direction)
    }
    return Tensor.concatenated(directions, along: 0)
  }

  private func exchanges() -> [ReportData.Exchange] {
    (experiment.bridge?.strategy.writings ?? []).map { writing in
      ReportData.Exchange(
        phase: writing.phase, writer: writing.writer, users: writing.counts["user"] ?? 0,
        items: writing.counts["item"] ?? 0, userShift: writing.shifts["user"] ?? 0,
        itemShift: writing.shifts["item"] ?? 0, userSpread: writing.spreads["user"] ?? 0,
        itemSpread: writing.spreads["item"] ?? 0)
    }
  }

  /// Six users with test items, of all activities, with the three lists side by side.
  private func users() throws -> [ReportData.SampleUser] {
    let world = experiment.world
    let test = UserItemMatrix(experiment.split.test)
    let counts = experiment.split.training.userCounts()
    let active = test.activeUsers().sorted { (counts[Int($0)], $0) < (counts[Int($1)], $1) }
    guard !active.isEmpty else { return [] }
    let chosen = (0..<6).map { Int(active[min((2 * $0 + 1) * active.count / 12, active.count - 1)]) }
    let catalogue = saved.hybrid.catalogue
    let training = UserItemMatrix(experiment.split.training)
    return try chosen.map { user in
      let relevant = Set(test.items(of: user).map { catalogue.itemIDs[Int($0)] })
      let history = training.items(of: user)
      // Test items may come, so that the report can mark them.
      let filter = ItemFilter(excluded: Set(history.map { catalogue.itemIDs[Int($0)] }), includesKnown: true)
      func list(_ part: HybridRecommender.Part) throws -> [ReportData.Listed] {
        try saved.hybrid.recommend(for: catalogue.userIDs[user], count: 10, by: part, filter: filter).map {
          ReportData.Listed(title: $0.title, isHit: relevant.contains($0.id))
        }
      }
      return ReportData.SampleUser(
        id: world.dataset.userIDs[user],
        about: user < world.dataset.userTexts.count ? world.dataset.userTexts[user] : "",
        history: history.prefix(8).map { catalogue.titles[Int($0)] }, historyCount: history.count,
        domain: try list(.domain), language: try list(.language), fused: try list(.fused))
    }
  }

  /// What the figures say, in words, also where a gain did not come.
  private func notes() -> [String] {
    var notes: [String] = []
    for (model, baseline) in ModelName.baselines.sorted(by: { $0.key < $1.key }) {
      guard let own = row(model), let other = row(baseline) else { continue }
      let change = other.mean > 0 ? (own.mean / other.mean - 1) * 100 : 0
      let verdict = (own.pValue ?? 1) < 0.05 ? "significant" : "not significant"
      notes.append(
        "\(model): NDCG@10 \(String(format: "%.4f", own.mean)) against \(String(format: "%.4f", other.mean)) of \(baseline) "
          + "(\(change >= 0 ? "+" : "−")\(String(format: "%.1f", abs(change))) %, \(verdict) at 5 % after Holm's correction)."
      )
    }
    if options.seeds == 1 { notes.append("One seed: the intervals are over users, not over trainings.") }
    return notes
  }

  private func row(_ model: String) -> ReportData.Row? {
    rows.first { $0.model == model && $0.slice == "all" && $0.metric == "NDCG@10" }
  }
}
