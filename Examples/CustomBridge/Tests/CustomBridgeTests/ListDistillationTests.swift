import CustomBridge
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
  let trainer = try BridgeTrainer(ListDistillation(languageEpochs: 1, domainEpochs: 2), composition.context)
  try trainer.run()
  let student = trainer.records.filter { $0.side == .domain }
  #expect(student.count == 2)
  #expect(student.allSatisfy { $0.bridgeLoss > 0 })
  #expect(student[1].bridgeLoss < student[0].bridgeLoss)
}
