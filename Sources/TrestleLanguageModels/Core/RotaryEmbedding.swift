import Foundation
import TrestleTensor

/// The angles of rotary position embeddings, by position.
///
/// The frequency of pair i is base^(−2i / rotated), changed by a scaling if there is one. Nothing is kept from call to call:
/// a position costs one cosine and one sine for each pair, little beside what a token costs, and a model that computes
/// leaves no trace that another task could meet.
///
/// Source: Su et al., *RoFormer* (2021); the Llama 3 scaling as in Meta's release; Peng et al., *YaRN* (2023), section 3;
/// Ding et al., *LongRoPE* (2024), as in the Phi-3 report.
struct RotaryEmbedding: Sendable {
  /// How frequencies are changed for contexts longer than those of the pretraining.
  enum Scaling: Sendable, Hashable {
    /// All frequencies divided by a factor.
    case linear(factor: Double)
    /// Low frequencies divided by a factor, high ones kept, those between blended.
    case llama3(factor: Double, lowFactor: Double, highFactor: Double, originalContext: Int)
    /// Each frequency divided by a number of its own.
    case divisors([Double])
    /// Frequencies of few turns divided by a factor, those of many kept, those between blended by their index; cosines and
    /// sines multiplied by a number.
    case yarn(YaRN)
    /// Each frequency divided by a number of its own, in long sequences by another; cosines and sines multiplied by a
    /// number.
    case long(LongRope)
  }

  /// The numbers of LongRoPE's scaling.
  struct LongRope: Sendable, Hashable {
    /// The divisors where the last position is within the original context.
    var short: [Double]
    /// The divisors where it is not.
    var long: [Double]
    /// The context length of the pretraining.
    var originalContext: Int
    /// What cosines and sines are multiplied by.
    var magnitude: Double
  }

  /// The numbers of YaRN's scaling.
  struct YaRN: Sendable, Hashable {
    /// What low frequencies are divided by.
    var factor: Double
    /// The context length of the pretraining.
    var originalContext: Int
    /// From this many turns within the original context on, a frequency is kept.
    var fastTurns = 32.0
    /// Up to this many, it is divided in full.
    var slowTurns = 1.0
    /// Whether the ends of the blend are whole indices.
    var truncates = true
    /// What cosines and sines are multiplied by.
    var magnitude: Double

    /// How much of pair `index` is divided: 0 for none of it, 1 for all.
    func share(of index: Int, rotatedSize: Int, base: Double) -> Double {
      func place(_ turns: Double) -> Double {
        Double(rotatedSize) * Foundation.log(Double(originalContext) / (turns * 2 * .pi))
          / (2 * Foundation.log(base))
      }
      var (low, high) = (place(fastTurns), place(slowTurns))
      if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
      (low, high) = (max(low, 0), min(high, Double(rotatedSize - 1)))
      if low == high { high += 0.001 }
      return min(max((Double(index) - low) / (high - low), 0), 1)
    }
  }

  /// The numbers of a head that are rotated.
  let rotatedSize: Int
  private let frequencies: [Double]
  /// The frequencies for positions from the second number on, if they are others.
  private let longFrequencies: (values: [Double], start: Int)?
  private let magnitude: Double

  init(rotatedSize: Int, base: Double, scaling: Scaling?) {
    self.rotatedSize = rotatedSize
    let plain = (0..<rotatedSize / 2).map { pow(base, -2 * Double($0) / Double(rotatedSize)) }
    func divided(_ divisors: [Double]) -> [Double] {
      plain.enumerated().map { $1 / ($0 < divisors.count ? divisors[$0] : 1) }
    }
    if case .long(let long)? = scaling {
      frequencies = divided(long.short)
      longFrequencies = (divided(long.long), long.originalContext)
      magnitude = long.magnitude
      return
    }
    longFrequencies = nil
    frequencies = plain.enumerated().map { index, frequency in
      switch scaling {
      case nil, .long: return frequency
      case .linear(let factor): return frequency / factor
      case .divisors(let divisors): return frequency / (index < divisors.count ? divisors[index] : 1)
      case .yarn(let yarn):
        let share = yarn.share(of: index, rotatedSize: rotatedSize, base: base)
        return share * frequency / yarn.factor + (1 - share) * frequency
      case .llama3(let factor, let low, let high, let context):
        let turns = Double(context) * frequency / (2 * .pi)
        if turns < low { return frequency / factor }
        if turns > high { return frequency }
        let blend = (turns - low) / (high - low)
        return (1 - blend) * frequency / factor + blend * frequency
      }
    }
    if case .yarn(let yarn)? = scaling { magnitude = yarn.magnitude } else { magnitude = 1 }
  }

  /// The cosines and sines at `positions`, `[positions, rotated / 2]` each.
  func angles(at positions: [Int32], dtype: DType) -> (cosines: Tensor, sines: Tensor) {
    guard let first = positions.min(), let last = positions.max() else {
      let none = Tensor.zeros([0, frequencies.count], dtype: dtype)
      return (none, none)
    }
    // Sequences of a batch share positions: then each is computed once.
    let isShared = Int(last) - Int(first) + 1 < positions.count
    // All tokens of a pass have the angles that its last position asks for.
    let isLong = longFrequencies.map { Int(last) >= $0.start } ?? false
    let frequencies = isLong ? longFrequencies?.values ?? frequencies : frequencies
    let (cosines, sines) = table(isShared ? Array(first...last) : positions, frequencies)
    guard isShared else { return (cosines.converted(to: dtype), sines.converted(to: dtype)) }
    let rows = Tensor(positions.map { $0 - first })
    return (
      cosines.gatheredRows(rows).converted(to: dtype), sines.gatheredRows(rows).converted(to: dtype)
    )
  }

  private func table(_ positions: [Int32], _ frequencies: [Double]) -> (cosines: Tensor, sines: Tensor) {
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions.count * frequencies.count)
    sines.reserveCapacity(positions.count * frequencies.count)
    for position in positions {
      for frequency in frequencies {
        let angle = Double(position) * frequency
        cosines.append(Float(cos(angle) * magnitude))
        sines.append(Float(sin(angle) * magnitude))
      }
    }
    let shape: Shape = [positions.count, frequencies.count]
    return (Tensor(cosines, shape: shape), Tensor(sines, shape: shape))
  }
}
