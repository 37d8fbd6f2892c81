import TrestleRecommenders
import TrestleTensor

/// What the report shows of new items: lists with their reasons, the rows that were written, and how much of held-out rows the
/// language side explains.
struct NewItemFindings {
  /// A recommended new item, with the known items of the user that read most alike.
  struct Listed {
    var item: Int
    var isHit: Bool
    var reasons: [Int]
  }

  /// A user whose list of new items hits.
  struct User {
    var user: Int
    var history: [Int]
    var listed: [Listed]
  }

  /// The row of a new item in the plane, as it was written with another item's text and with its own.
  struct Written {
    var item: Int
    var interactions: Int
    var shuffled: [Double]
    var tuned: [Double]
  }

  /// The share of the variance of held-out items' rows that a reading explains: of the recommender's rows before the exchange with
  /// the language model, and after.
  struct Taught {
    var reading: HybridStudy.Variant
    var before: Double
    var after: Double
  }

  var users: [User] = []
  /// How many users have new items in their test data, and how many of them find one among the first ten.
  var asked = 0
  var served = 0
  var written: [Written] = []
  var taught: [Taught] = []
  /// How many items were new, and how many of their rows the shares are of.
  var newCount = 0
  var heldCount = 0

  /// Looks at a finished run.
  ///
  /// - Parameters:
  ///   - store: the bridge over known items, whose store has rows of the items that are new here.
  ///   - training: what its recommender was trained on.
  init(_ run: HybridRun, store: BDLMStrategy?, training: Interactions) throws {
    newCount = run.data.testItems.count
    try findUsers(run)
    try placeRows(run)
    if let store { try measureTeaching(run, store, training) }
  }

  // MARK: Lists

  private mutating func findUsers(_ run: HybridRun) throws {
    let scorer = try run.scorer(StudyCase(ModelKind.lightGCN.name, .bridge))
    guard let readings = run.tuned?.first else { return }
    let scaled = InputScaling(fitting: readings)(readings)
    let test = UserItemMatrix(run.data.split.test)
    let training = UserItemMatrix(run.data.split.training)
    let new = run.data.testItems
    let isNew = Set(new)
    var found: [User] = []
    for user in 0..<test.userCount {
      let wanted = Set(test.items(of: user)).intersection(isNew)
      if wanted.isEmpty { continue }
      asked += 1
      var scores = try scorer.prepare(users: [Int32(user)])
      var row = [Float](repeating: 0, count: scorer.itemCount)
      try scores.write(items: 0..<scorer.itemCount, into: &row)
      let top = row.largest(10, among: new.map { Int($0) }).map { Int32($0) }
      guard top.contains(where: wanted.contains) else { continue }
      served += 1
      found.append(
        User(
          user: user, history: training.items(of: user).map { Int($0) },
          listed: top.map { Listed(item: Int($0), isHit: wanted.contains($0), reasons: []) }))
    }
    // Of few and of many interactions alike; a history has to be long enough to give reasons.
    let telling = found.filter { $0.history.count >= 8 }
      .sorted { ($0.history.count, $0.user) < ($1.history.count, $1.user) }
    let count = min(4, telling.count)
    users = (0..<count).map { telling[(2 * $0 + 1) * telling.count / (2 * count)] }
    for index in users.indices {
      for place in users[index].listed.indices {
        users[index].listed[place].reasons = Self.nearest(
          users[index].listed[place].item, users[index].history, scaled)
      }
    }
  }

  /// The two items of a history that read most like an item.
  private static func nearest(_ item: Int, _ history: [Int], _ scaled: Tensor) -> [Int] {
    let rows = scaled.gatheredRows(Tensor(history.map { Int32($0) }))
    let likeness = rows.matmul(scaled.gatheredRows(Tensor([Int32(item)])), transposingOther: true).floats
    return likeness.largest(2, among: history.indices).map { history[$0] }
  }

  // MARK: Rows

  private mutating func placeRows(_ run: HybridRun) throws {
    let items = run.trained.items
    let known = run.weights.indices.filter { run.weights[$0] > 0 }.map { Int32($0) }
    let rows = items.gatheredRows(Tensor(known))
    let plane = PrincipalPlane(rows)
    func places(_ variant: HybridStudy.Variant) throws -> [Float] {
      try plane(run.smoothers(variant)[0].rows(items))
    }
    let (shuffled, tuned) = (try places(.shuffledTexts), try places(.bridge))
    let counts = run.data.split.test.itemCounts()
    let isTest = Set(run.data.testItems)
    written = run.held[0].enumerated().filter { isTest.contains($0.element) }.map { place, item in
      func point(_ all: [Float]) -> [Double] { [Double(all[2 * place]), Double(all[2 * place + 1])] }
      return Written(
        item: Int(item), interactions: Int(counts[Int(item)]), shuffled: point(shuffled), tuned: point(tuned))
    }
  }

  // MARK: Who taught whom

  /// The rows are those of the recommender over known items, which has interactions of the items that are new here: the language
  /// model was tuned without them, and the maps, those that rank best, are fitted without them.
  private mutating func measureTeaching(
    _ run: HybridRun, _ store: BDLMStrategy, _ training: Interactions
  ) throws {
    guard let before = store.firstItems, let sharing = store.sharing else { return }
    var weights = HybridRun.weights(training, run.study.configuration)
    for item in run.data.validationItems { weights[Int(item)] = 0 }
    let held = run.data.testItems.filter { weights[Int($0)] > 0 }
    heldCount = held.count
    guard held.count > 1 else { return }
    for variant in ModelName.readings where run.study.isPossible(variant) {
      _ = try run.smoothers(variant)
      let readings = try variant == .bridge ? run.tuned?.first : run.untunedReadings(variant)
      guard let readings, let map = run.chosenMaps[variant]?.first else { continue }
      func share(_ rows: Tensor) -> Double {
        RowReading(
          readings: readings, rows: Representations(users: sharing.users.rows, items: rows), weights: weights
        ).explainedVariance(map, of: held)
      }
      taught.append(Taught(reading: variant, before: share(before), after: share(sharing.items.rows)))
    }
  }
}

/// The plane of rows' two main directions.
struct PrincipalPlane {
  private let mean: Tensor
  private let directions: Tensor

  /// Finds the directions by power iteration on the covariance of `rows`, `[count, width]`.
  init(_ rows: Tensor) {
    mean = rows.mean(along: [0])
    let centred = rows - mean
    let covariance = centred.matmul(centred, transposingSelf: true)
    var generator = RandomGenerator(seed: 1)
    var found: [Tensor] = []
    for _ in 0..<2 {
      var direction = Tensor.normal([1, rows.shape[1]], using: &generator).unitNormalized()
      for _ in 0..<200 {
        direction = direction.matmul(covariance)
        for other in found { direction = direction - other * direction.rowDot(other).item }
        direction = direction.unitNormalized()
      }
      found.append(direction)
    }
    directions = Tensor.concatenated(found, along: 0)
  }

  /// The places of some rows, two numbers each.
  func callAsFunction(_ rows: Tensor) -> [Float] {
    (rows - mean).matmul(directions, transposingOther: true).floats
  }
}
