import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Click models, saved, loaded and asked row by row.
@Suite struct FittedClickModelTests {
  private let folder: TemporaryFolder
  private let table: FeatureTable

  init() throws {
    folder = try TemporaryFolder(inMemory: true)
    var generator = RandomGenerator(seed: 1)
    let rows = 60
    let films = (0..<rows).map { _ in "f\(generator.index(below: 8))" }
    var table = FeatureTable(rowCount: rows)
    try table.addNumbers("age", (0..<rows).map { _ in Float(20 + generator.index(below: 40)) })
    try table.addCategories("film", films)
    try table.addLists(
      "seen",
      (0..<rows).map { _ in (0..<generator.index(below: 4)).map { _ in "f\(generator.index(below: 8))" } },
      vocabulary: "film")
    try table.addCategories("device", (0..<rows).map { _ in "d\(generator.index(below: 3))" })
    try table.setLabels((0..<rows).map { _ in generator.uniform() < 0.4 })
    self.table = table
  }

  static let kinds = ["LR", "FM", "DeepFM", "DCN", "DCN parallel", "DLRM", "DIN", "DIN mean"]

  private func model(_ kind: String) throws -> any ClickModel {
    var generator = RandomGenerator(seed: 2)
    let schema = table.schema
    switch kind {
    case "LR": return LogisticRegression(schema)
    case "FM": return FactorizationMachine(schema, dimension: 4, using: &generator)
    case "DeepFM":
      var shape = DeepFM.Configuration()
      (shape.dimension, shape.hidden, shape.dropout) = (4, [6, 5], 0.1)
      return DeepFM(schema, configuration: shape, using: &generator)
    case "DCN", "DCN parallel":
      var shape = DCN.Configuration()
      (shape.dimension, shape.hidden, shape.crossLayers) = (4, [6], 2)
      if kind != "DCN" { (shape.structure, shape.rank) = (.parallel, 3) }
      return DCN(schema, configuration: shape, using: &generator)
    case "DLRM":
      var shape = DLRM.Configuration()
      (shape.dimension, shape.bottomHidden, shape.topHidden) = (4, [5], [6])
      return DLRM(schema, configuration: shape, using: &generator)
    default:
      var shape = DIN.Configuration()
      (shape.dimension, shape.attentionHidden, shape.hidden, shape.historyLimit) = (4, [5], [6], 2)
      if kind == "DIN mean" { shape.pooling = .mean }
      return try DIN(schema, target: "film", history: "seen", configuration: shape, using: &generator)
    }
  }

  private func trained(_ kind: String) throws -> any ClickModel {
    let model = try model(kind)
    var configuration = ClickTrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (2, 16, 0.05)
    try ClickTrainer(model, training: table, configuration: configuration).fit()
    return model
  }

