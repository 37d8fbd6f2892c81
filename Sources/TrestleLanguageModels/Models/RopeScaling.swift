import Foundation
import TrestleFormats

extension LlamaConfiguration {
  /// A scaling of rotary frequencies, with Hugging Face's keys.
  public struct RopeScaling: Codable, Sendable, Hashable {
    /// `linear`, `llama3`, `yarn` or `longrope`.
    public var type: String
    /// What low frequencies are divided by.
    public var factor: Double
    /// `llama3`: below this many turns within the original context, a frequency is low.
    public var lowFactor: Double?
    /// `llama3`: above this many, it is high.
    public var highFactor: Double?
    /// The context length of the pretraining; needed by `llama3`, `yarn` and `longrope`.
    public var originalContext: Int?
    /// `yarn`: from this many turns within the original context on, a frequency is kept; 32 if `nil`.
    public var betaFast: Double?
    /// `yarn`: up to this many turns, a frequency is divided in full; 1 if `nil`.
    public var betaSlow: Double?
    /// `yarn`, `longrope`: what cosines and sines are multiplied by; if `nil`, 0.1 ln(factor) + 1, or for `longrope`
    /// √(1 + ln(factor) / ln(original context)).
    public var attentionFactor: Double?
    /// `yarn`: whether the ends of the blend are whole indices; `true` if `nil`.
    public var truncates: Bool?
    /// `longrope`: what each frequency is divided by within the original context.
    public var shortDivisors: [Double]?
    /// `longrope`: what each is divided by in sequences that are longer.
    public var longDivisors: [Double]?

    enum CodingKeys: String, CodingKey {
      case type = "rope_type"
      case factor
      case lowFactor = "low_freq_factor"
      case highFactor = "high_freq_factor"
      case originalContext = "original_max_position_embeddings"
      case betaFast = "beta_fast"
      case betaSlow = "beta_slow"
      case attentionFactor = "attention_factor"
      case truncates = "truncate"
      case shortDivisors = "short_factor"
      case longDivisors = "long_factor"
    }
  }
}

extension LlamaConfiguration.RopeScaling {
  /// Reads `rope_scaling` or `rope_parameters`; `nil` if nothing is scaled.
  ///
  /// - Parameters:
  ///   - contextLength: the model's context; the original one if nothing else is said.
  ///   - originalContext: the original context, if it is said beside the object.
  init?(
    _ reader: ConfigurationReader, contextLength: Int, originalContext: Int? = nil
  ) throws(LanguageModelError) {
    let newType = try reader.string("rope_type")
    let oldType = try reader.string("type")
    let type = newType ?? oldType ?? "default"
    if type == "default" { return nil }
    if type == "longrope" || type == "su" {
      try self.init(longRope: reader, contextLength: contextLength, originalContext: originalContext)
      return
    }
    guard ["linear", "llama3", "yarn"].contains(type) else {
      throw .unsupported(
        .init(
          reader.path, at: "rope_scaling.rope_type", expected: "default, linear, llama3, yarn or longrope",
          found: "\"\(type)\""))
    }
    guard let factor = try reader.double("factor") else {
      throw reader.failure("rope_scaling.factor", "a number", "none")
    }
    self.init(
      type: type, factor: factor, lowFactor: try reader.double("low_freq_factor"),
      highFactor: try reader.double("high_freq_factor"),
      originalContext: try reader.int("original_max_position_embeddings"))
    guard type == "yarn" else { return }
    self.originalContext = self.originalContext ?? contextLength
    betaFast = try reader.double("beta_fast")
    betaSlow = try reader.double("beta_slow")
    truncates = try reader.bool("truncate")
    attentionFactor = try reader.double("attention_factor")
    let (over, under) = (try reader.double("mscale") ?? 0, try reader.double("mscale_all_dim") ?? 0)
    if attentionFactor == nil, over != 0, under != 0 {
      attentionFactor = Self.magnitude(factor, over) / Self.magnitude(factor, under)
    }
  }

