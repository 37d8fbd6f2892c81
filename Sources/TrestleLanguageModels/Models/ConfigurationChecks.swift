/// Checks configuration values against ranges, and words the errors.
struct RangeCheck {
  let path: String

  func failure(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    .configuration(.init(path, at: key, expected: expected, found: found))
  }

  func callAsFunction<Value: Comparable>(
    _ key: String, _ value: Value, in range: ClosedRange<Value>
  ) throws(LanguageModelError) {
    guard range.contains(value) else {
      throw failure(key, "a number in \(range.lowerBound)...\(range.upperBound)", "\(value)")
    }
  }
}

/// The sizes that a configuration has under Hugging Face's usual keys.
protocol TransformerSizes {
  var vocabularySize: Int { get }
  var hiddenSize: Int { get }
  var intermediateSize: Int { get }
  var layerCount: Int { get }
  var headCount: Int { get }
}

extension TransformerSizes {
  /// Stops sizes that make no model.
  func validateSizes(_ check: RangeCheck) throws(LanguageModelError) {
    try check("vocab_size", vocabularySize, in: 1...(1 << 24))
    try check("hidden_size", hiddenSize, in: 1...(1 << 16))
    try check("intermediate_size", intermediateSize, in: 1...(1 << 20))
    try check("num_hidden_layers", layerCount, in: 1...1024)
    try check("num_attention_heads", headCount, in: 1...4096)
  }
}

/// The sizes of a decoder whose query heads share keys and values, and whose positions are rotary.
protocol GroupedHeadSizes: TransformerSizes {
  var keyValueHeadCount: Int { get }
  var headSize: Int { get }
  var contextLength: Int { get }
}

extension GroupedHeadSizes {
  /// Stops sizes that make no model.
  func validateHeads(_ check: RangeCheck, slidingWindow: Int) throws(LanguageModelError) {
    try validateSizes(check)
    try check("num_key_value_heads", keyValueHeadCount, in: 1...headCount)
    try check("head_dim", headSize, in: 2...4096)
    try check("max_position_embeddings", contextLength, in: 1...(1 << 24))
    try check("sliding_window", slidingWindow, in: 1...(1 << 24))
    guard headCount % keyValueHeadCount == 0 else {
      throw check.failure("num_key_value_heads", "a divisor of \(headCount)", "\(keyValueHeadCount)")
    }
    guard headSize % 2 == 0 else { throw check.failure("head_dim", "an even number", "\(headSize)") }
  }
}
