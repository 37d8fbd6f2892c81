import Foundation

/// How a run's records are written as JSON. A figure may have become infinite or no number at all while the parameters are
/// still good: it is written as the text `Infinity`, `-Infinity` or `NaN`, and the run is saved.
enum RecordCoding {
  /// An encoder with sorted keys.
  static func encoder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return encoder
  }

  /// A decoder of what ``encoder()`` writes.
  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return decoder
  }
}
