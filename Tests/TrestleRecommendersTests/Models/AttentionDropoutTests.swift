import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Dropout of the probabilities with which SASRec and BERT4Rec read other places.
@Suite struct AttentionDropoutTests {
  private let training = Interactions(
    users: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1], items: [1, 2, 3, 4, 5, 6, 9, 8, 7, 3], userCount: 2, itemCount: 11)
  private let sequences = ItemSequences([[1, 2, 3, 4, 5], [9, 8], [7, 3, 1, 10]])

  /// A model with the weights of another, made large enough for the probabilities to differ.
  private func withWeights<Model: Module>(of other: Model, _ model: Model) -> Model {
    for (own, source) in zip(model.namedParameters, other.namedParameters) {
      own.parameter.update(to: source.parameter.detached * (source.name.contains("norm") ? 1 : 20))
    }
    return model
  }

  private func sasRec(attentionDropout: Double) -> SASRec {
    func make(_ rate: Double) -> SASRec {
      var generator = RandomGenerator(seed: 2)
      var configuration = SASRec.Configuration()
      (configuration.dimension, configuration.heads, configuration.hidden) = (8, 2, 12)
      (configuration.windowLength, configuration.dropout) = (6, 0)
      configuration.attentionDropout = rate
      return SASRec(training: training, configuration: configuration, dtype: .float64, using: &generator)
    }
    return withWeights(of: make(0), make(attentionDropout))
  }

  private func bert4Rec(attentionDropout: Double) -> BERT4Rec {
    func make(_ rate: Double) -> BERT4Rec {
      var generator = RandomGenerator(seed: 2)
      var configuration = BERT4Rec.Configuration()
      (configuration.dimension, configuration.heads, configuration.hidden) = (8, 2, 12)
      (configuration.windowLength, configuration.dropout) = (6, 0)
      configuration.attentionDropout = rate
      return BERT4Rec(training: training, configuration: configuration, dtype: .float64, using: &generator)
    }
    return withWeights(of: make(0), make(attentionDropout))
  }

  /// Puts all dropout layers of a model back to where they draw the same.
  private func rewind(_ model: any Module) {
    let layers = model.namedModules.compactMap { $0.module as? Dropout }
    #expect(layers.count == 2, "one layer of dropout for each layer of attention")
    for (place, layer) in layers.enumerated() { layer.generator = RandomGenerator(seed: UInt64(place)) }
  }

  private func checkGradients(_ model: any Module, _ loss: () -> Tensor) {
    model.setTraining(true)
    rewind(model)
    let (value, gradients) = valueAndGradients(of: model.trainableParameters, loss)
    rewind(model)
    #expect(loss().item == value.item, "the same draws drop the same")
    #expect(loss().item != value.item, "further draws drop others")
    var generator = RandomGenerator(seed: 8)
    for item in model.namedParameters {
      let at = item.parameter.detached.copied()
      let direction = Tensor.normal(at.shape, dtype: .float64, using: &generator)
      let values = [-1e-6, 1e-6].map { step in
        item.parameter.update(to: at + direction * step)
        rewind(model)
        return withoutGradients { loss().item }
      }
      item.parameter.update(to: at)
      let slope = (values[1] - values[0]) / 2e-6
      let expected = gradients[item.parameter].map { ($0.dense() * direction).sum().item } ?? 0
      #expect(abs(slope - expected) < 1e-6 * max(1, abs(expected)), "\(item.name): \(slope), \(expected)")
    }
  }

  @Test func gradientsAreThoseOfWhatWasNotDropped() {
    let causal = sasRec(attentionDropout: 0.4)
    checkGradients(causal) {
      causal.loss(
        states: causal.states(sequences), targets: Tensor([2, 3, 4, 5, 6, 8, 7, 3, 1, 10, 0] as [Int32]))
    }
    let both = bert4Rec(attentionDropout: 0.4)
    let masked = ItemSequences([[1, 2, both.mask, 4, 5], [both.mask, 8], [7, 3, 1, both.mask]])
    checkGradients(both) {
      both.logits(both.states(masked, at: [2, 5, 10])).crossEntropy(labels: Tensor([3, 9, 10] as [Int32]))
        .mean()
    }
  }

  @Test func nothingIsDroppedOutOfTraining() {
    withSteadyInstructionSet {
      let (with, without) = (sasRec(attentionDropout: 0.5), sasRec(attentionDropout: 0))
      #expect(with.states(sequences).doubles == without.states(sequences).doubles)
      #expect(
        with.userStates(with.histories).doubles == without.userStates(without.histories).doubles)
      with.setTraining(true)
      without.setTraining(true)
      #expect(with.states(sequences).doubles != without.states(sequences).doubles)
      let (masked, plain) = (bert4Rec(attentionDropout: 0.5), bert4Rec(attentionDropout: 0))
      #expect(masked.userStates(masked.histories).doubles == plain.userStates(plain.histories).doubles)
    }
  }

  /// What a version without the setting wrote.
  private func withoutTheSetting(_ configuration: some Encodable) throws -> Data {
    let data = try JSONEncoder().encode(configuration)
    var values = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(values.removeValue(forKey: "attentionDropout") != nil)
    return try JSONSerialization.data(withJSONObject: values)
  }

  @Test func configurationsOfOlderVersionsAreRead() throws {
    var first = SASRec.Configuration()
    (first.dimension, first.layers, first.heads, first.hidden, first.windowLength) = (6, 3, 1, 7, 9)
    (first.dropout, first.attentionDropout, first.sampledItems, first.epsilon) = (0.1, 0.7, 5, 1e-3)
    let read = try JSONDecoder().decode(SASRec.Configuration.self, from: withoutTheSetting(first))
    #expect(read.attentionDropout == 0)
    let again = try JSONDecoder().decode(SASRec.Configuration.self, from: JSONEncoder().encode(first))
    #expect(again.attentionDropout == 0.7)
    for one in [read, again] {
      #expect(
        [one.dimension, one.layers, one.heads, one.hidden, one.windowLength] == [6, 3, 1, 7, 9] as [Int])
      #expect(one.dropout == 0.1 && one.epsilon == 1e-3 && one.sampledItems == 5)
    }
    var second = BERT4Rec.Configuration()
    (second.dimension, second.layers, second.heads, second.hidden, second.windowLength) = (6, 3, 1, 7, 9)
    (second.dropout, second.maskRate, second.lastItemRate, second.epsilon) = (0.1, 0.4, 0.3, 1e-3)
    let other = try JSONDecoder().decode(BERT4Rec.Configuration.self, from: withoutTheSetting(second))
    #expect(
      [other.dimension, other.layers, other.heads, other.hidden, other.windowLength] == [6, 3, 1, 7, 9]
        as [Int])
    #expect(other.dropout == 0.1 && other.attentionDropout == 0 && other.maskRate == 0.4)
    #expect(other.lastItemRate == 0.3 && other.epsilon == 1e-3)
  }

  @Test(arguments: [-0.1, 1]) func aSavedRateOutOfRangeIsRefused(_ rate: Double) throws {
    let folder = try TemporaryFolder(inMemory: true)
    var options = FitOptions()
    options.epochs = 1
    let data = try SyntheticWorld(seed: 4).dataset()
    try data.fit(.sasRec, options: options).save(to: folder.url)
    _ = try FittedRecommender(contentsOf: folder.url)
    let manifest = folder.url.appending(path: "manifest.json")
    let text = try String(contentsOf: manifest, encoding: .utf8)
    let changed = text.replacing(/"attentionDropout" ?: ?0/, with: "\"attentionDropout\": \(rate)")
    #expect(changed != text)
    try Data(changed.utf8).write(to: manifest)
    #expect(throws: ServingError.self) { try FittedRecommender(contentsOf: folder.url) }
  }
}
