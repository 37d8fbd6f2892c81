import CustomBridge
import Foundation
import Testing
import Trestle
import TrestleTestSupport

@Test func listDistillationKeepsTheContractOfBridges() throws {
  let failures = try checkSharingBridge {
    ListDistillation(languageEpochs: 1, domainEpochs: 3)
  }
  #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
}

@Test func theListsReachTheRecommendersLoss() throws {
  let composition = try SmallComposition(seed: 2)
  let bridge = ListDistillation(weight: 1, languageEpochs: 1, domainEpochs: 10)
  let trainer = try BridgeTrainer(bridge, composition.context)
  try trainer.run()
  // The cross-entropy begins at that of guessing, and falls in every epoch as the student takes over the lists.
  let losses = trainer.records.filter { $0.side == .domain }.map(\.bridgeLoss)
  #expect(losses.count >= 5)
  #expect(abs((losses.first ?? 0) - log(Double(composition.context.split.itemCount))) < 0.01)
  #expect(zip(losses, losses.dropFirst()).allSatisfy(>), "\(losses)")
}

@Test func ranksInWordsKeepTheContractOfBridges() throws {
  let failures = try checkSharingBridge(composing: { try SmallComposition(seed: $0).asking() }) {
    RanksInWords(domainEpochs: 2, languageEpochs: 2)
  }
  #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
}

@Test func theRanksAreReadInThePrompts() throws {
  let context = try SmallComposition(seed: 2).asking()
  try BridgeTrainer(RanksInWords(domainEpochs: 3, languageEpochs: 1), context).run()
  let side = try #require(context.language as? PromptSide)
  let asked = Array(side.examples.test.prefix(8))
  let answers = side.answers(to: asked)
  side.promptFields = nil
  #expect(side.answers(to: asked) != answers)
}

@Test func whatNamesNoItemIsRefused() throws {
  let context = try SmallComposition(seed: 2).asking()
  let (users, items) = (context.split.userCount, context.split.itemCount)
  func refused(_ bridge: BridgeStrategy, _ name: String, _ tensor: Tensor) -> Bool {
    var state = BridgeState()
    state.tensors[name] = tensor
    do {
      try bridge.loadState(state, context)
      return false
    } catch { return error is BridgeError }
  }
  func numbers(_ value: Int32, _ width: Int) -> Tensor {
    Tensor([Int32](repeating: value, count: users * width), shape: [users, width])
  }
  #expect(!refused(ListDistillation(), "lists", numbers(Int32(items) - 1, 10)))
  #expect(!refused(RanksInWords(), "ranks", numbers(Int32(items), items)))
  for value in [-1, Int32(items) + 1, .max] {
    #expect(refused(ListDistillation(), "lists", numbers(value, 10)))
    #expect(refused(RanksInWords(), "ranks", numbers(value, items)))
  }
  #expect(refused(ListDistillation(), "lists", numbers(0, 9)))
  #expect(refused(RanksInWords(), "ranks", Tensor.ones([users, items])))
}
