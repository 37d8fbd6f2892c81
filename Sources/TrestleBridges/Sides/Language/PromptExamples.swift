import TrestleRecommenders
import TrestleTensor

/// A question about a user and an item, and its answer.
public struct PromptExample: Sendable, Hashable {
  /// The user.
  public var user: Int32
  /// The item that is asked about.
  public var item: Int32
  /// 1 if the user liked it, else 0.
  public var label: Float
  /// What the user liked before, the latest last.
  public var history: [Int32]

  /// An example.
  public init(user: Int32, item: Int32, label: Float, history: [Int32]) {
    self.user = user
    self.item = item
    self.label = label
    self.history = history
  }

  /// Whether both are about one user with one history.
  func hasContext(of other: PromptExample) -> Bool { user == other.user && history == other.history }
}

extension [PromptExample] {
  /// The binary cross-entropy of each answer, `[examples]`.
  func answerLosses(_ logits: Tensor) -> Tensor {
    ExchangeLosses.answers(logits, labels: Tensor(map(\.label)))
  }

  /// The examples with the loss of each.
  func withLosses(_ losses: Tensor) -> BatchExamples {
    BatchExamples(users: Tensor(map(\.user)), items: Tensor(map(\.item)), losses: losses)
  }

  /// The examples in groups of neighbours with the same user and history.
  var inContexts: [[PromptExample]] {
    reduce(into: []) { groups, example in
      if let last = groups.last?.last, example.hasContext(of: last) {
        groups[groups.count - 1].append(example)
      } else {
        groups.append([example])
      }
    }
  }

  /// Whole groups of neighbours with the same user and history, drawn at random until there are `count` examples or more; all
  /// if there are no more, in their order.
  func sampledContexts(_ count: Int, seed: UInt64) -> [PromptExample] {
    guard count < self.count else { return self }
    var generator = RandomGenerator(seed: seed)
    let groups = inContexts
    var order = Array<Int>(groups.indices)
    generator.shuffle(&order)
    var chosen: [Int] = []
    var total = 0
    for place in order where total < count {
      chosen.append(place)
      total += groups[place].count
    }
    return chosen.sorted().flatMap { groups[$0] }
  }
}

/// The questions that a ``PromptSide`` is trained and validated on.
public struct PromptExamples: Sendable {
  /// Learnt from.
  public var training: [PromptExample]
  /// What states are chosen by.
  public var validation: [PromptExample]
  /// What is measured at the end.
  public var test: [PromptExample]

  /// Given examples.
  public init(training: [PromptExample], validation: [PromptExample], test: [PromptExample]) {
    self.training = training
    self.validation = validation
    self.test = test
  }

  /// Examples drawn from a split: items that a user has, each with one that the user has in no part.
  ///
  /// - Parameters:
  ///   - split: histories are of its training part.
  ///   - perUser: how many of a user's training interactions become questions at most: the latest of the history, each with what
  ///     came before. As many at most are asked of the validation and of the test data.
  ///   - historyItems: the most items of a history.
  ///   - seed: draws the items that the user has not.
  public init(sampling split: DataSplit, perUser: Int = 4, historyItems: Int = 10, seed: UInt64) {
    let histories = TimedHistories(split.training)
    let all = UserItemMatrix(
      split.training, split.validation, split.test, userCount: split.userCount, itemCount: split.itemCount)
    let source = RandomGenerator(seed: seed)
    func withNegative(
      _ user: Int32, _ item: Int32, _ history: some Collection<Int32>, _ generator: inout RandomGenerator
    ) -> [PromptExample] {
      let free = split.itemCount - all.count(of: Int(user))
      let past = Array(history.suffix(historyItems))
      let positive = PromptExample(user: user, item: item, label: 1, history: past)
      guard free > 0 else { return [positive] }
      let other = all.missingItem(of: Int(user), at: generator.index(below: free))
      return [positive, PromptExample(user: user, item: other, label: 0, history: past)]
    }
    training = (0..<Int32(split.userCount)).flatMap { user -> [PromptExample] in
      var generator = source.split(UInt64(user))
      let items = histories.items[Int(user)]
      return (Swift.max(1, items.count - perUser)..<Swift.max(1, items.count)).flatMap {
        withNegative(user, items[$0], items[..<$0], &generator)
      }
    }
    func asked(_ rows: Interactions, _ part: UInt64) -> [PromptExample] {
      let matrix = UserItemMatrix(rows)
      return matrix.activeUsers().flatMap { user -> [PromptExample] in
        var generator = source.split(part).split(UInt64(user))
        return matrix.items(of: Int(user)).prefix(perUser).flatMap {
          withNegative(user, $0, histories.items[Int(user)], &generator)
        }
      }
    }
    validation = asked(split.validation, 1 << 40)
    test = asked(split.test, 1 << 41)
  }

  /// The rows of a split with labels.
  ///
  /// A row's history is cut to the latest items, and neighbours share one as far as it goes: a row keeps the history of the row of
  /// the same user before it while all of that is in its own, and its own has no more than that to give. So a prompt says nothing
  /// that its row did not know.
  ///
  /// - Parameters:
  ///   - split: the rows.
  ///   - historyItems: the most items of a history.
  public init(_ split: LabelledSplit, historyItems: Int) {
    func examples(_ rows: [LabelledSplit.Row]) -> [PromptExample] {
      var result: [PromptExample] = []
      for row in rows {
        var history = Array(row.history.suffix(historyItems))
        if let last = result.last, last.user == row.user, last.history.count == history.count,
          Set(last.history).isSubset(of: row.history)
        {
          history = last.history
        }
        result.append(
          PromptExample(user: row.user, item: row.item, label: row.isLiked ? 1 : 0, history: history))
      }
      return result
    }
    self.init(
      training: examples(split.training), validation: examples(split.validation), test: examples(split.test))
  }
}

extension PromptSide {
  /// AUC over all examples, and the mean over the users who have both answers; `nil` where there are none such.
  public static func areas(_ scores: [Float], _ examples: [PromptExample]) -> (auc: Double?, uauc: Double?) {
    func area(_ places: [Int]) -> Double? {
      let order = places.sorted { scores[$0] < scores[$1] }
      var positives = 0.0
      var sum = 0.0
      var start = 0
      while start < order.count {
        var end = start
        while end < order.count && scores[order[end]] == scores[order[start]] { end += 1 }
        let rank = Double(start + end + 1) / 2
        let liked = Double(order[start..<end].filter { examples[$0].label > 0.5 }.count)
        positives += liked
        sum += liked * rank
        start = end
      }
      let others = Double(order.count) - positives
      guard positives > 0 && others > 0 else { return nil }
      return (sum - positives * (positives + 1) / 2) / (positives * others)
    }
    let users = Dictionary(grouping: examples.indices, by: { examples[$0].user })
    let areas = users.sorted { $0.key < $1.key }.compactMap { area($0.value) }
    return (
      area(Array(examples.indices)), areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count)
    )
  }
}
