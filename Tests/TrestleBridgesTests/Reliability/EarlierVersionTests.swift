import Foundation
import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What version 0.1.0 saved is read and answers as it did; what is of another format is refused with what to do.
///
/// The folders in `Fixtures/saved` are never made again: they stand for what users have on their disks. A new format adds
/// folders of its own (`TRESTLE_WRITE_SAVED=FOLDER` writes them).
@Suite struct EarlierVersionTests {
  private static let folder = TestAssets.fixtures.appending(path: "saved")
  private static let names = ["EASE", "iALS", "UserKNN", "SASRec", "hybrid"]

  private struct Answer: Codable, Equatable {
    var id: String
    var title: String
    var score: Float
    var reasons: [String]
  }

  private static func answers(_ model: any ServableRecommender) throws -> [String: [Answer]] {
    var answers: [String: [Answer]] = [:]
    func note(_ name: String, _ list: RecommendationList) {
      answers[name] = list.map { Answer(id: $0.id, title: $0.title, score: $0.score, reasons: $0.reasons) }
    }
    for user in [0, 5, 11].map({ model.catalogue.userIDs[$0] }) {
      note("user \(user)", try model.recommend(for: user, count: 4, filter: ItemFilter(), reasons: 2))
    }
    note(
      "likes",
      try model.recommend(
        liking: [1, 4].map { model.catalogue.itemIDs[$0] }, count: 4, filter: ItemFilter(), reasons: 2))
    return answers
  }

  @Test(arguments: names) func whatWasSavedAnswersAsItDid(_ name: String) throws {
    let place = Self.folder.appending(path: name)
    let expected = try JSONDecoder().decode(
      [String: [Answer]].self, from: Data(contentsOf: Self.folder.appending(path: "\(name).json")))
    let found = try Self.answers(SavedRecommender(contentsOf: place).servable)
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (question, list) in expected {
      let other = try #require(found[question])
      #expect(other.map(\.id) == list.map(\.id) && other.map(\.title) == list.map(\.title), "\(question)")
      #expect(other.map(\.reasons) == list.map(\.reasons), "\(question)")
      #expect(
        zip(other, list).allSatisfy { abs($0.score - $1.score) < 1e-4 * (1 + abs($1.score)) }, "\(question)")
    }
  }

  @Test(arguments: [
    ("EASE", "\"version\" : 1", 99), ("EASE", "\"version\" : 1", 0), ("hybrid", "\"format\" : 2", 1),
    ("hybrid", "\"format\" : 2", 99),
  ])
  func anotherFormatIsRefusedWithWhatToDo(_ name: String, _ field: String, _ number: Int) throws {
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: name)
    try FileManager.default.copyItem(at: Self.folder.appending(path: name), to: place)
    let manifest = place.appending(path: "manifest.json")
    let text = try String(contentsOf: manifest, encoding: .utf8)
    try #require(text.contains(field))
    let key = field.prefix { $0 != ":" }
    try Data(text.replacing(field, with: "\(key): \(number)").utf8).write(to: manifest)
    let message = #expect(throws: ServingError.self) { try SavedRecommender(contentsOf: place) }
    #expect("\(try #require(message))".contains("of another version of the package: train it anew"))
  }

  private static let output = ProcessInfo.processInfo.environment["TRESTLE_WRITE_SAVED"]

  @Test(.enabled(if: output != nil, "TRESTLE_WRITE_SAVED names no folder to write to"))
  func write() throws {
    let output = URL(filePath: try #require(Self.output))
    let small = try SmallHybrid()
    let dataset = small.dataset
    let training = dataset.interactions
    var generator = RandomGenerator(seed: 2)
    var factors = ImplicitALS.Configuration()
    factors.dimension = 4
    let als = ImplicitALS(training: training, configuration: factors, using: &generator)
    als.fit()
    var sequence = SASRec.Configuration()
    (sequence.dimension, sequence.hidden, sequence.layers, sequence.windowLength) = (8, 8, 1, 6)
    let models: [any Recommender] = [
      try EASE(training: training), als, UserKNN(training: training),
      SASRec(training: training, configuration: sequence, using: &generator),
    ]
    func save(_ model: any ServableRecommender, _ name: String, _ write: (URL) throws -> Void) throws {
      try write(output.appending(path: name))
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try encoder.encode(Self.answers(model)).write(to: output.appending(path: "\(name).json"))
    }
    for model in models {
      let fitted = try FittedRecommender(model, dataset: dataset, training: training, settings: ["seed": "2"])
      try save(fitted, model.name) { try fitted.save(to: $0) }
    }
    let hybrid = try small.recommender()
    try save(hybrid, "hybrid") { try hybrid.save(to: $0) }
  }
}
