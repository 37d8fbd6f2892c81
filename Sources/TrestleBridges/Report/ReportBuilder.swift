import Foundation
import TrestleRecommenders
import TrestleTensor

/// Collects what the report shows from finished runs and the bridge in memory.
struct ReportBuilder {
  private let job: HybridJob
  private let plan: HybridJobPlan
  private let results: [JobResult]
  private let rows: [HybridReport.Row]
  private let seconds: Double
  private let saved: SavedHybrid
  private let findings: NewItemFindings?

  init(
    _ job: HybridJob, _ plan: HybridJobPlan, _ results: [JobResult], _ outcome: HybridJobOutcome,
    _ saved: SavedHybrid, _ findings: NewItemFindings?
  ) {
    (self.job, self.plan, self.results) = (job, plan, results)
    (rows, seconds) = (outcome.rows, outcome.seconds ?? 0)
    (self.saved, self.findings) = (saved, findings)
  }

  func build() throws -> HybridReport {
    let (data, asked) = (job.data, job.configuration)
    let lastSeed = asked.seed + UInt64(asked.seeds) - 1
    return HybridReport(
      run: HybridReport.Run(
        dataset: data.name, users: data.dataset.userCount, items: data.dataset.itemCount,
        interactions: data.dataset.interactions.count, languageModel: data.modelName,
        seeds: Array(asked.seed...lastSeed), splitHash: job.split.hash, seconds: seconds, level: plan.level,
        arithmetic: plan.arithmetic.rawValue, expectedSeconds: plan.expectedSeconds,
        instructionSet: InstructionSet.current.rawValue, threads: ThreadPool.shared.threadCount),
      rows: rows,
      curves: results.filter { $0.key.seed == lastSeed && !$0.records.isEmpty }.map {
        HybridReport.Curve(name: $0.key.variant.rawValue, records: $0.records)
      },
      map: map(), exchanges: exchanges(), users: try users(), newItems: findings.map(newItems),
      taught: (findings?.taught ?? []).map { share in
        HybridReport.Taught(
          name: Self.name(share.reading, data.modelName), reading: share.reading.rawValue,
          before: share.before, after: share.after)
      }, taughtItems: findings?.heldCount ?? 0, notes: notes())
  }

  /// What reads, in words.
  private static func name(_ reading: HybridStudy.Variant, _ model: String) -> String {
    switch reading {
    case .shuffledTexts: "\(model), another item’s text"
    case .sentenceEncoder: "MiniLM"
    case .noLanguageTraining: "\(model), frozen"
    case .bridge: "\(model), tuned"
    default: reading.rawValue
    }
  }

  private func newItems(_ found: NewItemFindings) -> HybridReport.NewItems {
    let titles = saved.hybrid.catalogue.titles
    let dataset = job.data.dataset
    return HybridReport.NewItems(
      count: found.newCount, asked: found.asked, served: found.served,
      users: found.users.map { user in
        HybridReport.NewItemUser(
          id: dataset.userIDs[user.user], about: about(user.user),
          history: user.history.prefix(8).map { titles[$0] }, historyCount: user.history.count,
          listed: user.listed.map { listed in
            HybridReport.NewListed(
              title: titles[listed.item], isHit: listed.isHit, reasons: listed.reasons.map { titles[$0] })
          })
      },
      map: found.written.map { row in
        HybridReport.MapPoint(
          title: titles[row.item], genre: dataset.items.genres[row.item].first ?? "unknown",
          popularity: row.interactions, before: row.shuffled, after: row.tuned)
      })
  }

  private func about(_ user: Int) -> String {
    user < job.data.dataset.userTexts.count ? job.data.dataset.userTexts[user] : ""
  }

  /// Both states of the store's item rows on the plane of the final ones' two main directions.
  private func map() -> [HybridReport.MapPoint] {
    guard let strategy = job.bridge?.strategy, let before = strategy.firstItems,
      let after = strategy.sharing?.items.rows
    else { return [] }
    let plane = PrincipalPlane(after)
    let (first, last) = (plane(before), plane(after))
    let counts = job.split.training.itemCounts()
    let items = job.data.dataset.items
    return (0..<items.count).filter { counts[$0] > 0 }.map { item in
      HybridReport.MapPoint(
        title: saved.hybrid.catalogue.titles[item], genre: items.genres[item].first ?? "unknown",
        popularity: Int(counts[item]), before: [Double(first[2 * item]), Double(first[2 * item + 1])],
        after: [Double(last[2 * item]), Double(last[2 * item + 1])])
    }
  }

