import Foundation
import TrestleTensor

extension OpCase {
  /// Matrix products: plain, transposed, batched, broadcast.
  static let products: [OpCase] =
    plainProducts + [
      matmul([2, 3, 4], [4, 5], false, false), matmul([2, 3, 4], [5, 4], false, true),
      matmul([2, 3, 4], [2, 4, 5], false, false), matmul([2, 4, 3], [2, 5, 4], true, true),
      matmul([3, 4], [2, 4, 5], false, false), matmul([2, 1, 3, 4], [5, 4, 2], false, false),
      matmul([2, 3, 4], [1, 4, 5], false, false), matmul([2, 4, 3], [4, 5], true, false),
    ]

  private static let plainProducts: [OpCase] = {
    let sizes = [(1, 1, 1), (3, 17, 5), (19, 6, 33), (1, 40, 7), (9, 1, 4), (2, 3, 0)]
    var result: [OpCase] = []
    for (m, n, k) in sizes {
      for left in [false, true] {
        for right in [false, true] {
          result.append(matmul(left ? [k, m] : [m, k], right ? [n, k] : [k, n], left, right))
        }
      }
    }
    return result
  }()

  private static func matmul(_ a: Shape, _ b: Shape, _ transposeA: Bool, _ transposeB: Bool) -> OpCase {
    OpCase(
      "matmul\(transposeA ? " Aᵀ" : "")\(transposeB ? " Bᵀ" : "")", [Input(a), Input(b)],
      reference: { plainMatmul($0[0], $0[1], transposeA, transposeB) }
    ) { $0[0].matmul($0[1], transposingSelf: transposeA, transposingOther: transposeB) }
  }

  private static func plainMatmul(
    _ a: PlainArray, _ b: PlainArray, _ transposeA: Bool, _ transposeB: Bool
  ) -> PlainArray {
    let (aRank, bRank) = (a.shape.count, b.shape.count)
    let m = a.shape[transposeA ? aRank - 1 : aRank - 2]
    let k = a.shape[transposeA ? aRank - 2 : aRank - 1]
    let n = b.shape[transposeB ? bRank - 2 : bRank - 1]
    let batchRank = max(aRank, bRank) - 2
    var shape = [Int](repeating: 1, count: batchRank)
    for (index, length) in a.shape.dropLast(2).reversed().enumerated() {
      shape[batchRank - 1 - index] = length
    }
    for (index, length) in b.shape.dropLast(2).reversed().enumerated() where length != 1 {
      shape[batchRank - 1 - index] = length
    }
    return PlainArray(shape: shape + [m, n]) { index in
      let batch = Array(index.prefix(batchRank))
      let (row, column) = (index[batchRank], index[batchRank + 1])
      var total = 0.0
      for p in 0..<k {
        let left = transposeA ? [p, row] : [row, p]
        let right = transposeB ? [column, p] : [p, column]
        total += a[batch + left] * b[batch + right]
      }
      return total
    }
  }

  /// Attention over packed sequences, and rotary position embedding.
  static let attention: [OpCase] = [
    attend([1], [1], heads: 1, keyHeads: 1, size: 1, isCausal: true),
    attend([5, 1, 7], [5, 1, 7], heads: 4, keyHeads: 2, size: 6, isCausal: true),
    attend([5, 3], [5, 3], heads: 2, keyHeads: 2, size: 5, isCausal: false),
    attend([2, 4], [9, 4], heads: 2, keyHeads: 1, size: 8, isCausal: true),
    attend([9], [9], heads: 3, keyHeads: 3, size: 4, isCausal: true, window: 3),
    attend([9, 2], [9, 2], heads: 2, keyHeads: 1, size: 4, isCausal: false, window: 3),
    attend([4], [9], heads: 2, keyHeads: 2, size: 3, isCausal: false, window: 5),
    attend([100], [100], heads: 1, keyHeads: 1, size: 2, isCausal: false, window: 20),
    attend([3], [3], heads: 1, keyHeads: 1, size: 2, isCausal: false, window: 7),
    attend([0, 40], [0, 40], heads: 2, keyHeads: 1, size: 16, isCausal: true),
    attend([5, 1, 7], [5, 1, 7], heads: 4, keyHeads: 2, size: 6, isCausal: true, rate: 0.4),
    attend([3, 4], [9, 4], heads: 2, keyHeads: 2, size: 5, isCausal: false, rate: 0.2),
    rotation(1, 1, 2, 2, true), rotation(5, 2, 6, 6, true), rotation(4, 3, 9, 4, true),
    rotation(1, 1, 2, 2, false), rotation(5, 2, 6, 6, false), rotation(4, 3, 9, 4, false),
  ]

