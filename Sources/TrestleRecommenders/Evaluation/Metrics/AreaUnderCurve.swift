/// The areas under the ROC curve on one slice.
struct AreaUnderCurve: Sendable {
  let slice: ItemSlice
  /// One value per user with a relevant item in the slice, 0.5 for those without an irrelevant candidate.
  let perUser: [Float]
  /// The mean weighted by the users' numbers of relevant items, over users with an irrelevant candidate.
  let weightedMean: Double?
  /// The area over the pooled pairs of all users.
  let pooled: Double?
}

/// Counts for one slice how often a relevant score beats others.
struct PairCounts: Sendable {
  /// `2 · (relevant above other) + (relevant equal to other)` over pairs of a relevant and any candidate score.
  var doubledWins = 0
  /// The number of candidates, relevant ones included.
  var candidates = 0

  /// Adds a candidate's score; `relevant` is ascending.
  mutating func add(_ score: Float, against relevant: [Float]) {
    let below = relevant.indices.partitionPoint { relevant[$0] < score }
    let upTo = relevant.indices.partitionPoint { relevant[$0] <= score }
    doubledWins += 2 * (relevant.count - upTo) + (upTo - below)
    candidates += 1
  }

  /// The area under the curve, `nil` without a relevant or an irrelevant candidate.
  func area(relevant: Int) -> Double? {
    let others = candidates - relevant
    guard relevant > 0, others > 0 else { return nil }
    // Among the relevant themselves every ordered pair and self pair was counted: 2·wins + ties sum to relevant².
    let wins = Double(doubledWins - relevant * relevant) / 2
    return wins / (Double(relevant) * Double(others))
  }
}

extension RankingEvaluator {
  /// Walks all scores a second time, now that those of the relevant items are known.
  func areasUnderCurves(_ scorer: some CatalogueScorer, _ batches: [Batch]) throws -> [AreaUnderCurve] {
    let wanted: [ItemSlice] = [.all] + configuration.slices.filter { $0 != .all }
    let size = configuration.batchSize
    // Ascending relevant scores, pooled over the users and of each user, by slice.
    let pooled = wanted.map { slice in
      batches.flatMap { batch in
        batch.users.indices.flatMap { relevantScores(batch, $0, slice) }
      }.sorted()
    }
    let counted = try forEachBatch { range -> (users: [[PairCounts]], pooled: [PairCounts]) in
      let batch = batches[range.lowerBound / size]
      let own = batch.users.indices.map { row in wanted.map { relevantScores(batch, row, $0).sorted() } }
      var counts = own.map { $0.map { _ in PairCounts() } }
      var poolCounts = wanted.map { _ in PairCounts() }
      let needsPool = configuration.metrics.contains(.auc)
      try forEachScoredRange(Array(users[range]), scorer) { row, items, scores, start in
        items.forEachCandidate { offset in
          for slice in wanted.indices {
            if !own[row][slice].isEmpty {
              counts[row][slice].add(scores[start + offset], against: own[row][slice])
            }
            if needsPool { poolCounts[slice].add(scores[start + offset], against: pooled[slice]) }
          }
        }
      }
      return (counts, poolCounts)
    }
    return wanted.indices.map { index in
      let slice = wanted[index]
      var perUser: [Float] = []
      var sum = 0.0
      var weight = 0
      var pool = PairCounts()
      for (batch, counts) in zip(batches, counted) {
        pool.doubledWins += counts.pooled[index].doubledWins
        pool.candidates += counts.pooled[index].candidates
        for (row, user) in batch.users.enumerated() where user.count(in: slice) > 0 {
          let relevantCount = relevantScores(batch, row, slice).count
          let area = counts.users[row][index].area(relevant: relevantCount)
          perUser.append(Float(area ?? 0.5))
          guard let area else { continue }
          sum += area * Double(relevantCount)
          weight += relevantCount
        }
      }
      return AreaUnderCurve(
        slice: slice, perUser: perUser, weightedMean: weight > 0 ? sum / Double(weight) : nil,
        pooled: pool.area(relevant: pooled[index].count))
    }
  }

  /// The scores of the user's relevant items of a slice that are candidates.
  private func relevantScores(_ batch: Batch, _ row: Int, _ slice: ItemSlice) -> [Float] {
    let user = batch.users[row].user
    let list = candidates?.list(of: user)
    return zip(relevant.items(of: Int(user)), batch.relevantScores[row]).compactMap { item, score in
      guard slice == .all || slices.slices[Int(item)] == slice else { return nil }
      if let list, list.sortedIndex(of: item) == nil { return nil }
      return score
    }
  }
}

extension ScoredItems {
  /// Runs `body` with the offset of every candidate.
  fileprivate func forEachCandidate(_ body: (Int) -> Void) {
    switch self {
    case .list(let items):
      for offset in items.indices { body(offset) }
    case .tile(let range, let masked):
      var next = masked.startIndex
      for item in range {
        if next < masked.endIndex && Int(masked[next]) == item {
          next += 1
        } else {
          body(item - range.lowerBound)
        }
      }
    }
  }
}
