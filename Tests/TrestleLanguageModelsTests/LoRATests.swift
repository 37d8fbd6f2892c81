import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Adapters against PEFT.
@Suite struct LoRATests {
  private func model() throws -> any LanguageModel {
    try LanguageModels.load(try Fixture("llama").folder, storage: .float32)
  }

  @Test func twentyStepsFollowPEFT() throws {
    let fixture = try Fixture("llama/lora")
    let model = try model()
    let adapters = try LoRAAdapters.load(from: fixture.folder.appending(path: "initial"), into: model)
    let optimizer = AdamW(adapters.parameters, learningRate: 1e-2, weightDecay: 0.01)
    let tokens = try fixture.tokens("batches")
    let losses = try fixture.floats("losses")
    for step in 0..<20 {
      let batch = Array(tokens[2 * step..<2 * step + 2])
      let (loss, gradients) = valueAndGradients(of: model.parameters) { model.nextTokenLoss(batch) }
      #expect(abs(Float(loss.item) - losses[step]) < 1e-4, "step \(step)")
      // Frozen weights have no gradient.
      #expect(gradients.parameters.count == adapters.parameters.count)
      if step == 0 {
        for entry in model.namedParameters where entry.parameter.isTrainable {
          let found = try #require(gradients[entry.parameter]).dense().floats
          let expected = try fixture.floats("gradient.base_model.model." + entry.name)
          #expect(largestDifference(found, expected) < 1e-5, "\(entry.name)")
        }
      }
      optimizer.update(with: gradients)
    }
    let logits = model.logits(model.hiddenStates(tokens: Array(tokens[0..<2])))
    let expectedLogits = try fixture.floats("logits")
    #expect(largestDifference(logits.floats, expectedLogits) < 1e-3)
  }

  @Test func savedAdaptersAreReadAgainAndFuse() throws {
    try withSteadyInstructionSet {
      let fixture = try Fixture("llama/lora")
      let folder = FileManager.default.temporaryDirectory.appending(path: "lora-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(at: folder) }
      let tokens = Array(try fixture.tokens("batches")[0..<2])
      let first = try model()
      let plain = first.hiddenStates(tokens: tokens).floats
      let adapters = try LoRAAdapters.load(from: fixture.folder.appending(path: "final"), into: first)
      let adapted = first.hiddenStates(tokens: tokens).floats
      #expect(largestDifference(adapted, plain) > 1e-2)
      try adapters.save(to: folder)

      let second = try model()
      let again = try LoRAAdapters.load(from: folder, into: second)
      #expect(again.settings == adapters.settings)
      #expect(second.hiddenStates(tokens: tokens).floats == adapted)
      again.fuse()
      #expect(largestDifference(second.hiddenStates(tokens: tokens).floats, adapted) < 1e-5)

      adapters.unload()
      #expect(first.hiddenStates(tokens: tokens).floats == plain)
      adapters.reload()
      #expect(first.hiddenStates(tokens: tokens).floats == adapted)
    }
  }

  /// What is trained over a file's blocks is what would be trained over the numbers that they stand for.
  @Test(.enabled(if: TestAssets.smolLM2 != nil)) func gradientsOverQuantisedWeightsAreThoseOverDenseOnes()
    throws
  {
    let url = try #require(TestAssets.smolLM2)
    let tokens: [[Int32]] = [[504, 3575, 282, 4649, 314], [1, 28, 216, 34, 28, 216, 35]]
    func train(_ storage: WeightStorage) throws -> [Float] {
      let model = try LanguageModels.load(url, storage: storage)
      let adapters = try LoRA(rank: 4, targets: ["q_proj", "v_proj", "down_proj"]).load(
        into: model, using: RandomGenerator(seed: 3))
      let optimizer = AdamW(adapters.parameters, learningRate: 1e-3)
      var found: [Float] = []
      for _ in 0..<2 {
        let (loss, gradients) = valueAndGradients(of: adapters.parameters) { model.nextTokenLoss(tokens) }
        optimizer.update(with: gradients)
        found.append(Float(loss.item))
        for parameter in adapters.parameters {
          found.append(Float(gradients[parameter]?.dense().squared().sum().item ?? 0))
        }
      }
      let isQuantized = model.namedLinears.allSatisfy {
        if case .quantized = $0.linear.matrix { true } else { false }
      }
      #expect(isQuantized == (storage == .asStored))
      return found
    }
    #expect(largestDifference(try train(.asStored), try train(.float32)) < 1e-3)
  }

  @Test func aTargetWithoutALayerIsAnError() throws {
    let model = try model()
    #expect(throws: LanguageModelError.self) {
      try LoRA(targets: ["q_projection"]).load(into: model, using: RandomGenerator(seed: 1))
    }
    #expect(model.trainableParameters.count == model.parameters.count)
  }

  @Test func anAdapterOfAnotherModelIsAnError() throws {
    let other = try LanguageModels.load(try Fixture("qwen3").folder, storage: .float32)
    let folder = try Fixture("llama/lora").folder.appending(path: "final")
    #expect(throws: LanguageModelError.self) { try LoRAAdapters.load(from: folder, into: other) }
  }
}