  private func exchanges() -> [HybridReport.Exchange] {
    (job.bridge?.strategy.writings ?? []).map { writing in
      HybridReport.Exchange(
        phase: writing.phase, writer: writing.writer, users: writing.counts["user"] ?? 0,
        items: writing.counts["item"] ?? 0, userShift: writing.shifts["user"] ?? 0,
        itemShift: writing.shifts["item"] ?? 0, userSpread: writing.spreads["user"] ?? 0,
        itemSpread: writing.spreads["item"] ?? 0)
    }
  }

  /// Six users with test items, of all activities, with the three lists side by side.
  private func users() throws -> [HybridReport.SampleUser] {
    let test = UserItemMatrix(job.split.test)
    let counts = job.split.training.userCounts()
    let active = test.activeUsers().sorted { (counts[Int($0)], $0) < (counts[Int($1)], $1) }
    guard !active.isEmpty else { return [] }
    let chosen = (0..<6).map { Int(active[min((2 * $0 + 1) * active.count / 12, active.count - 1)]) }
    let catalogue = saved.hybrid.catalogue
    let training = UserItemMatrix(job.split.training)
    return try chosen.map { user in
      let relevant = Set(test.items(of: user).map { catalogue.itemIDs[Int($0)] })
      let history = training.items(of: user)
      // Test items may come, so that the report can mark them.
      let filter = ItemFilter(excluded: Set(history.map { catalogue.itemIDs[Int($0)] }), includesKnown: true)
      func list(_ part: HybridRecommender.Part) throws -> [HybridReport.Listed] {
        try saved.hybrid.recommend(for: catalogue.userIDs[user], count: 10, by: part, filter: filter).map {
          HybridReport.Listed(title: $0.title, isHit: relevant.contains($0.id))
        }
      }
      return HybridReport.SampleUser(
        id: catalogue.userIDs[user], about: about(user),
        history: history.prefix(8).map { catalogue.titles[Int($0)] }, historyCount: history.count,
        domain: try list(.domain), language: try list(.language), fused: try list(.fused))
    }
  }

  /// What the figures say, in words, also where a gain did not come.
  private func notes() -> [String] {
    var notes: [String] = []
    for (model, baseline) in ModelName.baselines.sorted(by: { $0.key < $1.key }) {
      guard let own = row(model, JobSlice.all), let other = row(baseline, JobSlice.all) else { continue }
      let change = other.mean > 0 ? (own.mean / other.mean - 1) * 100 : 0
      let verdict = (own.pValue ?? 1) < 0.05 ? "significant" : "not significant"
      notes.append(
        "\(model): NDCG@10 \(String(format: "%.4f", own.mean)) against \(String(format: "%.4f", other.mean)) of \(baseline) "
          + "(\(change >= 0 ? "+" : "−")\(String(format: "%.1f", abs(change))) %, \(verdict) at 5 % after Holm's correction)."
      )
    }
    notes += newItemNotes()
    if job.configuration.seeds == 1 {
      notes.append("One seed: the intervals are over users, not over trainings.")
    }
    return notes
  }

  /// How the tuned language model's reading compares with everything else that reads.
  private func newItemNotes() -> [String] {
    let tuned = ModelName.reading(ModelName.domain, .bridge)
    guard let own = row(tuned, JobSlice.new) else { return [] }
    return ModelName.readings.filter { $0 != .bridge }.compactMap { variant in
      let name = ModelName.reading(ModelName.domain, variant)
      guard let other = row(name, JobSlice.new), let change = Figure.change(from: other.mean, to: own.mean)
      else { return nil }
      let verdict = (other.pValue ?? 1) < 0.05 ? "significant" : "not significant"
      return
        "New items: \(tuned): NDCG@10 \(Figure.decimal(own.mean)) among them, against \(Figure.decimal(other.mean)) of "
        + "\(name) (\(change), \(verdict) at 5 % after Holm's correction)."
    }
  }

  private func row(_ model: String, _ slice: String) -> HybridReport.Row? {
    rows.first { $0.model == model && $0.slice == slice && $0.metric == "NDCG@10" }
  }
}
