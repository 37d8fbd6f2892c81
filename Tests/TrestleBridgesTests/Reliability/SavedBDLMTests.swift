import Foundation
import Testing
import TrestleBridges
import TrestleTensor
import TrestleTestSupport

/// BDLM's store, maps and records: what a state holds is checked where it is read, and a figure without a value does not
/// keep a run from being saved.
@Suite struct SavedBDLMTests {
  /// Settings that have been renamed since 0.1.0 are saved, and read, under their former names.
  @Test func renamedSettingsKeepTheirKeys() throws {
    func saved(_ value: some Encodable) throws -> String {
      String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
    }
    var side = LanguageSide.Configuration()
    side.batchItems = 7
    let text = try saved(side)
    #expect(text.contains("\"batchTokens\":7"))
    #expect(try JSONDecoder().decode(LanguageSide.Configuration.self, from: Data(text.utf8)) == side)
    for (distance, name) in [
      (BDLMStrategy.Distance.squaredDistanceOfUnitRows, "squaredError"),
      (.squaredDistance, "squaredDifference"),
    ] {
      #expect(try saved(distance) == "{\"\(name)\":{}}")
      let old = Data("{\"\(name)\":{}}".utf8)
      #expect(try JSONDecoder().decode(BDLMStrategy.Distance.self, from: old) == distance)
    }
  }

  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "saved-bdlm-\(UUID().uuidString)")
  }

  private func bridge() -> BDLMStrategy {
    var configuration = BDLMStrategy.Configuration()
    configuration.sharing.width = 16
    var schedule = BDLMStrategy.Schedule()
    (schedule.warmUpEpochs, schedule.tuningEpochs, schedule.rounds, schedule.roundDomainEpochs) = (1, 1, 1, 1)
    return BDLMStrategy(configuration, schedule: schedule)
  }

  private func composition() throws -> SmallComposition {
    try SmallComposition(seed: 5, users: 12, items: 10)
  }

  /// A bridge after a whole run, with both kinds of maps.
  private func trained() throws -> (bridge: BDLMStrategy, context: BridgeContext) {
    let bridge = bridge()
    let context = try composition().context
    try BridgeTrainer(bridge, context).run()
    return (bridge, context)
  }

  @Test func stateOfAWholeRunIsTakenOver() throws {
    let (bridge, context) = try trained()
    let state = bridge.saveState()
    #expect(state.tensors["map.item.basis"]?.shape == [16, 24])
    #expect(state.tensors["map.user.weight"]?.shape == [24, 16])
    let other = self.bridge()
    try other.loadState(state, context)
    let again = other.saveState()
    #expect(again.values == state.values)
    #expect(again.tensors.mapValues(\.floatsOfAnyType) == state.tensors.mapValues(\.floatsOfAnyType))
  }

  private static let damages: [(name: String, tensor: Tensor)] = [
    ("map.item.basis", Tensor.zeros([16, 23])), ("map.item.basis", Tensor.zeros([15, 24])),
    ("map.item.basis", Tensor.zeros([16, 24]).converted(to: .float64)),
    ("map.item.basis", Tensor.zeros([16])),
    ("map.item.basis", Tensor.full([16, 24], .infinity)), ("map.item.mean", Tensor.zeros([16])),
    ("map.item.mean", Tensor.full([24], .nan)), ("map.user.weight", Tensor.zeros([23, 16])),
    ("map.user.weight", Tensor.zeros([24, 17])),
    ("map.user.weight", Tensor([Int32](repeating: 1, count: 384), shape: [24, 16])),
    ("map.user.input_mean", Tensor.zeros([16])), ("map.user.output_mean", Tensor.zeros([24])),
    ("first_items", Tensor.zeros([9, 16])), ("sharing.items.rows", Tensor.full([10, 16], .nan)),
    ("sharing.users.versions", Tensor([Int32](repeating: .max, count: 12))),
    ("sharing.users.versions", Tensor([Int32](repeating: -1, count: 12))),
    ("sharing.items.domain_writes", Tensor([Int32](repeating: 1000, count: 10))),
    ("sharing.items.last_writers", Tensor([Int32](repeating: 2, count: 10))),
  ]

  @Test func mapsAndStoresThatDoNotFitAreRefused() throws {
    let (bridge, context) = try trained()
    let whole = bridge.saveState()
    for (name, tensor) in Self.damages {
      var state = whole
      state.tensors[name] = tensor
      #expect(throws: BridgeError.self, "\(name) \(tensor.dtype) \(tensor.shape)") {
        try bridge.loadState(state, context)
      }
      #expect(bridge.saveState().values == whole.values)
    }
    for (name, text) in [
      ("map.item.scale", "0"), ("map.item.scale", "nan"), ("map.item.scale", "inf"), ("map.item.scale", "x"),
      ("writings", "{"), ("writings", #"[{"phase": 1}]"#),
    ] {
      var state = whole
      state.values[name] = text
      #expect(throws: BridgeError.self, "\(name) \(text)") { try bridge.loadState(state, context) }
    }
    #expect(
      bridge.saveState().tensors.mapValues(\.floatsOfAnyType) == whole.tensors.mapValues(\.floatsOfAnyType))
  }

  /// Reports figures that are no numbers.
  private final class Restless: BridgeStrategy {
    override var notes: [String: Double] { ["up": .infinity, "down": -.infinity, "lost": .nan, "kept": 0.5] }
  }

  @Test func figuresWithoutAValueAreSavedAndReadAgain() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let phase = BridgePhase(name: "domain", side: .domain, epochs: 2)
    func trainer() throws -> BridgeTrainer {
      try BridgeTrainer(Restless(name: "restless", phases: [phase]), composition().context, folder: folder)
    }
    try trainer().run()
    let resumed = try trainer()
    try resumed.run()
    #expect(resumed.records.count == 2)
    let notes = try #require(resumed.records.last?.notes)
    #expect(notes["up"] == .infinity && notes["down"] == -.infinity && notes["kept"] == 0.5)
    #expect(notes["lost"]?.isNaN == true)
  }
}

extension Tensor {
  /// The numbers' bits, whatever their type.
  fileprivate var floatsOfAnyType: [UInt32] {
    dtype == .int32
      ? scalars(as: Int32.self).map { UInt32(bitPattern: $0) } : detached.floats.map(\.bitPattern)
  }
}
