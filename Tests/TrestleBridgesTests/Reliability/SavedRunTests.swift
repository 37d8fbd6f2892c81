import Foundation
import Testing
import TrestleBridges
import TrestleFormats
import TrestleTensor
import TrestleTestSupport

/// A bridge's run takes over all of a checkpoint or nothing of it.
@Suite struct SavedRunTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "saved-run-\(UUID().uuidString)")
  }

  private func trainer(_ composition: SmallComposition) throws -> BridgeTrainer {
    let phase = BridgePhase(name: "domain", side: .domain, epochs: 3)
    let language = BridgePhase(name: "language", side: .language, epochs: 1)
    return try BridgeTrainer(
      BridgeStrategy(name: "plain", phases: [phase, language]), composition.context, folder: folder)
  }

  private var url: URL { folder.appending(path: "checkpoint.safetensors") }

  /// A run that was stopped in its second epoch.
  private func withStoppedRun(_ body: () throws -> Void) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let first = try trainer(SmallComposition(seed: 1, users: 20, items: 12))
    first.onEpoch = { [weak first] _ in first?.requestStop() }
    #expect(throws: BridgeError.self) { try first.run() }
    try body()
  }

  private func rewrite(
    header change: (inout [String: Any]) throws -> Void = { _ in },
    tensors convert: (String, Tensor) -> Tensor? = { $1 }
  ) throws {
    let file = try SafetensorsFile(url, access: .copied)
    var root = try #require(
      try JSONSerialization.jsonObject(with: Data((file.metadata["run"] ?? "").utf8)) as? [String: Any])
    try change(&root)
    let text = String(decoding: try JSONSerialization.data(withJSONObject: root), as: UTF8.self)
    let sources = try file.names.compactMap { name in
      convert(name, try file.tensor(name)).map { SafetensorsSource(name: name, tensor: $0) }
    }
    try SafetensorsWriter.write(sources, metadata: ["run": text], to: url)
  }

  /// A tensor of the same shape and another type; numbers are not converted to whole ones.
  private static func retyped(_ tensor: Tensor, _ dtype: DType) -> Tensor {
    if dtype != .int32 { return tensor.converted(to: dtype) }
    return Tensor([Int32](repeating: 1, count: tensor.elementCount), shape: tensor.shape)
  }

  private func expectRefused(_ what: String) throws {
    let composition = try SmallComposition(seed: 1, users: 20, items: 12)
    let groups = composition.domain.parameterGroups + composition.language.parameterGroups
    let parameters = groups.flatMap(\.parameters).map(\.parameter)
    let before = parameters.map { $0.detached.floats }
    #expect(throws: (any Error).self, "\(what)") { try trainer(composition).run() }
    #expect(parameters.map { $0.detached.floats } == before, "\(what)")
  }

  private nonisolated(unsafe) static let cursors: [(String, Any)] = [
    ("phase", -1), ("phase", Int.max), ("epoch", -1), ("epoch", Int.max), ("batch", -1), ("batch", Int.max),
    ("examples", Int.max), ("examples", -1), ("sinceBest", -2), ("sinceBest", Int.max),
    ("epochsOf", ["domain": -1]), ("epochsOf", ["domain": Int.max]), ("epochsOf", ["x": 1]),
  ]

  @Test(arguments: cursors.indices)
  func placesOutOfRangeAreRefused(index: Int) throws {
    let (key, value) = Self.cursors[index]
    try withStoppedRun {
      try rewrite(header: { root in
        var cursor = try #require(root["cursor"] as? [String: Any])
        cursor[key] = value
        root["cursor"] = cursor
      })
      try expectRefused("\(key) \(value)")
    }
  }

  @Test(arguments: [-1, 0, Int.max])
  func updateCountsOutOfRangeAreRefused(count: Int) throws {
    try withStoppedRun {
      try rewrite(header: { root in
        var updates = try #require(root["updates"] as? [String: [String: Int]])
        for (role, names) in updates { updates[role] = names.mapValues { _ in count } }
        root["updates"] = updates
      })
      try expectRefused("\(count) updates")
    }
  }

  @Test(arguments: ["domain.value.", "domain.mean.", "domain.variance.", "best.", "language.value."])
  func tensorsOfAnotherTypeAreRefused(prefix: String) throws {
    for dtype in [DType.float64, .int32] {
      try withStoppedRun {
        var last = ""
        for name in try SafetensorsFile(url).names where name.hasPrefix(prefix) { last = name }
        try #require(!last.isEmpty)
        // The last one: by then all others have been read.
        try rewrite(tensors: { $0 == last ? Self.retyped($1, dtype) : $1 })
        try expectRefused("\(last) of \(dtype)")
      }
    }
  }

  @Test func aMissingBestStateIsAnError() throws {
    try withStoppedRun {
      try rewrite(tensors: { $0.hasPrefix("best.") ? nil : $1 })
      try expectRefused("no best state")
    }
  }

  @Test func aCheckpointOfAnotherRunChangesNothing() throws {
    try withStoppedRun {
      try rewrite(header: { $0["splitHash"] = "another" })
      try expectRefused("another split")
      try rewrite(header: {
        $0["splitHash"] = try SmallComposition(seed: 1, users: 20, items: 12).context.split.hash
      })
      try trainer(SmallComposition(seed: 1, users: 20, items: 12)).run()
    }
  }

  @Test func aRefusedLanguageSideChangesNothing() throws {
    try withStoppedRun {
      let side = try SmallComposition(seed: 1, users: 20, items: 12).language
      let url = folder.appending(path: "language.safetensors")
      try side.save(to: url)
      let file = try SafetensorsFile(url, access: .copied)
      let last = side.parameterGroups.flatMap(\.parameters).map(\.name).last
      for dtype in [DType.int32, .float64] {
        let sources = try file.names.map { name in
          let tensor = try file.tensor(name)
          return SafetensorsSource(name: name, tensor: name == last ? Self.retyped(tensor, dtype) : tensor)
        }
        try SafetensorsWriter.write(sources, metadata: file.metadata, to: url)
        let other = try SmallComposition(seed: 1, users: 20, items: 12).language
        let before = other.parameterGroups.flatMap(\.parameters).map { $0.parameter.detached.floats }
        #expect(throws: (any Error).self) { try other.load(from: url) }
        #expect(other.parameterGroups.flatMap(\.parameters).map { $0.parameter.detached.floats } == before)
      }
    }
  }
}
