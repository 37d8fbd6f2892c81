import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

@Suite struct CheckpointTests {
  private struct Cursor: Codable { var step: Int }

  private final class Model: Module {
    let table: Embedding
    let mlp: MLP
    init(seed: UInt64, width: Int = 6) {
      var generator = RandomGenerator(seed: seed)
      table = Embedding(count: 40, width: width, using: &generator)
      mlp = MLP(widths: [width, 9, 3], dropout: 0.3, using: &generator)
    }
  }

  /// A training of two optimizers whose whole state is in a checkpoint.
  private final class Training {
    let model: Model
    let optimizers: [String: Optimizer]
    var generator = RandomGenerator(seed: 99)
    var step = 0

    init(seed: UInt64) {
      model = Model(seed: seed)
      let adam = AdamW(groups: [
        ParameterGroup(
          name: "table", parameters: model.table.parameters, learningRate: 0.05, weightDecay: 0.1)
      ])
      adam.schedule = .cosine(warmup: 3, total: 30)
      adam.maximumNorm = 0.5
      let sgd = SGD(model.mlp.parameters, learningRate: 0.1, momentum: 0.9)
      optimizers = ["table": adam, "mlp": sgd]
    }

    func run(to end: Int) {
      while step < end {
        let indices = Tensor((0..<8).map { _ in Int32(generator.index(below: 40)) })
        let labels = Tensor((0..<8).map { _ in Int32(generator.index(below: 3)) })
        let (_, gradients) = valueAndGradients(of: model.parameters) {
          Losses.crossEntropy(model.mlp(model.table(indices)), labels: labels)
        }
        for optimizer in optimizers.values { optimizer.update(with: gradients) }
        step += 1
      }
    }

    func save(to folder: URL) throws {
      try Checkpoint.save(
        model, optimizers: optimizers, generators: ["data": generator], cursor: Cursor(step: step), to: folder
      )
    }

    func load(from folder: URL) throws {
      let restored = try Checkpoint.load(Cursor.self, from: folder, into: model, optimizers: optimizers)
      generator = try #require(restored.generators["data"])
      step = restored.cursor.step
    }
  }

  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "checkpoint-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test func aResumedTrainingGivesTheSameBits() throws {
    try withSteadyInstructionSet {
      let whole = Training(seed: 1)
      whole.run(to: 25)
      var generator = RandomGenerator(seed: 7)
      for _ in 0..<4 {
        try withFolder { folder in
          var training = Training(seed: 1)
          var stop = 0
          while stop < 25 {
            stop = min(25, stop + 1 + generator.index(below: 9))
            training.run(to: stop)
            try training.save(to: folder)
            // Another start, so that nothing can be left over from it.
            training = Training(seed: 2)
            try training.load(from: folder)
          }
          for (a, b) in zip(training.model.parameters, whole.model.parameters) {
            let mismatch = Mismatch.inBits(a.detached, b.detached, in: "resumed")
            #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
          }
          let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
          #expect(files.count == 2, "\(files)")
        }
      }
    }
  }

  @Test func aTornCheckpointIsRefusedAndChangesNothing() throws {
    try withFolder { folder in
      let training = Training(seed: 1)
      training.run(to: 3)
      try training.save(to: folder)
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasSuffix("safetensors") }
      )
      let file = folder.appending(path: name)
      let bytes = try Data(contentsOf: file)
      let fresh = Training(seed: 2)
      let before = fresh.model.parameters.map(\.detached.floats)
      func expectTorn() {
        #expect {
          try fresh.load(from: folder)
        } throws: { error in
          if case NNError.torn = error { true } else { false }
        }
        #expect(fresh.model.parameters.map(\.detached.floats) == before && fresh.step == 0)
      }
      try bytes.prefix(bytes.count - 5).write(to: file)
      expectTorn()
      var changed = bytes
      changed[bytes.count - 3] ^= 1
      try changed.write(to: file)
      expectTorn()
      try FileManager.default.removeItem(at: file)
      expectTorn()
      try bytes.write(to: file)
      try fresh.load(from: folder)
      #expect(fresh.step == 3)
    }
  }

  @Test func foreignManifestsAreRefused() throws {
    try withFolder { folder in
      let training = Training(seed: 1)
      #expect(throws: FormatError.self) { try training.load(from: folder) }
      try training.save(to: folder)
      let manifest = folder.appending(path: "checkpoint.json")
      let text = try String(contentsOf: manifest, encoding: .utf8)
      for changed in [
        "{}", "[1, 2]", text.replacingOccurrences(of: "trestle-checkpoint", with: "other"),
        text.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 2"),
        text.replacingOccurrences(of: "tensors-0", with: "../tensors-0"),
        text.replacingOccurrences(of: "\"step\"", with: "\"place\""),
      ] {
        try changed.write(to: manifest, atomically: true, encoding: .utf8)
        #expect {
          try training.load(from: folder)
        } throws: { error in
          if case NNError.foreign = error { true } else { false }
        }
      }
      try String(text.prefix(text.count / 2)).write(to: manifest, atomically: true, encoding: .utf8)
      #expect(throws: FormatError.self) { try training.load(from: folder) }
    }
  }

  @Test func anotherModelsCheckpointIsRefusedByName() throws {
    try withFolder { folder in
      try Training(seed: 1).save(to: folder)
      let wide = Model(seed: 1, width: 7)
      let optimizers = ["table": AdamW(wide.table.parameters), "mlp": AdamW(wide.mlp.parameters)]
      #expect {
        try Checkpoint.load(Cursor.self, from: folder, into: wide, optimizers: optimizers)
      } throws: { error in
        if case NNError.mismatch(let details) = error {
          details.place == "parameters/table.weight"
        } else {
          false
        }
      }
    }
  }

  @Test func aModuleLoadsWhatItSavedAndNamesWhatDoesNotFit() throws {
    try withFolder { folder in
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let url = folder.appending(path: "model.safetensors")
      let (first, second) = (Model(seed: 1), Model(seed: 2))
      try first.save(to: url)
      try second.load(from: SafetensorsFile(url))
      #expect(second.parameters.map(\.detached.floats) == first.parameters.map(\.detached.floats))
      #expect {
        try first.mlp.load(from: SafetensorsFile(url))
      } throws: { error in
        if case NNError.missing(let details) = error {
          details.expected.contains("layers.0.weight")
        } else {
          false
        }
      }
      func inner(_ name: String) -> String { name.replacingOccurrences(of: "mlp.", with: "") }
      #expect {
        try first.mlp.load(from: SafetensorsFile(url), rename: inner)
      } throws: { error in
        if case NNError.unexpected(let details) = error {
          details.found.contains("table.weight")
        } else {
          false
        }
      }
      try first.mlp.load(from: SafetensorsFile(url), isStrict: false, rename: inner)
      #expect {
        try Model(seed: 1, width: 5).load(from: SafetensorsFile(url))
      } throws: { error in
        if case NNError.mismatch(let details) = error { details.place == "table.weight" } else { false }
      }
      // A view over the file stays intact when training moves the parameter.
      let (_, gradients) = valueAndGradients(of: second.parameters) {
        second.mlp(second.table.weight.value).sum()
      }
      SGD(second.parameters, learningRate: 1).update(with: gradients)
      #expect(second.table.weight.detached.floats != first.table.weight.detached.floats)
      let third = Model(seed: 3)
      try third.load(from: SafetensorsFile(url))
      #expect(third.parameters.map(\.detached.floats) == first.parameters.map(\.detached.floats))
    }
  }
}
