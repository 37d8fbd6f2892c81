import TrestleLanguageModels
import TrestleNN
import TrestleTensor

/// A small LLaMA-style model for machines without files: its vocabulary is the words of the items' texts, and it is
/// trained on these texts in the process.
struct TinyTextModel {
  /// The word ids of each item's text.
  let tokenizedTexts: [[Int32]]
  private let configuration: LlamaConfiguration
  private let weights: [Tensor]

  /// Learns the texts.
  init(texts: [String], seed: UInt64, progress: (_ done: Int, _ total: Int) -> Void) {
    var ids: [String: Int32] = [:]
    tokenizedTexts = texts.map { text in
      text.split(whereSeparator: { !$0.isLetter && !$0.isNumber }).map { word in
        let key = word.lowercased()
        if let id = ids[key] { return id }
        let id = Int32(ids.count)
        ids[key] = id
        return id
      }
    }
    configuration = Self.configuration(vocabulary: ids.count)
    let model = Self.fresh(configuration, seed: seed)
    let optimizer = AdamW(model.parameters, learningRate: 3e-3)
    optimizer.maximumNorm = 1
    var order = tokenizedTexts.filter { $0.count > 1 }
    var generator = RandomGenerator(seed: seed)
    let epochs = 12
    for epoch in 0..<epochs {
      generator.shuffle(&order)
      for batch in order.chunks(ofCount: 32).map(Array.init) {
        let (_, gradients) = valueAndGradients(of: model.parameters) { model.nextTokenLoss(batch) }
        optimizer.update(with: gradients)
      }
      progress(epoch + 1, epochs)
    }
    weights = model.parameters.map(\.detached)
  }

  /// A copy of the trained model.
  func makeModel() -> any LanguageModel {
    let model = Self.fresh(configuration, seed: 0)
    for (parameter, value) in zip(model.parameters, weights) { parameter.update(to: value) }
    return model
  }

  private static func configuration(vocabulary: Int) -> LlamaConfiguration {
    LlamaConfiguration(
      vocabularySize: max(vocabulary, 2), hiddenSize: 96, intermediateSize: 256, layerCount: 3, headCount: 4,
      keyValueHeadCount: 2)
  }

  private static func fresh(_ configuration: LlamaConfiguration, seed: UInt64) -> Llama {
    do {
      return try Llama(configuration, using: RandomGenerator(seed: seed))
    } catch { preconditionFailure("the small model cannot be made: \(error)") }
  }
}
