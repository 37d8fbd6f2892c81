import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// What a language model made of the items' texts, and how a text becomes a row of the recommender: what a hybrid keeps so
/// that items that are new to it can be given by their texts (``ItemTextReader``).
public struct ItemReading: Sendable {
  /// Which language model read, and how texts were written.
  public struct Reader: Codable, Sendable, Equatable {
    /// The language model's name, for messages.
    public var name: String
    /// Where the language model was: a GGUF file or a Hugging Face folder.
    public var path: String
    /// The SHA-256 of its weights, see ``ItemTextReader/hash(of:)``.
    public var hash: String
    /// The layer whose mean states are read.
    public var layer: Int
    /// What the items are called in front of each text.
    public var noun: String
    /// How texts are put before the language model; `nil`, as in hybrids that were saved before there were such styles, for
    /// `ReadingStyle.plain`.
    public var style: ReadingStyle?

    /// A reader.
    public init(
      name: String, path: String, hash: String, layer: Int, noun: String, style: ReadingStyle? = nil
    ) {
      (self.name, self.path, self.hash, self.layer, self.noun) = (name, path, hash, layer, noun)
      self.style = style
    }
  }

  /// Which language model read, and how texts were written.
  public let reader: Reader
  /// The states of the items' texts, standardised and of length 1, `[items, hidden]`; zeros for an empty text.
  public let rows: Tensor
  /// From states to the recommender's rows.
  public let map: KernelRidge
  /// What mapped rows are multiplied by beside the recommender's own.
  public let scale: Double
  /// The adapters with which the language model reads, in the files of PEFT by their names; empty if it reads as it is.
  public let adapterFiles: [String: [UInt8]]

  /// A reading.
  ///
  /// - Parameters:
  ///   - reader: which language model read.
  ///   - states: the mean states of the items' texts, `[items, hidden]`; zeros for an empty text.
  ///   - map: from states to the recommender's rows.
  ///   - scale: what mapped rows are multiplied by.
  ///   - adapterFiles: the adapters' files.
  public init(
    reader: Reader, states: Tensor, map: KernelRidge, scale: Double, adapterFiles: [String: [UInt8]] = [:]
  ) {
    self.init(
      reader: reader, rows: Self.scaled(states, map.scaling), map: map, scale: scale,
      adapterFiles: adapterFiles)
  }

  init(reader: Reader, rows: Tensor, map: KernelRidge, scale: Double, adapterFiles: [String: [UInt8]]) {
    (self.reader, self.rows, self.map, self.scale) = (reader, rows, map, scale)
    self.adapterFiles = adapterFiles
  }

  /// The width of the language model's states.
  public var hiddenSize: Int { map.scaling.mean.shape[0] }

  /// The rows that the recommender would have of items with these states, `[texts, width]`.
  public func domainRows(of states: Tensor) -> Tensor { map(states).detached }

  /// The reading with further items behind those there are.
  func appending(_ states: Tensor) -> ItemReading {
    ItemReading(
      reader: reader, rows: .concatenated([rows, Self.scaled(states, map.scaling)], along: 0), map: map,
      scale: scale, adapterFiles: adapterFiles)
  }

  /// Scaled states; what was not read stays zero.
  private static func scaled(_ states: Tensor, _ scaling: InputScaling) -> Tensor {
    let isRead = states.squared().sum(along: [1]).floats.map { $0 > 0 ? Float(1) : 0 }
    return (scaling(states) * Tensor(isRead, shape: [isRead.count, 1])).detached
  }
}

extension KernelRidge {
  /// A map of given parts, as it was saved.
  init(
    configuration: Configuration, scaling: InputScaling, examples: Tensor, coefficients: Tensor,
    outputMean: Tensor
  ) {
    self.configuration = configuration
    self.scaling = scaling
    self.examples = examples
    self.coefficients = coefficients
    self.outputMean = outputMean
  }
}
