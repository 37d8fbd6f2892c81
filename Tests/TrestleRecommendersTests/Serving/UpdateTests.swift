import Testing
import TrestleRecommenders

/// Interactions that come after the training, without training anew.
@Suite struct UpdateTests {
  private struct Setting {
    let data: Dataset
    let split: DataSplit

    init() throws {
      var configuration = SyntheticWorld.Configuration()
      (configuration.users, configuration.items, configuration.interactions) = (200, 120, 7000)
      data = try SyntheticWorld(configuration, seed: 6).dataset()
      split = try data.interactions.split(.ratio(validation: 0.4, test: 0.2), seed: 1)
    }

    /// Fitted on the training part alone, without having seen another.
    func model(_ kind: ModelKind) throws -> FittedRecommender {
      var options = FitOptions()
      // An epoch of BERT4Rec goes through the data several times.
      (options.epochs, options.seed) = (kind == .bert4Rec ? 4 : 40, 1)
      return try data.with(split.training).fit(kind, options: options)
    }

    /// The validation part as what came later, its users under other names if they are to be new.
    func later(prefix: String = "") -> [UserItemPair] {
      (0..<split.validation.count).map { row in
        UserItemPair(
          user: prefix + data.userIDs[Int(split.validation.users[row])],
          item: data.itemIDs[Int(split.validation.items[row])])
      }
    }
  }

  /// Protocol: training on 40 % of each user's items; 40 % are added; the last 20 % are to be found.
  @Test(arguments: [
    ModelKind.ease, .itemKNN, .userKNN, .rp3Beta, .slim, .implicitALS, .factorization, .lightGCN,
  ])
  func whatUsersDoLaterMakesTheirListsBetterAndNeverWorse(_ kind: ModelKind) throws {
    let setting = try Setting()
    let model = try setting.model(kind)
    let evaluator = RankingEvaluator(setting.split)
    let before = try evaluator.evaluate(model.makeScorer()).mean(.ndcg(10)) ?? 0
    let updated = try model.adding(setting.later())
    let after = try evaluator.evaluate(updated.makeScorer()).mean(.ndcg(10)) ?? 0
    // Rows that were trained by gradients stay until the next fit.
    let isAnsweredAtOnce = kind != .factorization && kind != .lightGCN
    #expect(
      isAnsweredAtOnce ? after > before : after == before,
      "\(kind.name): \(after) after the update, \(before) before")
    let user = setting.data.userIDs[Int(setting.split.validation.users[0])]
    let had = setting.data.itemIDs[Int(setting.split.validation.items[0])]
    #expect(try !updated.recommend(for: user, count: 120).contains { $0.id == had })
    #expect(updated.card.settings["interactions added since"] == "\(setting.split.validation.count)")
    // Nothing is added twice.
    let twice = try updated.adding(setting.later())
    #expect(twice.card.settings == updated.card.settings && twice.histories.items == updated.histories.items)
  }

  @Test(arguments: [
    ModelKind.ease, .itemKNN, .userKNN, .slim, .implicitALS, .factorization, .lightGCN, .multVAE, .recVAE,
    .bert4Rec, .sasRec, .hstu,
  ])
  func newUsersAreFoldedIn(_ kind: ModelKind) throws {
    let setting = try Setting()
    let model = try setting.model(kind)
    let updated = try model.adding(setting.later(prefix: "new "))
    #expect(updated.userCount > model.userCount && model.userCount == 200)
    let user = Int(setting.split.validation.users[0])
    let items = setting.later().filter { $0.user == setting.data.userIDs[user] }.map(\.item)
    let list = try updated.recommend(for: "new " + setting.data.userIDs[user], count: 6).map(\.id)
    #expect(try list == model.recommend(liking: items, count: 6).map(\.id))
  }

  @Test func whatCannotBeAddedIsRefused() throws {
    let setting = try Setting()
    let model = try setting.model(.neuMF)
    #expect(throws: ServingError.self) { try model.adding([UserItemPair(user: "nobody", item: "3")]) }
    #expect(throws: ServingError.self) { try model.adding([UserItemPair(user: "3", item: "nothing")]) }
    #expect(try model.adding([]).card.settings["interactions added since"] == "0")
  }

  /// Protocol: by time, 60 % of the interactions train, 20 % choose the epochs, and the last 20 % are to be found, by the model that
  /// chose and by the one that is then fitted on the first 80 % with the epochs found.
  @Test(arguments: [ModelKind.implicitALS, .factorization])
  func aRefitOnAllThatIsKnownFindsWhatComesLater(_ kind: ModelKind) throws {
    let setting = try Setting()
    let split = try setting.data.interactions.split(.globalTime(validation: 0.2, test: 0.2), seed: 1)
    var options = FitOptions()
    (options.epochs, options.seed) = (40, 1)
    let known = Interactions(
      users: split.training.users + split.validation.users,
      items: split.training.items + split.validation.items, userCount: split.training.userCount,
      itemCount: split.training.itemCount)
    let nothing = Interactions.empty(userCount: known.userCount, itemCount: known.itemCount)
    // Neither has seen what is to be found, and both know the same of the users.
    let data = setting.data.with(known)
    let chosen = try data.fit(
      kind, split: DataSplit(training: split.training, validation: split.validation, test: nothing),
      options: options)
    let epochs = chosen.card.settings["epochs"].flatMap { Int($0) } ?? 1
    let refitted = try data.refit(kind, epochs: epochs, options: options)
    let evaluator = RankingEvaluator(
      DataSplit(
        training: known, validation: nothing, test: split.test, strategy: "by time"))
    let before = try evaluator.evaluate(chosen.makeScorer()).mean(.ndcg(10)) ?? 0
    let after = try evaluator.evaluate(refitted.makeScorer()).mean(.ndcg(10)) ?? 0
    #expect(after > before, "\(kind.name): \(after) refitted, \(before) before")
  }
}