  /// Reads the scaling of Phi-3 and its followers.
  private init(
    longRope reader: ConfigurationReader, contextLength: Int, originalContext: Int?
  ) throws(LanguageModelError) {
    let inner = try reader.int("original_max_position_embeddings")
    let original = inner ?? originalContext ?? contextLength
    let given = try reader.double("factor")
    self.init(type: "longrope", factor: given ?? Double(contextLength) / Double(max(original, 1)))
    self.originalContext = original
    attentionFactor = try reader.double("attention_factor")
    shortDivisors = try reader.doubles("short_factor")
    longDivisors = try reader.doubles("long_factor")
    guard shortDivisors != nil, longDivisors != nil else {
      throw reader.failure("rope_scaling", "short_factor and long_factor", "one or none of them")
    }
  }

  /// Stops divisors of another number than that of frequencies, or such as make no angles.
  func validateDivisors(_ check: RangeCheck, count: Int) throws(LanguageModelError) {
    for (key, divisors) in [("short_factor", shortDivisors), ("long_factor", longDivisors)] {
      guard let divisors else { continue }
      guard divisors.count == count else {
        throw check.failure(
          "rope_scaling.\(key)", "\(count) numbers, one for each frequency", "\(divisors.count)")
      }
      for divisor in divisors { try check("rope_scaling.\(key)", divisor, in: 1e-6...1e6) }
    }
    guard type == "longrope" || shortDivisors == nil && longDivisors == nil else {
      throw check.failure("rope_scaling.short_factor", "none for \(type)", "some")
    }
  }

  /// Stops numbers that make no scaling.
  func validate(_ check: RangeCheck) throws(LanguageModelError) {
    try check("rope_scaling.factor", factor, in: 1e-3...1e6)
    try check("rope_scaling.low_freq_factor", lowFactor ?? 1, in: 1e-6...1e6)
    try check("rope_scaling.high_freq_factor", highFactor ?? 4, in: 1e-6...1e6)
    // Between both, frequencies are blended: equal ones leave nothing to divide by.
    let (low, high) = (lowFactor ?? 1, highFactor ?? 4)
    guard type != "llama3" || low < high else {
      throw check.failure("rope_scaling.high_freq_factor", "more than low_freq_factor \(low)", "\(high)")
    }
    try check("rope_scaling.original_max_position_embeddings", originalContext ?? 1, in: 1...(1 << 24))
    try check("rope_scaling.beta_fast", betaFast ?? 32, in: 1e-6...1e6)
    try check("rope_scaling.beta_slow", betaSlow ?? 1, in: 1e-6...1e6)
    try check("rope_scaling.attention_factor", attentionFactor ?? 1, in: 1e-3...1e3)
  }

  /// What the rotary embedding computes with.
  var rotary: RotaryEmbedding.Scaling {
    switch type {
    case "linear": .linear(factor: factor)
    case "yarn":
      .yarn(
        .init(
          factor: factor, originalContext: originalContext ?? 2048, fastTurns: betaFast ?? 32,
          slowTurns: betaSlow ?? 1, truncates: truncates ?? true,
          magnitude: attentionFactor ?? Self.magnitude(factor, 1)))
    case "longrope":
      .long(
        .init(
          short: shortDivisors ?? [], long: longDivisors ?? [], originalContext: originalContext ?? 4096,
          magnitude: attentionFactor ?? longMagnitude))
    default:
      .llama3(
        factor: factor, lowFactor: lowFactor ?? 1, highFactor: highFactor ?? 4,
        originalContext: originalContext ?? 8192)
    }
  }

  private var longMagnitude: Double {
    let original = Double(originalContext ?? 4096)
    return factor <= 1 || original <= 1 ? 1 : (1 + log(factor) / log(original)).squareRoot()
  }

  /// YaRN's factor of the attention's scores: 0.1 m ln(factor) + 1, and 1 for a context that is not longer.
  static func magnitude(_ factor: Double, _ multiplier: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * multiplier * log(factor) + 1
  }
}
