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

  @Test func theReadmesFirstProgramRecommends() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Readers like one of two kinds of books.
    var generator = RandomGenerator(seed: 3)
    var loans = "reader,isbn,when\n"
    for reader in 0..<60 {
      for book in 0..<24 where book % 2 == reader % 2 && generator.index(below: 10) < 6 {
        loans += "\(reader == 0 ? "ann" : "r\(reader)"),b\(book),2024-05-\(10 + book % 20)\n"
      }
    }
    try Data(loans.utf8).write(to: folder.appending(path: "loans.csv"))
    let books = "isbn,title\n" + (0..<24).map { "b\($0),Book \($0)\n" }.joined()
    try Data(books.utf8).write(to: folder.appending(path: "books.csv"))
    func URL(filePath name: String) -> Foundation.URL { folder.appending(path: name) }
    var printed: [String] = []
    func print(_ values: Any...) { printed.append(values.map { "\($0)" }.joined(separator: " ")) }

    let data = try Dataset(contentsOf: URL(filePath: "loans.csv"), items: URL(filePath: "books.csv"))
    let split = try data.interactions.split(.ratio(), seed: 0)
    let measured = try data.fit(.lightGCN, split: split)
    print("NDCG@10", try measured.evaluate(on: split).mean(.ndcg(10)) ?? 0)
    try data.fit(.lightGCN).save(to: URL(filePath: "my-recommender"))
    let model = try FittedRecommender(contentsOf: URL(filePath: "my-recommender"))
    for item in try model.recommend(for: "ann", count: 10, reasons: 2) { print(item.title, item.reasons) }
    for item in try model.recommend(liking: ["b1", "b2"]) { print(item.title) }

    #expect(printed.count == 21 && printed[0].hasPrefix("NDCG@10 0."))
    // What ann gets first is of her kind.
    let number = printed[1].dropFirst("Book ".count).split(separator: " ").first
    let first = try #require(number.flatMap { Int($0) })
    #expect(first % 2 == 0 && printed[1].contains("[\"Book"))
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
    #expect(blocks.count == 3)
    for line in blocks.flatMap(lines) { #expect(compiled.contains(line), "not compiled: \(line)") }
  }
}
