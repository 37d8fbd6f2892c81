import Foundation
import TrestleTensor

/// How the next token is chosen from the logits.
///
/// The steps, in this order: repetition penalty, temperature, top-k, top-p, a draw. A temperature of 0 takes the
/// likeliest token.
public struct Sampling: Codable, Sendable, Hashable {
  /// What logits are divided by; 0 for greedy choice.
  public var temperature: Double
  /// How many of the likeliest tokens stay; 0 for all.
  public var topK: Int
  /// The likeliest tokens stay until their probabilities add up to this; 1 for all.
  public var topP: Double
  /// What the logits of tokens that occurred are divided by (or, below zero, multiplied by); 1 for no penalty.
  ///
  /// Source: Keskar et al., *CTRL* (2019).
  public var repetitionPenalty: Double
  /// How many of the last tokens count as having occurred.
  public var repetitionWindow: Int

  /// The settings; by default greedy choice.
  public init(
    temperature: Double = 0, topK: Int = 0, topP: Double = 1, repetitionPenalty: Double = 1,
    repetitionWindow: Int = 256
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.repetitionPenalty = repetitionPenalty
    self.repetitionWindow = repetitionWindow
  }

  /// The likeliest token, always.
  public static let greedy = Sampling()

  /// Stops settings that make no distribution.
  ///
  /// - Throws: ``LanguageModelError/request(_:)``.
  public func validate() throws(LanguageModelError) {
    func check(_ place: String, _ isFine: Bool, _ expected: String, _ found: String)
      throws(LanguageModelError)
    {
      if !isFine { throw .request(.init("", at: place, expected: expected, found: found)) }
    }
    try check("temperature", (0...100).contains(temperature), "a number in 0...100", "\(temperature)")
    try check("topK", topK >= 0, "at least 0", "\(topK)")
    try check("topP", topP > 0 && topP <= 1, "a number above 0, at most 1", "\(topP)")
    try check(
      "repetitionPenalty", (0.01...100).contains(repetitionPenalty), "a number in 0.01...100",
      "\(repetitionPenalty)")
    try check("repetitionWindow", repetitionWindow >= 0, "at least 0", "\(repetitionWindow)")
  }

  /// Chooses a token.
  ///
  /// - Parameters:
  ///   - logits: one for each token; NaN counts as −∞.
  ///   - allowed: the tokens to choose among; all for `nil`. Not empty.
  ///   - recent: the tokens so far.
  /// - Returns: the token.
  package func choose(
    from logits: [Float], allowed: [Int32]?, recent: [Int32], using generator: inout RandomGenerator
  ) -> Int32 {
    // A model that has gone wrong gives NaN, which no comparison puts in order: such tokens come last.
    var logits = logits.map { $0.isNaN ? -Float.infinity : $0 }
    if repetitionPenalty != 1 {
      for token in Set(recent.suffix(repetitionWindow)) where Int(token) < logits.count {
        let value = logits[Int(token)]
        logits[Int(token)] = value > 0 ? value / Float(repetitionPenalty) : value * Float(repetitionPenalty)
      }
    }
    if temperature == 0 {
      if let allowed { return allowed.min { Self.isBefore(logits, $0, $1) } ?? allowed[0] }
      return Int32(Tensor(logits).argmax().item)
    }
    return draw(candidates(logits, allowed), logits, using: &generator)
  }

  /// Draws among the first candidates, as many as top-p lets stay, in proportion to their probabilities.
  private func draw(
    _ candidates: [Int32], _ logits: [Float], using generator: inout RandomGenerator
  ) -> Int32 {
    let top = candidates.reduce(-Float.infinity) { max($0, logits[Int($1)]) }
    // The best has weight 1 even if it is infinite, when the difference is not a number.
    var weights = candidates.map { candidate in
      let logit = logits[Int(candidate)]
      return logit == top ? 1 : exp(Double(logit - top) / temperature)
    }
    var kept = candidates
    if topP < 1 {
      // Those below a 10⁻⁶ of the best hardly add up to anything; without them the sort is short.
      let order = candidates.indices.filter { weights[$0] > 1e-6 }
        .sorted { Self.isBefore(logits, candidates[$0], candidates[$1]) }
      let limit = weights.reduce(0, +) * topP
      var sum = 0.0
      var count = 0
      while count < order.count && sum < limit {
        sum += weights[order[count]]
        count += 1
      }
      kept = order.prefix(max(count, 1)).map { candidates[$0] }
      weights = order.prefix(max(count, 1)).map { weights[$0] }
    }
    var rest = generator.uniform() * weights.reduce(0, +)
    for (token, weight) in zip(kept, weights) {
      rest -= weight
      if rest < 0 { return token }
    }
    return kept.last ?? candidates[0]
  }

  /// The tokens among which top-k lets choose.
  private func candidates(_ logits: [Float], _ allowed: [Int32]?) -> [Int32] {
    if let allowed {
      guard topK > 0 && topK < allowed.count else { return allowed }
      return Array(allowed.sorted { Self.isBefore(logits, $0, $1) }.prefix(topK))
    }
    guard topK > 0 && topK < logits.count else { return Array(0..<Int32(logits.count)) }
    return Tensor(logits).topK(topK).indices.scalars(as: Int32.self)
  }

  /// Descending by logit, the lower token first among equals.
  private static func isBefore(_ logits: [Float], _ a: Int32, _ b: Int32) -> Bool {
    let (x, y) = (logits[Int(a)], logits[Int(b)])
    return x == y ? a < b : x > y
  }
}
