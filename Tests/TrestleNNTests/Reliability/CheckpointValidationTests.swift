import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor

/// A checkpoint whose numbers no training leaves behind is refused, and changes nothing.
@Suite struct CheckpointValidationTests {
  private struct Cursor: Codable { var step: Int }

  private final class Training {
    let model: MLP
    let optimizer: AdamW

    init(seed: UInt64) {
      var generator = RandomGenerator(seed: seed)
      model = MLP(widths: [4, 5, 2], dropout: 0.3, using: &generator)
      optimizer = AdamW(model.parameters, learningRate: 0.01)
      optimizer.schedule = .linear(warmup: 2, total: 20)
    }

    func step() {
      let (_, gradients) = valueAndGradients(of: model.parameters) {
        Losses.crossEntropy(model(Tensor.ones([3, 4])), labels: Tensor([0, 1, 0] as [Int32]))
      }
      optimizer.update(with: gradients)
    }

    func save(to folder: URL) throws {
      try Checkpoint.save(
        model, optimizers: ["": optimizer], generators: ["data": RandomGenerator(seed: 2)],
        cursor: Cursor(step: 1), to: folder)
    }

    func load(from folder: URL, check: (Cursor) throws -> Void = { _ in }) throws {
      _ = try Checkpoint.load(
        Cursor.self, from: folder, into: model, optimizers: ["": optimizer], validatingCursor: check)
    }
  }

  private func withSaved(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "checkpoint-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let training = Training(seed: 1)
    training.step()
    try training.save(to: folder)
    try body(folder)
  }

  private func expectRefused(_ folder: URL, _ what: String, check: (Cursor) throws -> Void = { _ in }) {
    let training = Training(seed: 2)
    let before = training.model.parameters.map { $0.detached.floats }
    #expect(throws: (any Error).self, "\(what)") { try training.load(from: folder, check: check) }
    #expect(training.model.parameters.map { $0.detached.floats } == before, "\(what)")
    #expect(training.optimizer.stepCount == 0, "\(what)")
  }

  private func edit(_ folder: URL, _ old: String, _ new: String) throws -> String? {
    let url = folder.appending(path: "checkpoint.json")
    let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
    guard let range = text.range(of: old) else { return nil }
    try Data(text.replacingCharacters(in: range, with: new).utf8).write(to: url)
    return text
  }

  @Test(arguments: [
    ("\"stepCount\" : 1", "\"stepCount\" : 9223372036854775807"), ("\"stepCount\" : 1", "\"stepCount\" : -1"),
    ("\"updateCount\" : 1", "\"updateCount\" : 9223372036854775807"),
    ("\"updateCount\" : 1", "\"updateCount\" : -3"), ("\"updateCount\" : 1", "\"updateCount\" : 0"),
    ("\"warmup\" : 2", "\"warmup\" : -9223372036854775808"),
    ("\"total\" : 20", "\"total\" : 9223372036854775807"), ("\"byteCount\" : ", "\"byteCount\" : -"),
    ("\"learningRate\" : 0.01", "\"learningRate\" : 1e90"),
    ("\"weightDecay\" : 0.01", "\"weightDecay\" : 1e90"), ("\"multiplier\" : 1", "\"multiplier\" : -1e90"),
  ])
  func numbersOutOfRangeAreRefused(old: String, new: String) throws {
    try withSaved { folder in
      let text = try edit(folder, old, new)
      try #require(text != nil, "the manifest has no \(old)")
      expectRefused(folder, new)
    }
  }

  @Test func aGeneratorOfZerosIsRefused() throws {
    try withSaved { folder in
      let url = folder.appending(path: "checkpoint.json")
      var root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
      root["generators"] = ["data": ["s0": 0, "s1": 0, "s2": 0, "s3": 0]]
      try JSONSerialization.data(withJSONObject: root).write(to: url)
      expectRefused(folder, "zeros")
    }
    var generator = RandomGenerator(seed: 5)
    let text = try JSONEncoder().encode(generator)
    var again = try JSONDecoder().decode(RandomGenerator.self, from: text)
    #expect(again.next() == generator.next())
  }

  @Test func momentsOfAnotherTypeAreRefused() throws {
    try withSaved { folder in
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasSuffix("safetensors") }
      )
      let url = folder.appending(path: name)
      let file = try SafetensorsFile(url, access: .copied)
      let sources = try file.names.map { name in
        let tensor = try file.tensor(name)
        return SafetensorsSource(
          name: name, tensor: name.contains("/mean/") ? tensor.converted(to: .float64) : tensor)
      }
      try SafetensorsWriter.write(sources, to: url)
      // Size and hash are those of the other file: somebody has made both.
      let bytes = try Array(Data(contentsOf: url))
      var hash = SHA256()
      hash.update(bytes)
      let manifest = folder.appending(path: "checkpoint.json")
      var root = try #require(
        try JSONSerialization.jsonObject(with: Data(contentsOf: manifest)) as? [String: Any])
      root["tensors"] = ["name": name, "byteCount": bytes.count, "sha256": hash.hexadecimal()]
      try JSONSerialization.data(withJSONObject: root).write(to: manifest)
      expectRefused(folder, "float64 moments")
    }
  }

  @Test func theCallersCheckComesBeforeAnyChange() throws {
    struct Foreign: Error {}
    try withSaved { folder in
      expectRefused(folder, "the caller's check") { cursor in
        #expect(cursor.step == 1)
        throw Foreign()
      }
      try Training(seed: 2).load(from: folder)
    }
  }

  @Test func aManifestInAPipeIsRefused() throws {
    try withSaved { folder in
      let manifest = folder.appending(path: "checkpoint.json")
      try FileManager.default.removeItem(at: manifest)
      #expect(mkfifo(manifest.path, 0o600) == 0)
      expectRefused(folder, "a pipe")
    }
  }

  @Test func tensorsOutsideTheFolderAreRefused() throws {
    for name in ["tensors-/\u{338}../x", "tensors-0/../../x", "tensors-\u{0}"] {
      try withSaved { folder in
        let manifest = folder.appending(path: "checkpoint.json")
        var root = try #require(
          try JSONSerialization.jsonObject(with: Data(contentsOf: manifest)) as? [String: Any])
        var tensors = try #require(root["tensors"] as? [String: Any])
        tensors["name"] = name
        root["tensors"] = tensors
        try JSONSerialization.data(withJSONObject: root).write(to: manifest)
        let training = Training(seed: 2)
        do {
          try training.load(from: folder)
          Issue.record("loaded")
        } catch let error as NNError {
          guard case .foreign = error else {
            Issue.record("\(error)")
            return
          }
          #expect(!"\(error)".unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
      }
    }
  }
}
