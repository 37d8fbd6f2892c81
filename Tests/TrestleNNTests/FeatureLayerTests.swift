import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// The layers for feature columns: against PyTorch's results in `Fixtures/nn/feature_layers`, and where PyTorch has nothing
/// to say.
@Suite struct FeatureLayerTests {
  private typealias Precision = LayerParity.Precision
  private static let precisions = LayerParity.precisions

  /// Loads the case's parameters, runs `body` on its inputs, and compares the output and all gradients.
  private func check(
    _ name: String, _ module: some Module, _ precision: Precision, inputs: [String] = ["x"],
    _ body: ([Tensor]) -> Tensor
  ) throws {
    try LayerParity.check(name, of: "feature_layers.safetensors", module, precision, inputs: inputs, body)
  }

  @Test(arguments: precisions) private func embeddingBagsMatchPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    for (name, pooling) in [("bag_sum", EmbeddingBag.Pooling.sum), ("bag_mean", .mean)] {
      let bag = EmbeddingBag(
        count: 6, width: 4, pooling: pooling, dtype: precision.dtype, using: &generator)
      try check(name, bag, precision, inputs: ["indices", "offsets"]) { bag($0[0], offsets: $0[1]) }
    }
    let weighted = EmbeddingBag(
      count: 6, width: 4, pooling: .sum, dtype: precision.dtype, using: &generator)
    try check("bag_weighted", weighted, precision, inputs: ["indices", "offsets", "weights"]) {
      weighted($0[0], offsets: $0[1], weights: $0[2])
    }
  }

  @Test(arguments: precisions) private func interactionsMatchPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    let term = FactorizationInteraction()
    try check("factorization", term, precision) { term($0[0]) }
    let dots = DotInteraction()
    try check("dots", dots, precision) { dots($0[0]) }
    let all = DotInteraction(includesDiagonal: true)
    try check("dots_diagonal", all, precision) { all($0[0]) }
    let cross = CrossNetwork(width: 5, layerCount: 3, dtype: precision.dtype, using: &generator)
    try check("cross", cross, precision) { cross($0[0]) }
    let low = CrossNetwork(width: 6, layerCount: 2, rank: 2, dtype: precision.dtype, using: &generator)
    try check("cross_low_rank", low, precision) { low($0[0]) }
  }

  @Test(arguments: precisions) private func targetAttentionMatchesPyTorch(precision: Precision) throws {
    var generator = RandomGenerator(seed: 1)
    for (name, activation, normalizes) in [
      ("attention_sigmoid", Activation.sigmoid, false), ("attention_softmax", .tanh, true),
    ] {
      let layer = TargetAttention(
        width: 4, hidden: [6, 3], activation: activation, normalizes: normalizes, dtype: precision.dtype,
        using: &generator)
      try check(name, layer, precision, inputs: ["target", "history", "mask"]) {
        layer(target: $0[0], history: $0[1], mask: $0[2].converted(to: .bool))
      }
    }
    let plain = TargetAttention(width: 4, hidden: [6], dtype: precision.dtype, using: &generator)
    try check("attention_unmasked", plain, precision, inputs: ["target", "history"]) {
      plain(target: $0[0], history: $0[1])
    }
  }

  @Test func listsMayAllBeEmptyOrMissing() {
    var generator = RandomGenerator(seed: 1)
    let bag = EmbeddingBag(count: 6, width: 2, using: &generator)
    let none = Tensor([Int32]())
    #expect(bag(none, offsets: Tensor([0, 0] as [Int32])).floats == [0, 0, 0, 0])
    #expect(bag(none, offsets: none).shape == [0, 2])
    #expect(DotInteraction()(.ones([2, 1, 3])).shape == [2, 0])
    let attention = TargetAttention(width: 3, using: &generator)
    #expect(attention(target: .ones([2, 3]), history: .zeros([2, 0, 3])).floats == [0, 0, 0, 0, 0, 0])
  }

  @Test func onlyTheRowsLookedUpHaveAGradient() throws {
    var generator = RandomGenerator(seed: 1)
    let bag = EmbeddingBag(count: 1000, width: 2, using: &generator)
    let (_, gradients) = valueAndGradients(of: bag.parameters) {
      bag(Tensor([7, 7, 3] as [Int32]), offsets: Tensor([0, 2] as [Int32])).sum()
    }
    guard case .rows(let rows)? = gradients[bag.weight] else {
      Issue.record("the gradient of an embedding bag is not row-sparse")
      return
    }
    #expect(rows.coalesced().indices.scalars(as: Int32.self) == [3, 7])
    #expect(rows.coalesced().values.floats == [1, 1, 1, 1])
  }

  @Test func keysAreHashedAlikeEverywhereAndEvenly() {
    let hash = KeyHash(rowCount: 1000, seed: 5)
    var counts = [Int](repeating: 0, count: 1000)
    for key in Int64(-50_000)..<50_000 { counts[Int(hash.row(of: key))] += 1 }
    // A hundred keys a row on average: 50 and 150 are five standard deviations away.
    #expect(counts.allSatisfy { $0 > 50 && $0 < 150 })
    let extremes = [Int64.min, -1, 0, 1, Int64.max]
    #expect(extremes.map(hash.row(of:)) == Self.knownRows)
    #expect(KeyHash(rowCount: 1, seed: 5).row(of: .min) == 0)

    var generator = RandomGenerator(seed: 1)
    let bag = EmbeddingBag(count: 1000, width: 2, pooling: .sum, hash: hash, using: &generator)
    let keys = bag(Tensor(extremes), offsets: Tensor([0] as [Int32]))
    let rows = bag.weight.value.gatheredRows(hash(Tensor(extremes))).sum(along: [0], keepingDimensions: true)
    #expect(Mismatch.between(keys, rows, Tolerance(absolute: 1e-6, relative: 1e-6), in: "keys") == nil)
  }

  /// Computed with Python's integers from the documented formula.
  private static let knownRows: [Int32] = [150, 954, 672, 503, 676]
}
