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
/// needed capability fails by name; losses that are finite; added losses that reach a trained parameter, and parameters of the
/// bridge's own that are reached; a run that repeats in the same bits; a run that is stopped in
/// the middle of every phase and resumed by a new bridge ends in the same bits; a state that survives saving and loading;
/// recommenders that give finite scores.
///
/// - Parameters:
///   - seed: determines the sides.
///   - compose: makes the sides, the same each time; by default a ``SmallComposition``.
///   - make: makes a new bridge, the same each time.
/// - Returns: what is broken; empty if all holds.
/// - Throws: what the bridge throws where it should not.
public func checkSharingBridge(
  seed: UInt64 = 0, composing compose: ((UInt64) throws -> BridgeContext)? = nil,
  _ make: () -> any SharingBridge
) throws -> [BridgeFailure] {
  return try withSteadyInstructionSet {
    let context = { try compose?(seed) ?? SmallComposition(seed: seed).context }
    var failures = checkPhases(make())
    failures += try checkRequirements(make(), try context())
    failures += try checkGradients(make(), try context())
    let (whole, records) = try trained(make(), try context(), folder: nil)
    failures += checkRecords(records, make().phases)
    let (again, _) = try trained(make(), try context(), folder: nil)
    if whole != again {
      failures.append(BridgeFailure("the same seed gives the same bits", differences(whole, again)))
    }
    failures += try checkResuming(make, context, whole)
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

private func checkRequirements(
  _ bridge: any SharingBridge, _ composition: BridgeContext
) throws -> [BridgeFailure] {
  let vocabulary = composition.domain.vocabulary
  var failures: [BridgeFailure] = []
  for role in SideRole.allCases where bridge.requirements[role]?.isEmpty == false {
    let bare = BareSide(role, vocabulary)
    let context = try BridgeContext(
      domain: role == .domain ? bare : composition.domain,
      language: role == .language ? bare : composition.language,
      split: composition.split)
    do {
      _ = try BridgeTrainer(bridge, context)
      failures.append(
        BridgeFailure("a side that lacks a capability is refused", "the \(role.rawValue) side was not"))
    } catch BridgeError.missingCapability { continue }
  }
  for role in SideRole.allCases {
    let known = Set((composition.side(role) as? any ParameterGroups)?.parameterGroups.map(\.name) ?? [])
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

/// At the end of each phase takes the gradient of what the bridge adds to the loss of one batch.
private func checkGradients(_ bridge: any SharingBridge, _ context: BridgeContext) throws -> [BridgeFailure] {
  var failures: [BridgeFailure] = []
  let trainer = try BridgeTrainer(bridge, context)
  let last = Dictionary(bridge.phases.map { ($0.name, $0.epochs - 1) }) { first, _ in first }
  var checked = Set<String>()
  var failure: (any Error)?
  trainer.onProgress = { [unowned trainer] progress in
    let phase = progress.phase
    guard failure == nil, progress.epoch == 0 || progress.epoch == last[phase.name],
      progress.batch == progress.batchCount, checked.insert("\(phase.name) \(progress.epoch)").inserted
    else { return }
    do { failures += try unreached(bridge, phase, context, trainer) } catch { failure = error }
  }
  try trainer.run()
  if let failure { throw failure }
  return failures
}

private func unreached(
  _ bridge: any SharingBridge, _ phase: BridgePhase, _ context: BridgeContext, _ trainer: BridgeTrainer
) throws -> [BridgeFailure] {
  guard let side = context.side(phase.side) as? any TrainableSide,
    let batch = side.batches(epoch: 0).first(where: { _ in true })
  else { return [] }
  let own = bridge.parameterGroups(in: phase)
  let parameters = (side.parameterGroups + own).flatMap { $0.parameters.map(\.parameter) }
    .filter(\.isTrainable)
  func reaches(_ gradients: Gradients, _ parameters: [Parameter]) -> Bool {
    parameters.contains { gradients[$0].map { $0.dense().floats.contains { $0 != 0 } } ?? false }
  }
  var adds = false
  let added = try valueAndGradients(of: parameters) {
    let step = try trainer.step(on: batch, of: side, in: phase)
    let extra = try bridge.additionalLoss(step, in: phase, context)
    adds = extra != nil
    return extra ?? step.loss * 0
  }.gradients
  var failures: [BridgeFailure] = []
  if adds && !reaches(added, parameters) {
    failures.append(BridgeFailure("an added loss reaches a trained parameter", "'\(phase.name)': none"))
  }
  let whole = try valueAndGradients(of: parameters) {
    let step = try trainer.step(on: batch, of: side, in: phase)
    let extra = try bridge.additionalLoss(step, in: phase, context)
    let loss = step.loss * bridge.ownLossWeight(in: phase)
    return extra.map { loss + $0 } ?? loss
  }.gradients
  for group in own where !reaches(whole, group.parameters.map(\.parameter)) {
    failures.append(
      BridgeFailure("the bridge's own parameters are reached", "'\(phase.name)': not '\(group.name)'"))
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
  _ bridge: any SharingBridge, _ context: BridgeContext, folder: URL?, stopAfter: Int? = nil
) throws -> (bits: [String: [UInt32]], records: [BridgeEpochRecord]) {
  let trainer = try BridgeTrainer(bridge, context, folder: folder, fingerprint: "check")
  var batches = 0
  trainer.onProgress = { [unowned trainer] _ in
    batches += 1
    if batches == stopAfter { trainer.requestStop() }
  }
  try trainer.run()
  var bits: [String: [UInt32]] = [:]
  for case let side as any ParameterGroups in [context.domain, context.language] {
    for (name, parameter) in side.parameterGroups.flatMap(\.parameters) {
      bits["\(side.role.rawValue).\(name)"] = parameter.detached.floats.map(\.bitPattern)
    }
  }
  for (name, parameter) in bridge.phases.flatMap({ bridge.parameterGroups(in: $0) }).flatMap(\.parameters) {
    bits["own.\(name)"] = parameter.detached.floats.map(\.bitPattern)
  }
  for (name, tensor) in bridge.saveState().tensors { bits["state.\(name)"] = tensor.floats.map(\.bitPattern) }
  let recommenders = try bridge.recommenders(context)
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
  _ make: () -> any SharingBridge, _ compose: () throws -> BridgeContext, _ whole: [String: [UInt32]]
) throws -> [BridgeFailure] {
  var failures: [BridgeFailure] = []
  let folder = FileManager.default.temporaryDirectory.appending(path: "bridge-check-\(UUID().uuidString)")
  defer { try? FileManager.default.removeItem(at: folder) }
  var stops = 0
  // Stop after every seventh batch, and go on with a new bridge and new sides, until a run ends by itself.
  while true {
    do {
      let (bits, _) = try trained(make(), try compose(), folder: folder, stopAfter: 7)
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
