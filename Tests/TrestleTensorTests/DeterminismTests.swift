import Testing
import TrestleNN
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  @Suite struct DeterminismTests {
    private func withThreads<Result>(_ count: Int, _ body: () -> Result) -> Result {
      let before = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(before) }
      ThreadPool.shared.setThreadCount(count)
      return body()
    }

    private func expectSameBits(_ name: String, _ body: () -> [Tensor]) {
      withSteadyInstructionSet {
        let one = withThreads(1, body)
        for threads in [2, 4] {
          let more = withThreads(threads, body)
          #expect(more.count == one.count)
          for (a, b) in zip(more, one) {
            let mismatch = Mismatch.inBits(a, b, in: "\(name) with \(threads) threads")
            #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
          }
        }
      }
    }

    @Test func everyOperationAndItsGradient() {
      for operation in OpCase.all {
        let inputs = operation.makeInputs(.float32)
        expectSameBits("\(operation)") {
          let tape = Tape()
          let variables = inputs.map { $0.dtype == .int32 ? $0 : tape.variable($0) }
          let output = operation.forward(operation.isDifferentiable ? variables : inputs)
          guard output.isTracked else { return [output] }
          let gradients = output.gradients(
            of: variables.filter(\.isTracked), upstream: .ones(output.shape, dtype: output.dtype))
          return [output.detached] + variables.filter(\.isTracked).compactMap { gradients[$0] }
        }
      }
    }

    @Test func largeOperationsThatSplit() {
      var generator = RandomGenerator(seed: 3)
      let x = Tensor.normal([700, 300], using: &generator)
      let w = Tensor.normal([300, 200], using: &generator)
      let gain = Tensor.normal([300], using: &generator)
      let indices = Tensor((0..<5000).map { _ in Int32(generator.index(below: 700)) })
      expectSameBits("large operations") {
        let parameters = [Parameter(x), Parameter(w), Parameter(gain)]
        let (value, gradients) = valueAndGradients(of: parameters) {
          let (x, w, gain) = (parameters[0].value, parameters[1].value, parameters[2].value)
          let y = x.layerNormalized(gain: gain).gelu().matmul(w).softmax()
          let rows = x.gatheredRows(indices).scatterAddedRows(at: indices, rowCount: 700)
          let sequences = PackedSequences(lengths: [400, 300])
          let q = x.reshaped(to: [700, 3, 100] as Shape)
          let attended = q.attention(keys: q, values: q, sequences: sequences, isCausal: true)
          return y.sum(along: [0]).squared().sum() + rows.transposed().dense().sum() + attended.sum()
        }
        return [value] + parameters.compactMap { gradients[$0]?.dense() }
      }
    }

    @Test func trainingOfANetwork() {
      expectSameBits("100 steps") {
        var generator = RandomGenerator(seed: 4)
        let table = Embedding(count: 5000, width: 32, using: &generator)
        let mlp = MLP(widths: [32, 256, 64, 3], dropout: 0.2, using: &generator)
        let parameters = table.parameters + mlp.parameters
        let optimizer = AdamW(parameters, learningRate: 1e-2)
        optimizer.maximumNorm = 1
        for _ in 0..<100 {
          let indices = Tensor((0..<300).map { _ in Int32(generator.index(below: 5000)) })
          let labels = Tensor((0..<300).map { _ in Int32(generator.index(below: 3)) })
          let (_, gradients) = valueAndGradients(of: parameters) {
            Losses.crossEntropy(mlp(table(indices)), labels: labels)
          }
          optimizer.update(with: gradients)
        }
        return parameters.map(\.detached)
      }
    }
  }
}
