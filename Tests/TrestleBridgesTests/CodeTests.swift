import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A recommender and a small language model for which items are code tokens.
private func coding(_ seed: UInt64, beams: Int = 20) throws -> BridgeContext {
  try SmallComposition(seed: seed).coding(beams: beams)
}

/// Networks that train by steps of their own.
private enum Network: String, CaseIterable {
  case neuMF, sasRec, gru4Rec

  func make(_ split: DataSplit, _ generator: inout RandomGenerator) -> any TrainableRecommender {
    switch self {
    case .neuMF: NeuMF(userCount: split.userCount, itemCount: split.itemCount, using: &generator)
    case .sasRec: SASRec(training: split.training, using: &generator)
    case .gru4Rec: GRU4Rec(training: split.training, using: &generator)
    }
  }
}

@Suite struct CodeTests {
  @Test func lcRecKeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: { try coding($0) }) { LCRec(epochs: 2) }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func openP5KeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: { try coding($0) }) { OpenP5(epochs: 2) }
    #expect(failures.isEmpty, "\(failures)")
  }

  private func codes(_ strategy: BridgeStrategy, _ context: BridgeContext) throws -> [[Int32]] {
    try strategy.prepare(context)
    let saved = try #require(strategy.saveState().tensors["codes"])
    let (flat, width) = (saved.scalars(as: Int32.self), saved.shape[1])
    return (0..<saved.shape[0]).map { row in flat[row * width..<(row + 1) * width].filter { $0 >= 0 } }
  }

  /// No two items have the same codes, and no item's codes begin another's.
  @Test(arguments: [0, 1]) func codesNameOneItemEach(which: Int) throws {
    let context = try coding(3)
    let all = try codes(which == 0 ? LCRec() : OpenP5(), context)
    #expect(all.count == context.split.itemCount && Set(all).count == all.count)
    for one in all {
      #expect(one.count <= 3 && one.allSatisfy { $0 < 8 })
      for other in all where other != one { #expect(!other.starts(with: one)) }
    }
  }

  /// Items that the same users take share their first code more often than others do.
  @Test func itemsTakenTogetherShareCodes() throws {
    let context = try coding(4)
    let all = try codes(OpenP5(), context)
    let training = context.split.training
    var vectors = [Float](repeating: 0, count: training.itemCount * training.userCount)
    for (user, item) in zip(training.users, training.items) {
      vectors[Int(item) * training.userCount + Int(user)] = 1
    }
    let rows = Tensor(vectors, shape: [training.itemCount, training.userCount]).unitNormalized()
    let cosines = rows.matmul(rows, transposingOther: true).floats
    var (near, far): ([Float], [Float]) = ([], [])
    for a in 0..<training.itemCount {
      for b in 0..<a {
        if all[a][0] == all[b][0] {
          near.append(cosines[a * training.itemCount + b])
        } else {
          far.append(cosines[a * training.itemCount + b])
        }
      }
    }
    let means = [near, far].map { $0.reduce(0, +) / Float($0.count) }
    #expect(means[0] > 1.15 * means[1], "\(means)")
  }

  /// Texts reach the ranking: other vectors give other codes.
  @Test func otherTextsGiveOtherCodes() throws {
    let context = try coding(3)
    let small = try SmallComposition(seed: 3)
    let side = CodeSide(
      name: "turned", model: small.language.recommender.model, adapters: nil, split: context.split,
      vocabulary: context.language.vocabulary,
      encodedItemTexts: small.language.encodedItemTexts.map {
        $0.gatheredRows(Tensor((0..<Int32($0.shape[0])).reversed()))
      },
      configuration: (context.language as? CodeSide)?.configuration ?? .init())
    let turned = try BridgeContext(domain: context.domain, language: side, split: context.split)
    #expect(try codes(LCRec(), context) != codes(LCRec(), turned))
  }

  /// A beam as wide as the catalogue gives what scoring every item by itself gives.
  @Test func aWideBeamIsExact() throws {
    let context = try coding(5, beams: 64)
    let strategy = OpenP5(epochs: 1)
    try BridgeTrainer(strategy, context).run()
    let side = try #require(context.language as? CodeSide)
    let scores = try side.scores(users: [2]).floats
    #expect(scores.allSatisfy { $0 > -1000 })
    // All items' codes are all that the trie allows; a probability lost to other tokens keeps the sum below 1.
    let sum = scores.reduce(0) { $0 + exp($1) }
    #expect(sum > 0 && sum <= 1.0001)
    // One item by hand: the history's codes and the item's own, in one pass.
    let all = try codes(OpenP5(epochs: 1), context)
    func tokens(_ item: Int32) -> [Int32] {
      all[Int(item)].enumerated().map { Int32($0.offset * 8) + $0.element }
    }
    let history = TimedHistories(context.split.training).items[2].suffix(4).flatMap(tokens)
    for item in [Int32(0), 7, 30] {
      let own = tokens(item)
      let states = withoutGradients {
        side.model.hiddenStates(
          side.rows.detached.gatheredRows(Tensor(history + own.dropLast())),
          sequences: PackedSequences(lengths: [history.count + own.count - 1]))
      }
      let logs = states.matmul(side.rows.detached, transposingOther: true).logSoftmax().floats
      var expected: Float = 0
      for (place, token) in own.enumerated() {
        expected += logs[(history.count - 1 + place) * 24 + Int(token)]
      }
      #expect(abs(expected - scores[Int(item)]) < 1e-3, "\(expected), \(scores[Int(item)])")
    }
  }

  @Test func codesBeyondTheLimitsAreRefused() throws {
    let context = try coding(1)
    let side = try context.language.codes
    let count = context.split.itemCount
    let lists: [[[Int32]]] = [
      [[0]], Array(repeating: [8], count: count), Array(repeating: [0, 0, 0, 0], count: count),
      Array(repeating: [], count: count), Array(repeating: [-1], count: count),
    ]
    for codes in lists { #expect(throws: BridgeError.self) { try side.setCodes(codes) } }
    #expect(throws: BridgeError.self) { try context.language.scores.scores(users: [0]) }
  }

  /// A recommender with steps of its own is a side, a sequential one too.
  @Test(arguments: Network.allCases) private func aRecommenderWithStepsOfItsOwnIsASide(network: Network)
    throws
  {
    let small = try SmallComposition(seed: 1)
    func context() throws -> BridgeContext {
      let small = try SmallComposition(seed: 1)
      var generator = RandomGenerator(seed: 1)
      let split = small.context.split
      var training = TrainingConfiguration()
      training.batchSize = 32
      let side = try RecommenderSide(
        network.make(split, &generator), split: split,
        vocabulary: small.domain.vocabulary, configuration: training)
      return try BridgeContext(domain: side, language: small.language, split: split)
    }
    let failures = try checkSharingBridge(composing: { _ in try context() }) {
      ScoreFusionStrategy(domainEpochs: 2, languageEpochs: 1)
    }
    #expect(failures.isEmpty, "\(failures)")
    let side = try #require(try context().domain as? RecommenderSide)
    #expect(try side.scores(users: [0, 1]).shape == [2, small.dataset.itemCount])
  }
}
