import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

@Suite struct LayerTests {
  private func normal(_ shape: Shape, seed: UInt64 = 3) -> Tensor {
    var generator = RandomGenerator(seed: seed)
    return .normal(shape, dtype: .float64, using: &generator)
  }

  private func check(_ name: String, _ module: some Module, _ input: Tensor, _ body: (Tensor) -> Tensor) {
    withSteadyInstructionSet {
      let checker = GradientChecker(.directions(4))
      let parameters = checker.failures(of: name, parameters: module.parameters) { body(input) }
      #expect(parameters.isEmpty, "\(parameters)")
      let inputs = checker.failures(of: name, inputs: [input]) { body($0[0]) }
      #expect(inputs.isEmpty, "\(inputs)")
    }
  }

  @Test func everyLayerHasRightGradients() {
    var generator = RandomGenerator(seed: 4)
    let sequences = PackedSequences(lengths: [5, 1, 3])
    let linear = Linear(inputs: 6, outputs: 4, dtype: .float64, using: &generator)
    check("Linear", linear, normal([5, 6])) { linear($0) }
    let norm = LayerNorm(width: 6, dtype: .float64)
    check("LayerNorm", norm, normal([5, 6])) { norm($0) }
    let rms = RMSNorm(width: 6, dtype: .float64)
    check("RMSNorm", rms, normal([5, 6])) { rms($0) }
    let feed = FeedForward(width: 6, hidden: 9, dtype: .float64, using: &generator)
    check("FeedForward", feed, normal([5, 6])) { feed($0) }
    let gated = SwiGLU(width: 6, hidden: 9, dtype: .float64, using: &generator)
    check("SwiGLU", gated, normal([5, 6])) { gated($0) }
    let mlp = MLP(widths: [6, 8, 3], activation: .tanh, dtype: .float64, using: &generator)
    check("MLP", mlp, normal([5, 6])) { mlp($0) }
    let attention = MultiHeadAttention(width: 6, heads: 2, dtype: .float64, using: &generator)
    check("MultiHeadAttention", attention, normal([9, 6])) {
      attention($0, sequences: sequences, isCausal: true)
    }
    for first in [true, false] {
      let block = TransformerEncoderBlock(
        width: 6, heads: 3, hidden: 8, activation: .gelu, normalizesFirst: first, dtype: .float64,
        using: &generator)
      check("TransformerEncoderBlock", block, normal([9, 6])) { block($0, sequences: sequences) }
    }
    let gru = GRU(inputs: 4, hidden: 5, layerCount: 2, dtype: .float64, using: &generator)
    check("GRU", gru, normal([3, 6, 4])) { gru($0) }
  }

  @Test func everyLossHasRightGradientsAndTheValueOfItsFormula() {
    let (a, b) = (normal([4, 5]), normal([4, 5], seed: 8))
    let negatives = normal([7, 5], seed: 9)
    let labels = Tensor([2, -1, 0, 4] as [Int32])
    let targets = b.sigmoid()
    let weights = a.squared()
    let losses: [(String, ([Tensor]) -> Tensor)] = [
      ("crossEntropy", { Losses.crossEntropy($0[0], labels: labels) }),
      ("binary", { Losses.binaryCrossEntropyWithLogits($0[0], targets: targets, weights: weights) }),
      ("bpr", { Losses.bpr(positive: $0[0], negative: $0[1]) }),
      ("infoNCE", { Losses.infoNCE(anchors: $0[0], positives: $0[1], temperature: 0.3) }),
      (
        "infoNCE, negatives",
        { Losses.infoNCE(anchors: $0[0], positives: $0[1], temperature: 0.3, negatives: $0[2]) }
      ),
      (
        "kullbackLeibler",
        { Losses.kullbackLeibler(teacherLogits: b, studentLogits: $0[0], temperature: 2) }
      ),
      ("meanSquaredError", { Losses.meanSquaredError($0[0], $0[1]) }),
      ("cosine", { Losses.cosine($0[0], $0[1]) }),
    ]
    for (name, loss) in losses {
      let failures = withSteadyInstructionSet {
        GradientChecker().failures(of: name, inputs: [a, b, negatives], loss)
      }
      #expect(failures.isEmpty, "\(failures)")
    }
    #expect(abs(Losses.kullbackLeibler(teacherLogits: a, studentLogits: a, temperature: 2).item) < 1e-12)
    #expect(abs(Losses.cosine(a, a * 3).item) < 1e-12)
    // −log(p₂ p₀ p₄) / 3 over the three labelled rows.
    let p = a.softmax().scalars(as: Double.self)
    let expected = -(log(p[2]) + log(p[10]) + log(p[19])) / 3
    #expect(abs(Losses.crossEntropy(a, labels: labels).item - expected) < 1e-12)
  }

  @Test func parametersAreFoundByTheirCheckpointNames() {
    var generator = RandomGenerator(seed: 5)
    let block = TransformerEncoderBlock(width: 4, heads: 2, hidden: 8, dropout: 0.1, using: &generator)
    #expect(
      Set(block.namedParameters.map(\.name)) == [
        "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight",
        "self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
        "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias",
      ])
    let gru = GRU(inputs: 2, hidden: 3, using: &generator)
    #expect(gru.namedParameters.map(\.name) == ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"])
  }

  @Test func dropoutActsInTrainingOnlyAndRepeatsFromItsState() throws {
    try withSteadyInstructionSet {
      var generator = RandomGenerator(seed: 6)
      let mlp = MLP(widths: [50, 50, 2], dropout: 0.5, using: &generator)
      let layer = try #require(mlp.namedModules.compactMap { $0.module as? Dropout }.first)
      let x = Tensor.ones([2000])
      let state = try JSONEncoder().encode(layer.generator)
      let first = layer(x).floats
      layer.generator = try JSONDecoder().decode(RandomGenerator.self, from: state)
      #expect(layer(x).floats == first)
      #expect(layer(x).floats != first)
      #expect(Set(first) == [0, 2] && abs(first.reduce(0, +) / 2000 - 1) < 0.1)
      mlp.setTraining(false)
      #expect(layer(x).floats == x.floats)
    }
  }
}
