import Foundation
import TrestleBridges
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A way in which a bridge breaks the contract.
public struct BridgeFailure: Sendable, CustomStringConvertible, Equatable {
  /// The rule that is broken.
  public let rule: String
  /// What was seen.
  public let description: String

  init(_ rule: String, _ seen: String) {
    self.rule = rule
    description = "\(rule): \(seen)"
  }
}

/// Holds a bridge to the contract of `SharingBridge`, on two small sides.
///
/// Checked are: phases with unique names, at least one epoch and known parameter groups; a composition that lacks a
/// needed capability fails by name; losses that are finite; a run that repeats in the same bits; a run that is stopped in
/// the middle of every phase and resumed by a new bridge ends in the same bits; a state that survives saving and loading;
/// recommenders that give finite scores.
///
/// - Parameters:
///   - seed: determines the sides.
///   - make: makes a new bridge, the same each time.
/// - Returns: what is broken; empty if all holds.
/// - Throws: what the bridge throws where it should not.
public func checkSharingBridge(seed: UInt64 = 0, _ make: () -> any SharingBridge) throws -> [BridgeFailure] {
  return try withSteadyInstructionSet {
    var failures = checkPhases(make())
    failures += try checkRequirements(make(), seed)
    let (whole, records) = try trained(make(), seed, folder: nil)
    failures += checkRecords(records, make().phases)
    let (again, _) = try trained(make(), seed, folder: nil)
    if whole != again {
      failures.append(BridgeFailure("the same seed gives the same bits", differences(whole, again)))
    }
    failures += try checkResuming(make, seed, whole)
    return failures
  }
}

private func checkPhases(_ bridge: any SharingBridge) -> [BridgeFailure] {
  var failures: [BridgeFailure] = []
  let names = bridge.phases.map(\.name)
  if names.isEmpty { failures.append(BridgeFailure("a bridge has phases", "none")) }
  if Set(names).count != names.count {
    failures.append(BridgeFailure("phases have unique names", names.joined(separator: ", ")))
  }
  for phase in bridge.phases where phase.epochs < 1 {
    failures.append(BridgeFailure("a phase has an epoch", "'\(phase.name)' has \(phase.epochs)"))
  }
  return failures
}

/// A side that can do nothing.
private final class BareSide: BridgeSide {
  let name = "bare"
  let role: SideRole
  let vocabulary: EntityVocabulary

  init(_ role: SideRole, _ vocabulary: EntityVocabulary) {
    self.role = role
    self.vocabulary = vocabulary
  }
}

private func checkRequirements(_ bridge: any SharingBridge, _ seed: UInt64) throws -> [BridgeFailure] {
  let composition = try SmallComposition(seed: seed)
  let vocabulary = composition.domain.vocabulary
  var failures: [BridgeFailure] = []
  for role in SideRole.allCases where bridge.requirements[role]?.isEmpty == false {
    let bare = BareSide(role, vocabulary)
    let context = try BridgeContext(
      domain: role == .domain ? bare : composition.domain,
      language: role == .language ? bare : composition.language,
      split: composition.context.split)
    do {
      _ = try BridgeTrainer(bridge, context)
      failures.append(
        BridgeFailure("a side that lacks a capability is refused", "the \(role.rawValue) side was not"))
    } catch BridgeError.missingCapability { continue }
  }
  for role in SideRole.allCases {
    let side: any BridgeSide = role == .domain ? composition.domain : composition.language
    let known = Set((side as? any ParameterGroups)?.parameterGroups.map(\.name) ?? [])
    for phase in bridge.phases where phase.side == role {
      guard let groups = phase.groups, !groups.isSubset(of: known) else { continue }
      failures.append(
        BridgeFailure(
          "phases train groups that exist",
          "'\(phase.name)' names \(groups.subtracting(known).sorted().joined(separator: ", "))"))
    }
  }
  return failures
}

private func checkRecords(_ records: [BridgeEpochRecord], _ phases: [BridgePhase]) -> [BridgeFailure] {
  var failures: [BridgeFailure] = []
  for record in records where !record.loss.isFinite || !record.bridgeLoss.isFinite {
    failures.append(
      BridgeFailure(
        "losses are finite", "'\(record.phase)', epoch \(record.epoch): \(record.loss), \(record.bridgeLoss)")
    )
  }
  for phase in phases where !records.contains(where: { $0.phase == phase.name }) {
    failures.append(BridgeFailure("every phase trains", "'\(phase.name)' did not"))
  }
  return failures
}

/// Everything that a run leaves: the sides' parameters, the bridge's state and the recommenders' scores, as bits.
private func trained(
  _ bridge: any SharingBridge, _ seed: UInt64, folder: URL?, stopAfter: Int? = nil
) throws -> (bits: [String: [UInt32]], records: [BridgeEpochRecord]) {
  let composition = try SmallComposition(seed: seed)
  let trainer = try BridgeTrainer(bridge, composition.context, folder: folder, fingerprint: "check")
  var batches = 0
  trainer.onProgress = { [unowned trainer] _ in
    batches += 1
    if batches == stopAfter { trainer.requestStop() }
  }
  try trainer.run()
  var bits: [String: [UInt32]] = [:]
  for side in [composition.domain, composition.language] as [any ParameterGroups] {
    for (name, parameter) in side.parameterGroups.flatMap(\.parameters) {
      bits["\(side.role.rawValue).\(name)"] = parameter.detached.floats.map(\.bitPattern)
    }
  }
  for (name, tensor) in bridge.saveState().tensors { bits["state.\(name)"] = tensor.floats.map(\.bitPattern) }
  let recommenders = try bridge.recommenders(composition.context)
  let named = [
    ("domain", recommenders.domain), ("language", recommenders.language), ("fused", recommenders.fused),
  ]
  for case (let name, let scorer?) in named {
    var scores = [Float](repeating: 0, count: 4 * scorer.itemCount)
    var batch = try scorer.prepare(users: [0, 1, 2, 3])
    try batch.write(items: 0..<scorer.itemCount, into: &scores)
    if scores.contains(where: \.isNaN) {
      throw TensorError.nonFinite(
        operation: "\(name) scores", phase: .forward, shape: [4, scorer.itemCount], index: 0)
    }
    bits["scores.\(name)"] = scores.map(\.bitPattern)
  }
  return (bits, trainer.records)
}

private func checkResuming(
  _ make: () -> any SharingBridge, _ seed: UInt64, _ whole: [String: [UInt32]]
) throws -> [BridgeFailure] {
  var failures: [BridgeFailure] = []
  let folder = FileManager.default.temporaryDirectory.appending(path: "bridge-check-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: folder) }
  var stops = 0
  // Stop after every seventh batch, and go on with a new bridge and new sides, until a run ends by itself.
  while true {
    do {
      let (bits, _) = try trained(make(), seed, folder: folder, stopAfter: 7)
      if bits != whole {
        failures.append(
          BridgeFailure("a run stopped \(stops) times ends in the same bits", differences(whole, bits)))
      }
      return failures
    } catch BridgeError.interrupted { stops += 1 }
    if stops > 10_000 { return [BridgeFailure("a run ends", "it was resumed \(stops) times")] }
  }
}

private func differences(_ a: [String: [UInt32]], _ b: [String: [UInt32]]) -> String {
  let names = Set(a.keys).union(b.keys).sorted().filter { a[$0] != b[$0] }
  return "\(names.count) tensors differ: \(names.prefix(4).joined(separator: ", "))"
}
