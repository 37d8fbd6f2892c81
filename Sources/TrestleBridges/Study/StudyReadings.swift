import TrestleLanguageModels
import TrestleTensor

/// What a language model makes of a catalogue's texts: one pass, whatever the number of seeds and variants.
final class StudyReadings {
  private let model: any LanguageModel
  private let tokens: [[Int32]]
  /// The layers that are read, ascending.
  let layers: [Int]
  /// How all models read.
  private let style: ReadingStyle
  private var pretrained: [Tensor]?
  private var random: [Tensor]?
  private var readers: [Int: TextReader] = [:]

  init(model: any LanguageModel, tokens: [[Int32]], style: ReadingStyle, layerShares: [Double]) {
    self.model = model
    self.tokens = tokens
    self.style = style
    layers = ReadingTraining.layers(layerShares, of: model)
  }

  /// The mean states of each layer, `[items, hidden]`.
  func states() -> [Tensor] {
    if let pretrained { return pretrained }
    let states = TextReader.meanStates(of: tokens, by: model, layers: layers, style: style)
    pretrained = states
    return states
  }

  /// Those of a model of the same shape with random weights; `nil` if its kind cannot be drawn at random.
  func randomStates() throws -> [Tensor]? {
    if let random { return random }
    guard let llama = model as? Llama else { return nil }
    let states = TextReader.meanStates(
      of: tokens, by: try Llama(llama.configuration, using: RandomGenerator(seed: 6)), layers: layers,
      style: style)
    random = states
    return states
  }

  /// A reader of a layer, whose blocks above `base` may have adapters.
  func reader(layer: Int, base: Int) -> TextReader {
    if let reader = readers[layer], reader.base == base { return reader }
    let reader = TextReader(model: model, texts: tokens, layer: layer, base: base, style: style)
    // The base layer's states of one reader are held, as they may take a gigabyte.
    readers = [layer: reader]
    return reader
  }
}
