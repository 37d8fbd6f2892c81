/// Which trial is trained next, and how far: a function of what has been measured so far.
///
/// First the recommended settings are trained to the end. Then, of a rung's trials, the best 1/η go on to the next rung; where none
/// may go on a new trial begins. When none may begin any more, the best of all goes on until it is trained to the end.
///
/// Source: Jamieson and Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization* (2016), successive halving;
/// Li et al., *A System for Massively Parallel Hyperparameter Tuning* (2020), ASHA, whose rule of promotion this is, for one worker.
struct SearchSchedule {
  /// A trial and the rung to which it is to be trained.
  struct Job: Hashable {
    let trial: Int
    let rung: Int
  }

  private let rungCount: Int
  private let reduction: Int
  /// The value of each trial that reached a rung; −∞ for one that failed.
  private var values: [[Int: Double]]
  /// The highest rung of each trial.
  private var reached: [Int: Int] = [:]
  /// The number of trials that have begun.
  var trialCount: Int { reached.count }

  init(rungCount: Int, reduction: Int) {
    precondition(rungCount > 0 && reduction > 1, "SearchSchedule: \(rungCount) rungs, 1/\(reduction) goes on")
    (self.rungCount, self.reduction) = (rungCount, reduction)
    values = Array(repeating: [:], count: rungCount)
  }

  /// Notes what a job gave. What need not be trained further counts on all higher rungs.
  mutating func note(_ job: Job, _ value: Double?, isFinished: Bool) {
    let last = isFinished || value == nil ? rungCount - 1 : job.rung
    for rung in job.rung...last { values[rung][job.trial] = value ?? -.infinity }
    reached[job.trial] = last
  }

  /// The next job; `nil` if nothing is left to do.
  ///
  /// - Parameter canStart: whether a new trial may begin.
  func next(canStart: Bool) -> Job? {
    guard let own = reached[0] else { return Job(trial: 0, rung: 0) }
    if own < rungCount - 1 { return Job(trial: 0, rung: own + 1) }
    for rung in (0..<rungCount - 1).reversed() {
      let best = ranked(values[rung]).prefix(values[rung].count / reduction)
      if let trial = best.first(where: { reached[$0] == rung }) { return Job(trial: trial, rung: rung + 1) }
    }
    if canStart { return Job(trial: reached.count, rung: 0) }
    let latest = reached.reduce(into: [Int: Double]()) { $0[$1.key] = values[$1.value][$1.key] }
    guard let best = ranked(latest).first, let rung = reached[best], rung < rungCount - 1 else { return nil }
    return Job(trial: best, rung: rung + 1)
  }

  /// Trials by value, the highest first; of equal ones the earlier.
  private func ranked(_ values: [Int: Double]) -> [Int] {
    values.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }.map(\.key)
  }
}
