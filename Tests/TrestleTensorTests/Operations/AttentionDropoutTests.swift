import Testing
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  /// What attention drops, and what becomes of the rest.
  @Suite struct AttentionDropoutTests {
    /// Sequences of 50 and 30 places, two heads.
    private let sequences = PackedSequences(lengths: [50, 30])
    private let inputs: [Tensor] = {
      var generator = RandomGenerator(seed: 3)
      return (0..<3).map { _ in .normal([80, 2, 8], dtype: .float64, using: &generator) }
    }()

    private func attended(
      _ values: Tensor? = nil, rate: Double, _ generator: inout RandomGenerator
    ) -> Tensor {
      inputs[0].attention(
        keys: inputs[1], values: values ?? inputs[2], sequences: sequences, isCausal: true, dropout: rate,
        using: &generator)
    }

    /// The probability with which each query reads the key at a place of its sequence, `[80, 2]`.
    private func probabilities(
      ofPlace place: Int, rate: Double, _ generator: RandomGenerator
    ) -> [Double] {
      var values = [Double](repeating: 0, count: 80 * 2 * 8)
      for token in [place, 50 + place] where token < 80 {
        for head in 0..<2 { values[(token * 2 + head) * 8] = 1 }
      }
      var generator = generator
      let read = attended(Tensor(values, shape: [80, 2, 8]), rate: rate, &generator)
      return read.sliced(0..<1, along: 2).doubles
    }

    @Test func aProbabilityBecomesZeroOrGrows() {
      var counts = (dropped: 0, all: 0)
      var perHead: [[Bool]] = [[], []]
      for place in 0..<30 {
        let whole = probabilities(ofPlace: place, rate: 0, RandomGenerator(seed: 1))
        let dropped = probabilities(ofPlace: place, rate: 0.3, RandomGenerator(seed: 1))
        for (index, (a, b)) in zip(whole, dropped).enumerated() where a > 0 {
          #expect(b == 0 || abs(b - a / 0.7) < 1e-12)
          counts.all += 1
          counts.dropped += b == 0 ? 1 : 0
          perHead[index % 2].append(b == 0)
        }
      }
      // Four standard deviations of the share.
      let share = Double(counts.dropped) / Double(counts.all)
      #expect(abs(share - 0.3) < 4 * (0.21 / Double(counts.all)).squareRoot(), "\(share)")
      let alike = zip(perHead[0], perHead[1]).count { $0 == $1 }
      #expect(abs(Double(alike) / Double(perHead[0].count) - 0.58) < 0.05, "\(alike) of \(perHead[0].count)")
    }

    @Test func theMeanOverMasksIsWhatNothingDroppedGives() {
      var generator = RandomGenerator(seed: 4)
      let expected = attended(rate: 0, &generator).doubles
      let count = 2000
      var total = [Double](repeating: 0, count: expected.count)
      var squares = total
      for _ in 0..<count {
        for (index, value) in attended(rate: 0.5, &generator).doubles.enumerated() {
          total[index] += value
          squares[index] += value * value
        }
      }
      var worst = 0.0
      for (index, value) in expected.enumerated() {
        let mean = total[index] / Double(count)
        let variance = squares[index] / Double(count) - mean * mean
        worst = max(worst, abs(mean - value) / (variance / Double(count)).squareRoot())
      }
      // The largest of 1280 normal deviates is above 5.5 once in twenty thousand times.
      #expect(worst < 5.5, "\(worst) standard errors")
    }

    @Test func theGeneratorAloneSaysWhatIsDropped() {
      withSteadyInstructionSet {
        func gradients(threads: Int) -> [[Double]] {
          let before = ThreadPool.shared.threadCount
          ThreadPool.shared.setThreadCount(threads)
          defer { ThreadPool.shared.setThreadCount(before) }
          var generator = RandomGenerator(seed: 5)
          let parameters = inputs.map { Parameter($0) }
          let (value, gradients) = valueAndGradients(of: parameters) {
            parameters[0].value.attention(
              keys: parameters[1].value, values: parameters[2].value, sequences: sequences, isCausal: true,
              dropout: 0.4, using: &generator
            ).squared().sum()
          }
          return [[value.item]] + parameters.map { gradients[$0]?.dense().doubles ?? [] }
        }
        let one = gradients(threads: 1)
        #expect(one.allSatisfy { !$0.isEmpty })
        #expect(gradients(threads: 2) == one && gradients(threads: 1) == one)
        var (generator, other) = (RandomGenerator(seed: 5), RandomGenerator(seed: 6))
        #expect(attended(rate: 0.4, &generator).doubles != attended(rate: 0.4, &other).doubles)
        // The generator has moved on.
        var again = RandomGenerator(seed: 5)
        #expect(attended(rate: 0.4, &again).doubles != attended(rate: 0.4, &again).doubles)
      }
    }

    @Test func aRateOfZeroIsAttentionAsItIs() {
      withSteadyInstructionSet {
        var generator = RandomGenerator(seed: 7)
        let plain = inputs[0].attention(
          keys: inputs[1], values: inputs[2], sequences: sequences, isCausal: true)
        #expect(attended(rate: 0, &generator).doubles == plain.doubles)
        var fresh = RandomGenerator(seed: 7)
        #expect(generator.next() == fresh.next())
      }
    }
  }
}
