import Foundation
import TrestleTensor

/// The angles of rotary position embeddings, by position; computed once and kept.
///
/// The frequency of pair i is base^(−2i / rotated), changed by a scaling if there is one.
/// Source: Su et al., *RoFormer* (2021); the Llama 3 scaling as in Meta's release.
final class RotaryEmbedding {
  /// How frequencies are changed for contexts longer than those of the pretraining.
  enum Scaling: Sendable, Hashable, Codable {
    /// All frequencies divided by a factor.
    case linear(factor: Double)
    /// Low frequencies divided by a factor, high ones kept, those between blended.
    case llama3(factor: Double, lowFactor: Double, highFactor: Double, originalContext: Int)
    /// Each frequency divided by a number of its own.
    case divisors([Double])
  }

  /// The numbers of a head that are rotated.
  let rotatedSize: Int
  private let frequencies: [Double]
  private var cosines = Tensor.zeros([0, 0])
  private var sines = Tensor.zeros([0, 0])
  private var count = 0

  init(rotatedSize: Int, base: Double, scaling: Scaling?) {
    self.rotatedSize = rotatedSize
    let plain = (0..<rotatedSize / 2).map { pow(base, -2 * Double($0) / Double(rotatedSize)) }
    frequencies = plain.enumerated().map { index, frequency in
      switch scaling {
      case nil: return frequency
      case .linear(let factor): return frequency / factor
      case .divisors(let divisors): return frequency / (index < divisors.count ? divisors[index] : 1)
      case .llama3(let factor, let low, let high, let context):
        let turns = Double(context) * frequency / (2 * .pi)
        if turns < low { return frequency / factor }
        if turns > high { return frequency }
        let blend = (turns - low) / (high - low)
        return (1 - blend) * frequency / factor + blend * frequency
      }
    }
  }

  /// The cosines and sines at `positions`, `[positions, rotated / 2]` each.
  func angles(at positions: [Int32], dtype: DType) -> (cosines: Tensor, sines: Tensor) {
    grow(to: Int(positions.max() ?? 0) + 1)
    let rows = Tensor(positions)
    return (
      cosines.gatheredRows(rows).converted(to: dtype), sines.gatheredRows(rows).converted(to: dtype)
    )
  }

  private func grow(to needed: Int) {
    guard needed > count else { return }
    count = max(256, needed.nextPowerOfTwo)
    var c: [Float] = []
    var s: [Float] = []
    c.reserveCapacity(count * frequencies.count)
    s.reserveCapacity(count * frequencies.count)
    for position in 0..<count {
      for frequency in frequencies {
        let angle = Double(position) * frequency
        c.append(Float(cos(angle)))
        s.append(Float(sin(angle)))
      }
    }
    cosines = Tensor(c, shape: [count, frequencies.count])
    sines = Tensor(s, shape: [count, frequencies.count])
  }
}

extension Int {
  fileprivate var nextPowerOfTwo: Int { self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
