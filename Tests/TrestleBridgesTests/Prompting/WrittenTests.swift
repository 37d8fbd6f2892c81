import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

private func smallModel(seed: UInt64 = 1) throws -> any LanguageModel {
  try Llama(
    LlamaConfiguration(
      vocabularySize: 32, hiddenSize: 64, intermediateSize: 64, layerCount: 2, headCount: 2,
      keyValueHeadCount: 1), using: RandomGenerator(seed: seed))
}

private func encode(_ text: String) -> [Int32] { text.utf8.filter { $0 != 32 }.map { Int32($0 % 32) } }

private func writer(_ identity: String = "small", seed: UInt64 = 1) throws -> TextWriter {
  TextWriter(
    try smallModel(seed: seed), identity: identity, encode: encode,
    decode: { String($0.map { Character(UnicodeScalar(UInt8(64 + $0))) }) }, isEnd: { $0 == 31 })
}

/// Texts that the language model writes: as it would write each alone, once, and only what belongs to the data.
@Suite struct WrittenTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "written-\(UUID().uuidString)")

  @Test func textsWrittenTogetherAreThoseWrittenAlone() throws {
    try withSteadyInstructionSet {
      let writer = try writer()
      let prompts = ["a long beginning", "b", "something else", "b"].map(encode)
      let together = writer.continuations(of: prompts, tokens: 12)
      #expect(together[1] == together[3] && together.allSatisfy { $0.count <= 12 })
      #expect(Set(together).count > 1)
      for (prompt, text) in zip(prompts, together) {
        let options = GenerationOptions(maximumTokens: 12, stopTokens: [31, 10])
        var generator = try TokenGenerator(writer.model, prompt: prompt, options: options)
        var alone: [Int32] = []
        while let token = generator.next() { alone.append(token) }
        #expect(text == alone)
      }
    }
  }

  @Test func textsAreWrittenOnce() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "items.jsonl")
    var writer = try writer()
    writer.batchSize = 3
    let subjects = (0..<10).map { "subject \($0)" }
    let request = WritingRequest(opening: "Of ", closing: ":", tokens: 5)
    func write(
      _ subjects: [String], by writer: TextWriter, split: String = "s", request other: WritingRequest? = nil,
      shouldStop: () -> Bool = { false }
    ) throws -> [String] {
      try WrittenTexts(
        about: subjects, other ?? request, by: writer, splitHash: split, file: file, shouldStop: shouldStop
      ).texts
    }
    // Stopped after two batches, gone on with, and then only read.
    var batches = 0
    #expect(throws: BridgeError.self) {
      try write(subjects, by: writer) {
        batches += 1
        return batches > 2
      }
    }
    let kept = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    #expect(kept.count == 7)
    let whole = try write(subjects, by: writer)
    let alone = try WrittenTexts(about: subjects, request, by: writer, splitHash: "s", file: nil).texts
    #expect(whole == alone && whole.count == 10)
    #expect(try write(subjects, by: writer) { true } == whole)

    // What belongs to something else is refused.
    var other = request
    other.tokens = 6
    #expect(throws: BridgeError.self) { try write(subjects, by: writer, split: "t") }
    #expect(throws: BridgeError.self) { try write(subjects, by: writer, request: other) }
    #expect(throws: BridgeError.self) { try write(subjects.reversed(), by: writer) }
    let stranger = try Self.named("stranger")
    #expect(throws: BridgeError.self) { try write(subjects, by: stranger) }
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
    let damages: [[String]] = [
      Array(lines.dropLast()) + ["{"], [lines[0]] + Array(lines.dropFirst(2)), lines + [lines[1]],
      ["no JSON"], [],
    ]
    for damaged in damages {
      try Data(damaged.map { $0 + "\n" }.joined().utf8).write(to: file)
      let error = #expect(throws: BridgeError.self) { try write(subjects, by: writer) }
      #expect("\(try #require(error))".contains("items.jsonl: line "))
    }
  }

  private static func named(_ identity: String) throws -> TextWriter { try writer(identity) }

  /// Vectors of texts about users stand in for the means of their histories.
  @Test func textsAboutUsersAreRead() throws {
    let small = try SmallComposition(seed: 5)
    let width = try #require(small.language.encodedItemTexts).shape[1]
    var generator = RandomGenerator(seed: 3)
    let users = Tensor.normal([small.dataset.userCount, width], using: &generator)
    let side = LanguageSide(
      name: "written", recommender: small.language.recommender, adapters: small.language.adapters,
      split: small.context.split, vocabulary: small.language.vocabulary,
      encodedItemTexts: small.language.encodedItemTexts, encodedUserTexts: users,
      configuration: small.language.configuration)
    let read = try side.representations(of: .user, ids: [4, 1], source: .encodedText)
    #expect(read.floats == users.gatheredRows(Tensor([Int32(4), 1])).floats)
    let means = try small.language.representations(of: .user, ids: [4, 1], source: .encodedText)
    #expect(read.floats != means.floats)
  }

  /// KAR and LLMRec are trained with what the model writes; what is kept is not written again, and other texts make another
  /// recommender.
  @Test func mechanismsReadWhatIsWritten() throws {
    try withSteadyInstructionSet {
      defer { try? FileManager.default.removeItem(at: folder) }
      var world = SyntheticWorld.Configuration()
      (world.users, world.items, world.interactions) = (40, 40, 600)
      let dataset = try SyntheticWorld(world, seed: 1).dataset()
      var budget = ComparisonBudget.quick
      (budget.domainEpochs, budget.patience, budget.writtenTokens) = (3, 3, 4)
      func run(_ writer: TextWriter?) throws -> [StudyRecord] {
        var comparison = BridgeComparison(
          dataset: dataset, texts: ItemTexts(dataset: dataset), model: try smallModel(), modelName: "small",
          budget: budget, encode: encode)
        (comparison.writer, comparison.writings) = (writer, folder)
        var records: [StudyRecord] = []
        try comparison.run(BridgeMechanism.written, seed: 1, without: [BridgeComparison.baseline]) {
          records += $0
        }
        return records.filter { $0.metric != StudyRecord.seconds }
      }
      let records = try run(writer())
      #expect(Set(records.map(\.model)) == ["KAR-Written", "LLMRec-Written"])
      #expect(Set(records.map(\.slice)) == ["warm", "new"] && records.allSatisfy { $0.value.isFinite })
      #expect(BridgeComparison.table(records).contains("| KAR-Written | domain |"))
      let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      #expect(files.count == 2)
      #expect(try run(writer()) == records)
      #expect(throws: BridgeError.self) { try run(nil) }
      // The same files with every text but the first exchanged.
      for name in files {
        let file = folder.appending(path: name)
        var lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
        for place in lines.indices.dropFirst(2) {
          lines[place] =
            "{\"place\":\(place - 1),\"text\":\"\(String(repeating: "xyz", count: place % 5 + 1))\"}"
        }
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: file)
      }
      let changed = try run(writer())
      #expect(changed.filter { $0.slice == "new" } != records.filter { $0.slice == "new" })
    }
  }
}
