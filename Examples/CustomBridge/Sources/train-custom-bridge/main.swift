import CustomBridge
import Foundation
import Trestle
import TrestleTestSupport

// Both sides on the built-in world; with your own data, make them as the guide on writing a bridge shows.
let composition = try SmallComposition(seed: 1)
let trainer = try BridgeTrainer(ListDistillation(), composition.context)
trainer.onEpoch = { record in
  print(
    record.phase
      + String(
        format: ", epoch %d: loss %.4f, bridge %.4f, validation %.4f", record.epoch, record.loss,
        record.bridgeLoss, record.validation ?? .nan))
}
try trainer.run()
let recommenders = try trainer.bridge.recommenders(composition.context)
if let domain = recommenders.domain {
  let result = try RankingEvaluator(composition.context.split).evaluate(domain)
  print(String(format: "the taught recommender: NDCG@10 on test data %.4f", result.mean(.ndcg(10)) ?? 0))
}
