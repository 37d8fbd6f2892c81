import Foundation
import Testing
import Trestle
import TrestleTestSupport

// The README's snippets, compiled and run; `everySnippetOfTheReadmeIsCompiled` holds the two together.

private final class PullTogether: BridgeStrategy {
  override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.side == .domain, let items = step.items,
      let peer = context.language as? any ContextualRepresentations
    else { return nil }
    let own = items.representations.unitNormalized()
    let text = try peer.representations(of: .item, ids: items.ids.scalars(), source: .text).unitNormalized()
    let difference = own.matmul(own, transposingOther: true) - text.matmul(text, transposingOther: true)
    return difference.squared().mean()
  }
}

@Suite struct ReadmeTests {
  @Test func theReadmesNetworkLearns() {
    var last = Double.infinity
    func print(_ step: Int, _ loss: Double) { last = loss }

    var generator = RandomGenerator(seed: 1)
    let x = Tensor.uniform([256, 2], in: -1..<1, using: &generator)
    let y = (x.sliced(0..<1, along: 1) * x.sliced(1..<2, along: 1)).squared()
    let model = MLP(widths: [2, 32, 1], using: &generator)
    let optimizer = Adam(model.parameters, learningRate: 1e-2)
    for step in 0..<300 {
      let (loss, gradients) = valueAndGradients(of: model.parameters) { (model(x) - y).squared().mean() }
      optimizer.update(with: gradients)
      if step % 100 == 0 { print(step, loss.item) }
    }

    #expect(last < 0.01)
  }

  @Test func theReadmesBridgeTrains() throws {
    let composition = try SmallComposition(seed: 1)
    let bridge = PullTogether(name: "pull", phases: [BridgePhase(name: "domain", side: .domain, epochs: 2)])
    let trainer = try BridgeTrainer(bridge, composition.context)
    try trainer.run()
    #expect(trainer.records.allSatisfy { $0.bridgeLoss > 0 })
  }

  @Test func everySnippetOfTheReadmeIsCompiled() throws {
    let root = TestAssets.fixtures.deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
    func lines(_ text: some StringProtocol) -> [String] {
      text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
    let compiled = Set(lines(source).map { $0.replacingOccurrences(of: "private ", with: "") })
    let blocks = readme.components(separatedBy: "```swift\n").dropFirst().compactMap {
      $0.components(separatedBy: "```").first
    }
    #expect(blocks.count == 2)
    for line in blocks.flatMap(lines) { #expect(compiled.contains(line), "not compiled: \(line)") }
  }
}