  private static let row: [String: FeatureValue] = [
    "age": 30, "film": "f1", "seen": ["f2", "f1"], "device": "d0",
  ]

  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
  }

  @Test(arguments: kinds) func aLoadedModelGivesTheSavedOnesBits(_ kind: String) throws {
    try withSteadyInstructionSet {
      let model = try trained(kind)
      let fitted = try FittedClickModel(model)
      let expected = try model.logits(of: table)
      #expect(try fitted.logits(of: table) == expected && fitted.name == model.name)
      try fitted.save(to: folder.url)
      let loaded = try FittedClickModel(contentsOf: folder.url)
      #expect(try loaded.logits(of: table) == expected)
      #expect(loaded.name == model.name && loaded.schema == table.schema)
      // What is trained further leaves the copy alone, and takes the saved one's place.
      try ClickTrainer(model, training: table).trainEpoch()
      #expect(try fitted.logits(of: table) == expected)
      try FittedClickModel(model).save(to: folder.url)
      #expect(try FittedClickModel(contentsOf: folder.url).logits(of: table) == model.logits(of: table))
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
      #expect(names == ["manifest.json", "model.safetensors", "schema.json"])
    }
  }

  @Test(arguments: kinds) func rowsAreReadByTheSchema(_ kind: String) throws {
    try withSteadyInstructionSet {
      let fitted = try FittedClickModel(trained(kind))
      var one = FeatureTable(rowCount: 1, schema: table.schema)
      try one.addNumbers("age", [30])
      try one.addCategories("film", ["f1"])
      try one.addLists("seen", [["f2", "f1"]])
      try one.addCategories("device", ["d0"])
      #expect(try fitted.logits(of: [Self.row]) == fitted.logits(of: one))
      let chance = try fitted.probability(of: Self.row)
      #expect(chance > 0 && chance < 1)
      #expect(try fitted.probabilities(of: [Self.row]) == [chance])
      // Unknown categories are one, whatever they are called; a history may be empty.
      var (first, second) = (Self.row, Self.row)
      (first["device"], second["device"]) = ("never seen", "")
      (first["seen"], second["seen"]) = (["never seen"], ["nor this"])
      #expect(try fitted.logits(of: [first]) == fitted.logits(of: [second]))
      first["seen"] = []
      #expect(try fitted.probability(of: first).isFinite)
      #expect(try fitted.logits(of: [[String: FeatureValue]]()).isEmpty)
    }
  }

  @Test func whatIsNoRowIsSaidInOneLine() throws {
    let fitted = try FittedClickModel(model("FM"))
    func message(_ change: (inout [String: FeatureValue]) -> Void) -> String {
      var row = Self.row
      change(&row)
      return self.message { _ = try fitted.logits(of: [Self.row, row]) }
    }
    #expect(
      message { $0["height"] = 3 }
        == "FeatureTable, height: expected a column of the schema: age, film, seen, device, found another in row 1"
    )
    #expect(message { $0["film"] = nil } == "FeatureTable, film: expected a value in row 1, found none")
    #expect(
      message { $0["film"] = 3.5 } == "FeatureTable, film: expected a category in row 1, found a number")
    #expect(message { $0["age"] = ["x"] } == "FeatureTable, age: expected a number in row 1, found a list")
    #expect(
      message { $0["age"] = .number(.nan) }
        == "FeatureTable, age: expected finite numbers, found nan in row 1")
    #expect(message { $0["seen"] = "f1" } == "FeatureTable, seen: expected a list in row 1, found a category")
  }

  @Test func manyTasksAskAtOnce() async throws {
    let fitted = try FittedClickModel(trained("DIN"))
    let rows =
      (0..<8).map { ["age": 30, "film": .category("f\($0)"), "seen": ["f2"], "device": "d0"] }
      as [[String: FeatureValue]]
    let expected = try rows.map { try fitted.logits(of: [$0])[0] }
    let found = try await withThrowingTaskGroup(of: (Int, Float).self) { group in
      for (index, row) in rows.enumerated() {
        group.addTask { (index, try fitted.logits(of: [row])[0]) }
      }
      return try await group.reduce(into: [Int: Float]()) { $0[$1.0] = $1.1 }
    }
    for (index, logit) in expected.enumerated() { #expect(abs((found[index] ?? .nan) - logit) < 1e-5) }
  }

  // MARK: Damaged folders

  /// Loads the folder with one of its files changed and, but for the manifest, with the hash that fits.
  private func loading(_ name: String, _ change: (inout [String: Any]) throws -> Void) throws -> String {
    let file = folder.url.appending(path: name)
    let whole = try Data(contentsOf: file)
    var root = try #require(try JSONSerialization.jsonObject(with: whole) as? [String: Any])
    try change(&root)
    try replace(name, JSONSerialization.data(withJSONObject: root))
    defer { try? replace(name, whole) }
    let found = message { _ = try FittedClickModel(contentsOf: folder.url) }
    #expect(found.hasPrefix(folder.url.path) && !found.contains("\n"), "\(found)")
    return String(found.dropFirst(folder.url.path.count + 1))
  }

  private func replace(_ name: String, _ bytes: Data) throws {
    try bytes.write(to: folder.url.appending(path: name))
    guard name != "manifest.json" else { return }
    let manifest = folder.url.appending(path: "manifest.json")
    var root = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: manifest)) as? [String: Any])
    var files = try #require(root["files"] as? [String: String])
    var hash = SHA256()
    hash.update(Array(bytes))
    files[name] = hash.hexadecimal()
    root["files"] = files
    try JSONSerialization.data(withJSONObject: root).write(to: manifest)
  }

  @Test func anotherVersionOrBuildIsRefused() throws {
    try FittedClickModel(model("DCN")).save(to: folder.url)
    #expect(
      try loading("manifest.json") { $0["version"] = 2 }
        == "manifest.json at format: expected trestle-click-model, version 1, found trestle-click-model, version 2"
    )
    #expect(
      try loading("manifest.json") { $0["files"] = [String: String]() }
        == "manifest.json at files: expected the hash of schema.json, found none")
    #expect(
      try loading("manifest.json") { $0["architecture"] = 3 }.contains("the manifest of a saved click model"))
    let changes: [(String, Any)] = [
      ("dimension", 0), ("dimension", Int.max), ("dimension", 5), ("crossLayers", 0),
      ("crossLayers", 1 << 40),
      ("hidden", [Int]()), ("hidden", [-1]), ("hidden", [1 << 40]), ("hidden", [7]), ("dropout", 1),
      ("dropout", -0.5),
      ("rank", 0), ("rank", 16), ("structure", "parallel"),
    ]
    for (key, value) in changes {
      let found = try loading("manifest.json") { root in
        var architecture = try #require(root["architecture"] as? [String: Any])
        var dcn = try #require(architecture["dcn"] as? [String: Any])
        var configuration = try #require(dcn["configuration"] as? [String: Any])
        configuration[key] = value
        dcn["configuration"] = configuration
        architecture["dcn"] = dcn
        root["architecture"] = architecture
      }
      #expect(found.contains("architecture") || found.contains("expected"), "\(key) \(value): \(found)")
      #expect(found != "no error", "\(key) \(value)")
    }
    #expect(try FittedClickModel(contentsOf: folder.url).name == "DCN-V2")
  }

  @Test func aSchemaThatNoTableHasIsRefused() throws {
    try FittedClickModel(model("DIN")).save(to: folder.url)
    func field(_ place: Int, _ value: [String: Any]) throws -> String {
      try loading("schema.json") { root in
        var fields = try #require(root["fields"] as? [[String: Any]])
        fields[place] = value
        root["fields"] = fields
      }
    }
    func number(_ mean: Any, _ deviation: Any) -> [String: Any] {
      ["name": "age", "kind": ["number": ["mean": mean, "deviation": deviation]]]
    }
    #expect(
      try field(0, number(3, 0))
        == "schema.json at age: expected a finite mean and a deviation above 0, found 3.0, 0.0")
    #expect(try field(0, number(3, -1)).contains("a deviation above 0"))
    #expect(try field(0, number("x", 1)).contains("expected columns and categories"))
    #expect(
      try field(1, ["name": "film", "kind": ["category": ["vocabulary": "other"]]])
        == "schema.json at film: expected its vocabulary other, found none")
    #expect(
      try field(1, ["name": "age", "kind": ["category": ["vocabulary": "film"]]])
        .contains("columns of different names, found 4, 3 names"))
    // Without its target, DIN has nothing to compare the history with.
    #expect(try field(1, ["name": "movie", "kind": ["category": ["vocabulary": "film"]]]).contains("DIN"))
    #expect(try loading("schema.json") { $0["fields"] = [[String: Any]]() }.contains("1 to 65536 columns"))
    func vocabulary(_ name: String, _ ids: [String]) throws -> String {
      try loading("schema.json") { root in
        var vocabularies = try #require(root["vocabularies"] as? [String: Any])
        vocabularies[name] = ids
        root["vocabularies"] = vocabularies
      }
    }
    #expect(try vocabulary("film", ["f1", "f1"]).contains("expected columns and categories"))
    #expect(try vocabulary("film", ["f1", ""]).contains("a vocabulary of a column"))
    #expect(try vocabulary("more", ["f1"]).contains("a vocabulary of a column"))
    #expect(try vocabulary("film", ["f1"]).contains("mismatch"))
    #expect(try FittedClickModel(contentsOf: folder.url).name == "DIN")
  }

  @Test func weightsOfAnotherModelAreRefused() throws {
    try FittedClickModel(model("FM")).save(to: folder.url)
    let file = folder.url.appending(path: "model.safetensors")
    let whole = try SafetensorsFile(file, access: .copied)
    var tensors: [String: Tensor] = [:]
    for name in whole.names { tensors[name] = try whole.tensor(name).copied() }
    func loading(_ change: (inout [String: Tensor]) throws -> Void) throws -> String {
      var changed = tensors
      try change(&changed)
      let fresh = folder.url.appending(path: "fresh")
      try SafetensorsWriter.write(
        changed.map { SafetensorsSource(name: $0.key, tensor: $0.value) }, to: fresh)
      try replace("model.safetensors", Data(contentsOf: fresh))
      return message { _ = try FittedClickModel(contentsOf: folder.url) }
    }
    let name = try #require(tensors.keys.sorted().first)
    let tensor = try #require(tensors[name])
    #expect(try loading { $0[name] = nil }.contains("missing"))
    #expect(try loading { $0["more"] = tensor }.contains("unexpected"))
    #expect(
      try loading { $0[name] = tensor.converted(to: .float64) }.contains("expected float32, found float64"))
    #expect(try loading { $0[name] = .zeros([2]) }.contains("expected"))
    #expect(try loading { $0[name] = tensor * Double.nan }.contains("expected finite numbers"))
    #expect(try loading { _ in } == "no error")
    // A byte that has changed without its hash.
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: file)
    #expect(message { _ = try FittedClickModel(contentsOf: folder.url) }.contains("SHA-256"))
  }

  @Test func onlyThePackagesModelsAreSaved() throws {
    final class Constant: ClickModel {
      let name = "Constant"
      let schema: FeatureSchema
      init(_ schema: FeatureSchema) { self.schema = schema }
      func logits(_ batch: FeatureBatch) -> Tensor { .zeros([batch.rowCount]) }
    }
    #expect(
      message { _ = try FittedClickModel(Constant(table.schema)) }
        == "expected one of the package's click models with a column at least, found Constant")
    #expect(
      message { _ = try FittedClickModel(LogisticRegression(FeatureSchema())) }.contains("a column at least"))
    #expect(
      message { _ = try FittedClickModel(contentsOf: folder.url) }.contains(
        "found a folder without manifest.json"))
  }
}