  private static func attend(
    _ queries: [Int], _ keys: [Int], heads: Int, keyHeads: Int, size: Int, isCausal: Bool, window: Int = 0,
    rate: Double = 0
  ) -> OpCase {
    let dropped = DroppedProbabilities(rate: rate, heads: heads)
    let sequences = PackedSequences(queryLengths: queries, keyLengths: keys)
    let shape: Shape = [keys.reduce(0, +), keyHeads, size]
    return OpCase(
      "attention\(isCausal ? ", causal" : "")\(window > 0 ? ", window \(window)" : "")"
        + (rate > 0 ? ", dropout \(rate)" : ""),
      [Input([queries.reduce(0, +), heads, size]), Input(shape), Input(shape)],
      reference: { inputs in
        PlainArray(shape: inputs[0].shape) { index in
          let (token, head, column) = (index[0], index[1], index[2])
          let keyHead = head / (heads / keyHeads)
          let sequence = sequences.queryStarts.lastIndex { $0 <= token } ?? 0
          let firstKey = sequences.keyStarts[sequence]
          let count = sequences.keyStarts[sequence + 1] - firstKey
          let queryCount = sequences.queryStarts[sequence + 1] - sequences.queryStarts[sequence]
          let own = token - sequences.queryStarts[sequence] + count - queryCount
          let seen = (0..<count).filter {
            (!isCausal || $0 <= own) && (window == 0 || abs($0 - own) < window)
          }
          var total = 0.0
          var result = 0.0
          for key in seen {
            var score = 0.0
            for c in 0..<size {
              score += inputs[0][[token, head, c]] * inputs[1][[firstKey + key, keyHead, c]]
            }
            let weight = exp(score / Double(size).squareRoot())
            total += weight
            result +=
              weight * dropped.factor(sequence: sequence, head: head, query: own, key: key)
              * inputs[2][[firstKey + key, keyHead, column]]
          }
          return result / total
        }
      }
    ) {
      var generator = DroppedProbabilities.generator
      return $0[0].attention(
        keys: $0[1], values: $0[2], sequences: sequences, isCausal: isCausal, window: window, dropout: rate,
        using: &generator)
    }
  }

  /// What attention drops.
  private struct DroppedProbabilities {
    static let generator = RandomGenerator(seed: 9)
    let rate: Double
    let heads: Int

    /// What a probability is multiplied by; `query` counts from the first key.
    func factor(sequence: Int, head: Int, query: Int, key: Int) -> Double {
      if rate == 0 { return 1 }
      var source = Self.generator
      var own = RandomGenerator(seed: source.next()).split(UInt64(sequence * heads + head))
      let number = DroppedProbability.number(seed: own.next(), query: query, key: key)
      return Double(number) < rate * 0x1p32 ? 0 : 1 / (1 - rate)
    }
  }

  private static func rotation(
    _ tokens: Int, _ heads: Int, _ size: Int, _ rotated: Int, _ isHalfSplit: Bool
  ) -> OpCase {
    let angles = (0..<tokens * rotated / 2).map { Double($0) * 0.37 }
    return OpCase(
      "rotated\(isHalfSplit ? "" : ", interleaved")", [Input([tokens, heads, size])],
      reference: { inputs in
        PlainArray(shape: inputs[0].shape) { index in
          let column = index[2]
          guard column < rotated else { return inputs[0][index] }
          let half = rotated / 2
          let pair = isHalfSplit ? column % half : column / 2
          let isFirst = isHalfSplit ? column < half : column % 2 == 0
          let partner =
            isHalfSplit ? (isFirst ? column + half : column - half) : (isFirst ? column + 1 : column - 1)
          let angle = angles[index[0] * half + pair]
          let other = inputs[0][[index[0], index[1], partner]]
          return inputs[0][index] * cos(angle) + (isFirst ? -1 : 1) * other * sin(angle)
        }
      }
    ) { inputs in
      func table(_ f: (Double) -> Double) -> Tensor {
        Tensor(angles.map(f), shape: [tokens, rotated / 2]).converted(to: inputs[0].dtype)
      }
      return inputs[0].rotated(cosines: table { cos($0) }, sines: table { sin($0) }, isHalfSplit: isHalfSplit)
    }
  }
}
