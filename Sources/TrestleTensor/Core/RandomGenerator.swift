import Foundation

/// A seeded, splittable source of random numbers: xoshiro256** seeded through SplitMix64.
///
/// Every random choice in the package takes one of these explicitly; the same seed gives the same numbers on every
/// machine. The state is `Codable`, so a stopped training resumes with the same draws.
///
/// Source: Blackman and Vigna, *Scrambled Linear Pseudorandom Number Generators* (2021).
public struct RandomGenerator: RandomNumberGenerator, Sendable, Codable, Hashable {
  private var s0: UInt64
  private var s1: UInt64
  private var s2: UInt64
  private var s3: UInt64

  private enum CodingKeys: String, CodingKey { case s0, s1, s2, s3 }

  /// Creates a generator whose whole sequence is determined by `seed`.
  public init(seed: UInt64) {
    var state = seed
    func splitMix() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    s0 = splitMix()
    s1 = splitMix()
    s2 = splitMix()
    s3 = splitMix()
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    let product = s1 &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let shifted = s1 << 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << 45) | (s3 >> 19)
    return result
  }

  /// A generator for the independent stream `stream`; `self` does not advance.
  ///
  /// Used to give each epoch, user or parameter its own numbers whatever the order they are asked in.
  public func split(_ stream: UInt64) -> RandomGenerator {
    var copy = self
    let a = copy.next()
    let b = copy.next()
    return RandomGenerator(seed: a ^ (b &+ (stream &+ 1) &* 0xD134_2543_DE82_EF95))
  }

  /// A number drawn uniformly from [0, 1), with 53 random bits.
  public mutating func uniform() -> Double {
    Double(next() >> 11) * 0x1p-53
  }

  /// A number drawn from the normal distribution of mean 0 and standard deviation 1 (Box–Muller, cosine branch).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  /// An integer drawn uniformly from `0..<bound`, without bias.
  ///
  /// - Precondition: `bound > 0`.
  public mutating func index(below bound: Int) -> Int {
    precondition(bound > 0, "RandomGenerator.index(below:): the bound is \(bound), expected at least 1")
    let range = UInt64(bound)
    var (high, low) = next().multipliedFullWidth(by: range)
    if low < range {
      let threshold = (0 &- range) % range
      while low < threshold { (high, low) = next().multipliedFullWidth(by: range) }
    }
    return Int(high)
  }

  /// Shuffles `values` in place (Fisher–Yates), each order equally likely.
  public mutating func shuffle<Element>(_ values: inout [Element]) {
    guard values.count > 1 else { return }
    for last in stride(from: values.count - 1, to: 0, by: -1) {
      values.swapAt(last, index(below: last + 1))
    }
  }
}

extension RandomGenerator {
  /// Reads a saved state.
  ///
  /// - Throws: `DecodingError` for the state of zeros, from which every draw would be zero, and some without end.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    s0 = try container.decode(UInt64.self, forKey: .s0)
    s1 = try container.decode(UInt64.self, forKey: .s1)
    s2 = try container.decode(UInt64.self, forKey: .s2)
    s3 = try container.decode(UInt64.self, forKey: .s3)
    guard s0 | s1 | s2 | s3 != 0 else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath, debugDescription: "expected a state with a bit set, found zeros"))
    }
  }
}
