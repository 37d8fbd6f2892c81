import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// Layers beside transformers: values by plain formulas in `Double`, gradients by central differences.
@Suite struct MoreLayerTests {
  private func normal(_ shape: Shape, seed: UInt64 = 3) -> Tensor {
    var generator = RandomGenerator(seed: seed)
    return .normal(shape, dtype: .float64, using: &generator)
  }

  private func check(_ name: String, _ module: some Module, _ inputs: [Tensor], _ body: ([Tensor]) -> Tensor)
  {
    withSteadyInstructionSet {
      let checker = GradientChecker(.directions(4))
      let parameters = checker.failures(of: name, parameters: module.parameters) { body(inputs) }
      #expect(parameters.isEmpty, "\(parameters)")
      let failures = checker.failures(of: name, inputs: inputs, body)
      #expect(failures.isEmpty, "\(failures)")
    }
  }

  @Test func layersHaveRightGradients() {
    var generator = RandomGenerator(seed: 4)
    let images = Conv2d(
      inputs: 2, outputs: 4, kernel: (3, 2), stride: (2, 1), padding: (1, 0), groups: 2, dtype: .float64,
      using: &generator)
    check("Conv2d", images, [normal([2, 2, 5, 4])]) { images($0[0]) }
    let sequences = Conv1d(inputs: 3, outputs: 2, kernel: 3, padding: 1, dtype: .float64, using: &generator)
    check("Conv1d", sequences, [normal([2, 3, 6])]) { sequences($0[0]) }
    let batch = BatchNorm(channels: 3, dtype: .float64)
    check("BatchNorm", batch, [normal([4, 3, 2])]) { batch($0[0]) }
    batch.isTraining = false
    check("BatchNorm, not training", batch, [normal([4, 3, 2])]) { batch($0[0]) }
    let group = GroupNorm(groups: 2, channels: 4, dtype: .float64)
    check("GroupNorm", group, [normal([3, 4, 5])]) { group($0[0]) }
    let lstm = LSTM(inputs: 3, hidden: 4, layerCount: 2, dtype: .float64, using: &generator)
    check("LSTM", lstm, [normal([2, 5, 3])]) { lstm($0[0]).outputs }
    let cross = CrossAttention(width: 6, memoryWidth: 4, heads: 2, dtype: .float64, using: &generator)
    let mask = Tensor([true, true, false, true, false, true], shape: [2, 1, 1, 3])
    check("CrossAttention", cross, [normal([2, 5, 6]), normal([2, 3, 4], seed: 5)]) {
      cross($0[0], memory: $0[1], mask: mask)
    }
    let block = DecoderBlock(width: 12, heads: 3, keyHeads: 1, hidden: 7, dtype: .float64, using: &generator)
    check("DecoderBlock", block, [normal([5, 12])]) {
      block($0[0], sequences: PackedSequences(lengths: [3, 2]))
    }
  }

  @Test func theDecoderBlockSeesOnlyWhatCameBefore() {
    var generator = RandomGenerator(seed: 8)
    let block = DecoderBlock(width: 8, heads: 2, keyHeads: 2, hidden: 5, dtype: .float64, using: &generator)
    let x = normal([4, 8])
    let whole = block(x, sequences: PackedSequences(lengths: [4]))
    let part = block(x.sliced(0..<2, along: 0), sequences: PackedSequences(lengths: [2]))
    #expect(
      Mismatch.between(
        whole.sliced(0..<2, along: 0), part, Tolerance(absolute: 1e-12, relative: 1e-12), in: "prefix") == nil
    )
  }

  @Test func lstmFollowsItsFormula() {
    var generator = RandomGenerator(seed: 5)
    let lstm = LSTM(inputs: 2, hidden: 3, dtype: .float64, using: &generator)
    let weights = Dictionary(
      uniqueKeysWithValues: lstm.namedParameters.map { ($0.name, $0.parameter.detached.doubles) })
    let x = normal([1, 4, 2])
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
    var (h, c) = ([0.0, 0, 0], [0.0, 0, 0])
    for step in 0..<4 {
      let input = x[0, step].doubles
      let sums = (0..<12).map { row -> Double in
        var total = (weights["bias_ih_l0"]?[row] ?? .nan) + (weights["bias_hh_l0"]?[row] ?? .nan)
        for column in 0..<2 { total += (weights["weight_ih_l0"]?[row * 2 + column] ?? .nan) * input[column] }
        for column in 0..<3 { total += (weights["weight_hh_l0"]?[row * 3 + column] ?? .nan) * h[column] }
        return total
      }
      for unit in 0..<3 {
        c[unit] = sigmoid(sums[3 + unit]) * c[unit] + sigmoid(sums[unit]) * tanh(sums[6 + unit])
        h[unit] = sigmoid(sums[9 + unit]) * tanh(c[unit])
      }
    }
    let (outputs, state) = lstm(x)
    let tolerance = Tolerance(absolute: 1e-12, relative: 1e-12)
    #expect(Mismatch.between(outputs[0, -1].doubles, h, tolerance, in: "h") == nil)
    #expect(Mismatch.between(state.memory[0, 0].doubles, c, tolerance, in: "c") == nil)
    // Two halves with the state in between are the whole.
    let first = lstm(x[Axis.all, ..<2])
    let second = lstm(x[Axis.all, 2...], initial: first.state)
    #expect(Mismatch.between(second.outputs[0, -1].doubles, h, tolerance, in: "in two parts") == nil)
  }

  @Test func batchStatisticsRunAndAreSaved() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "buffers-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let norm = BatchNorm(channels: 1, momentum: 0.5, dtype: .float64)
    let x = Tensor([1, 2, 3, 6] as [Double], shape: [4, 1])
    let y = norm(x).doubles
    #expect(abs(y.reduce(0, +)) < 1e-12)
    #expect(norm.runningMean.value.doubles == [1.5])
    // Variance 14/3 with the count less one; half of it and half of 1.
    #expect(abs((norm.runningVariance.value.doubles.first ?? 0) - (0.5 + 7.0 / 3)) < 1e-12)
    #expect(norm.namedBuffers.map(\.name) == ["running_mean", "running_var"])
    let file = folder.appending(path: "norm.safetensors")
    try norm.save(to: file)
    let other = BatchNorm(channels: 1, dtype: .float64)
    try other.load(from: SafetensorsFile(file))
    #expect(other.runningVariance.value.doubles == norm.runningVariance.value.doubles)
    other.setTraining(false)
    #expect(abs((other(x).doubles.first ?? 0) - (1 - 1.5) / (0.5 + 7.0 / 3 + 1e-5).squareRoot()) < 1e-12)
    // A checkpoint has them too.
    try Checkpoint.save(norm, optimizers: [:], cursor: 3, to: folder.appending(path: "state"))
    let third = BatchNorm(channels: 1, dtype: .float64)
    _ = try Checkpoint.load(Int.self, from: folder.appending(path: "state"), into: third, optimizers: [:])
    #expect(third.runningMean.value.doubles == [1.5])
  }

  @Test func aQueryThatSeesNothingGivesTheOffsetAlone() {
    var generator = RandomGenerator(seed: 6)
    let cross = CrossAttention(width: 4, heads: 2, dtype: .float64, using: &generator)
    let y = cross(normal([1, 2, 4]), memory: normal([1, 3, 4]), mask: Tensor([false], shape: [1]))
    let offset = cross.output.bias?.detached.doubles ?? []
    #expect(y.doubles == offset + offset)
  }
}
