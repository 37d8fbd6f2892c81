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
}
