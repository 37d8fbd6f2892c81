import CustomBridge
import Trestle
import TrestleTestSupport

// Both sides on the built-in world; with your own data, make them as the guide on writing a bridge shows.
let composition = try SmallComposition(seed: 1)
let trainer = try BridgeTrainer(ListDistillation(), composition.context)
trainer.onEpoch = { record in
  let validation = record.validation.map { "\($0)" } ?? "–"
  print(
    "\(record.phase), epoch \(record.epoch): loss \(record.loss), bridge \(record.bridgeLoss), validation \(validation)"
  )
}
try trainer.run()
let recommenders = try trainer.bridge.recommenders(composition.context)
if let domain = recommenders.domain {
  let result = try RankingEvaluator(composition.context.split).evaluate(domain)
  print("the taught recommender: NDCG@10 on test data \(result.mean(.ndcg(10)) ?? 0)")
}
