import Foundation
import Synchronization
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// What an epoch of a bridge's training gave.
public struct BridgeEpochRecord: Codable, Sendable, Equatable {
  /// The phase's name.
  public let phase: String
  /// The side that trained.
  public let side: SideRole
  /// The epoch within the phase, from 0.
  public let epoch: Int
  /// The mean of the side's own loss.
  public let loss: Double
  /// The mean of the loss that the bridge added.
  public let bridgeLoss: Double
  /// The side's validation metric after the epoch, if it was measured.
  public let validation: Double?
  /// What the bridge reports about its state, such as the spread of a store.
  public let notes: [String: Double]
}

/// How far a run has come.
public struct BridgeProgress: Sendable {
  /// The phase in training.
  public let phase: BridgePhase
  /// Its place in the schedule.
  public let phaseIndex: Int
  /// The number of phases.
  public let phaseCount: Int
  /// The epoch within the phase.
  public let epoch: Int
  /// Batches done in the epoch.
  public let batch: Int
  /// Batches of the epoch.
  public let batchCount: Int
}

/// Runs a bridge: its phases in order, epoch by epoch, with validation, best states, checkpoints and exact resumption.
///
/// A phase that keeps its best state counts the state at its entry among the candidates, once the side has trained. The bridge's
/// own parameters, the optimizer's moments and the bridge's state belong to it.
///
/// After every epoch everything is saved in one file: a run that is killed and started again continues from there, and
/// ends in the same bits.
public final class BridgeTrainer {
  /// The bridge.
  public let bridge: any SharingBridge
  /// The two sides and the data.
  public let context: BridgeContext
  /// The epochs so far.
  public internal(set) var records: [BridgeEpochRecord] = []
  /// Called after every batch.
  public var onProgress: ((BridgeProgress) -> Void)?
  /// Called after every epoch.
  public var onEpoch: ((BridgeEpochRecord) -> Void)?
  /// The norm to which a step's gradients are clipped together, those of each side if both train; `nil` for none.
  public var maximumNorm: Double? = 1
  /// Whether the operation that makes a first NaN or infinity is searched for (slow).
  public var detectsAnomalies = false

  /// The folder of the checkpoint; `nil` keeps nothing.
  let folder: URL?
  /// Identifies the run: a checkpoint of another configuration is refused.
  let fingerprint: String
  var optimizers: [SideRole: AdamW] = [:]
  var cursor = BridgeCursor()
  /// The state at the best validation in the phase.
  var best = BestState()
  private let stopRequested = Atomic<Bool>(false)
  /// The ranks that run together, each with the same sides and data.
  let communicator: any Communicator
  /// How many batches' gradients make one step, if that was asked for.
  let wantedAccumulation: Int?
  /// How many do.
  var accumulation: Int

  /// A run of `bridge` over two sides.
  ///
  /// - Parameters:
  ///   - bridge: what is run.
  ///   - context: the two sides and the data.
  ///   - folder: where the checkpoint is kept and, as `metrics.jsonl`, the records of the epochs.
  ///   - fingerprint: whatever distinguishes this run from others, such as its configuration.
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if a side cannot do what the bridge needs.
  public convenience init(
    _ bridge: any SharingBridge, _ context: BridgeContext, folder: URL? = nil, fingerprint: String = ""
  ) throws {
    try self.init(bridge, context, folder: folder, fingerprint: fingerprint, communicator: SingleProcess())
  }

  /// A run by several ranks, which ends in the bits of one process that accumulates as many batches a step.
  ///
  /// Only for sides that draw random numbers by batch, and bridges that keep nothing of a step: what a rank does not compute
  /// it does not see.
  package init(
    _ bridge: any SharingBridge, _ context: BridgeContext, folder: URL? = nil, fingerprint: String = "",
    communicator: any Communicator, accumulation: Int? = nil
  ) throws {
    (self.communicator, wantedAccumulation) = (communicator, accumulation)
    self.accumulation = accumulation ?? communicator.size
    self.bridge = bridge
    self.context = context
    self.folder = folder
    self.fingerprint = fingerprint
    try bridge.checkRequirements(context)
    for phase in bridge.phases {
      _ = try trainable(phase.side)
      try checkPeer(phase)
    }
    try checkAccumulation()
  }

  /// Asks a run to stop after the present batch: ``run()`` then saves and throws
  /// ``BridgeError/interrupted(checkpoint:)``. May be called from a signal handler's queue.
  public func requestStop() { stopRequested.store(true, ordering: .relaxed) }

  /// Runs what is left of the schedule.
  ///
  /// - Throws: ``BridgeError``, or what the sides throw. The last good state is in the checkpoint.
  public func run() throws {
    if try !resume() {
      try bridge.prepare(context)
      try save()
    }
    let phases = bridge.phases
    while cursor.phase < phases.count {
      try run(phases[cursor.phase])
      cursor = BridgeCursor(phase: cursor.phase + 1, epochsOf: cursor.epochsOf)
      best = BestState()
      try save()
    }
  }

  private func trainable(_ role: SideRole) throws -> any TrainableSide {
    try context.side(role, as: (any TrainableSide).self, .training, for: bridge)
  }

  private func run(_ phase: BridgePhase) throws {
    let side = try trainable(phase.side)
    if !cursor.hasEntered {
      try bridge.enter(phase, context)
      if phase.keepsBest && (phase.countsEntry || (cursor.epochsOf[phase.side.rawValue] ?? 0) > 0) {
        // What the side can do already is the first candidate: a phase that does not help changes nothing.
        cursor.bestValidation = try bridge.validate(phase, context) ?? side.validate()
        best = currentState(in: phase, side)
      }
      cursor.hasEntered = true
      try save()
    }
    let groups = side.parameterGroups
    let before = groups.flatMap(\.parameters).map { ($0.parameter, $0.parameter.isTrainable) }
    defer { for (parameter, isTrainable) in before { parameter.isTrainable = isTrainable } }
    let trained = groups.filter { phase.groups?.contains($0.name) ?? true }
    let names = Set(trained.map(\.name))
    for group in groups where !names.contains(group.name) {
      for parameter in group.parameters { parameter.parameter.isTrainable = false }
    }
    let peers = peerGroups(in: phase)
    while cursor.epoch < phase.epochs && !(phase.patience > 0 && cursor.stopping(phase).shouldStop) {
      try runEpoch(phase, side, trained, peers)
    }
    if phase.keepsBest && !best.isEmpty { try restoreBest(phase, side) }
    try bridge.exit(phase, context)
  }

  private func runEpoch(
    _ phase: BridgePhase, _ side: any TrainableSide, _ groups: [BridgeParameterGroup],
    _ peers: [BridgeParameterGroup]
  ) throws {
    let all = groups + bridge.parameterGroups(in: phase)
    var moving = [makeOptimizer(phase.side, all)]
    if !peers.isEmpty { moving.append(makeOptimizer(phase.side.peer, peers)) }
    let parameters = (all + peers).flatMap { $0.parameters.map(\.parameter) }.filter(\.isTrainable)
    let number = cursor.epochsOf[phase.side.rawValue] ?? 0
    let batchCount = side.batchCount
    for parts in BatchGroups(side.batches(epoch: number), from: cursor.batch, size: accumulation) {
      setLearningRates(moving, phase, done: Double(cursor.batch) / Double(max(batchCount, 1)))
      try runStep(parts, phase, side, parameters, moving)
      cursor.batch += parts.count
      onProgress?(
        BridgeProgress(
          phase: phase, phaseIndex: cursor.phase, phaseCount: bridge.phases.count, epoch: cursor.epoch,
          batch: cursor.batch, batchCount: batchCount))
      if try communicator.any(stopRequested.load(ordering: .relaxed)) {
        try save()
        throw BridgeError.interrupted(checkpoint: checkpointURL?.path ?? "memory only")
      }
    }
    cursor.epochsOf[phase.side.rawValue] = number + 1
    try finishEpoch(phase, side)
  }

  /// The gradients of one batch.
  func gradients(
    of batch: any SideBatch, _ index: Int, _ phase: BridgePhase, _ side: any TrainableSide,
    _ parameters: [Parameter]
  ) throws -> BatchGradients {
    var taken: SideStep?
    var own = 0.0
    func loss() throws -> Tensor {
      var step = try step(on: batch, of: side, in: phase)
      let weight = bridge.ownLossWeight(in: phase)
      let extra = try bridge.additionalLoss(step, in: phase, context)
      own = weight * step.loss.item
      if weight != 1 { step.loss = step.loss * weight }
      // A replaced loss costs no gradient.
      if let extra { step.loss = weight == 0 ? extra : step.loss + extra }
      taken = step
      return step.loss
    }
    do {
      let (value, gradients) =
        detectsAnomalies
        ? try valueAndGradients(of: parameters, detectingAnomalies: true, loss)
        : try valueAndGradients(of: parameters, loss)
      return BatchGradients(value: value.item, own: own, gradients: gradients, step: taken?.detached)
    } catch let error as TensorError { throw notFinite(phase, index, error.description) }
  }

  /// Moves the parameters, if all is finite.
  func update(
    _ moving: [AdamW], _ gradients: Gradients, value: Double, _ phase: BridgePhase, _ index: Int
  ) throws {
    guard value.isFinite, gradients.norm.isFinite else {
      throw notFinite(phase, index, value.isFinite ? "a gradient is not finite" : "the loss is \(value)")
    }
    for optimizer in moving { optimizer.update(with: gradients) }
  }

  private func notFinite(_ phase: BridgePhase, _ batch: Int, _ cause: String) -> BridgeError {
    .notFinite(bridge: bridge.name, phase: phase.name, epoch: cursor.epoch, batch: batch, cause: cause)
  }

  private func finishEpoch(_ phase: BridgePhase, _ side: any TrainableSide) throws {
    let isLast = cursor.epoch + 1 >= phase.epochs
    let isDue = phase.validationInterval > 0 && (cursor.epoch + 1) % phase.validationInterval == 0
    var validation: Double?
    if isDue || isLast {
      let value = try bridge.validate(phase, context) ?? side.validate()
      validation = value
      if cursor.note(value, phase), phase.keepsBest { best = currentState(in: phase, side) }
    }
    let examples = Double(max(cursor.examples, 1))
    let record = BridgeEpochRecord(
      phase: phase.name, side: phase.side, epoch: cursor.epoch, loss: cursor.loss / examples,
      bridgeLoss: cursor.bridgeLoss / examples, validation: validation, notes: bridge.notes)
    records.append(record)
    cursor.beginEpoch()
    try save()
    onEpoch?(record)
  }

  // MARK: Optimizers and values

  /// One optimizer a side, whose moments live through all phases; learning rates are set by phase.
  private func makeOptimizer(_ role: SideRole, _ groups: [BridgeParameterGroup]) -> AdamW {
    let optimizer = optimizers[role] ?? AdamW(groups: [])
    optimizer.groups = groups.map {
      ParameterGroup(
        name: $0.name, parameters: $0.parameters.map(\.parameter), learningRate: $0.learningRate,
        weightDecay: $0.weightDecay)
    }
    optimizer.maximumNorm = maximumNorm
    optimizers[role] = optimizer
    return optimizer
  }

  private func setLearningRates(_ moving: [AdamW], _ phase: BridgePhase, done: Double) {
    let progress = (Double(cursor.epoch) + done) / Double(max(phase.epochs, 1))
    let (start, end) = (phase.learningRateScale, phase.finalLearningRateScale ?? phase.learningRateScale)
    let factor = start + (end - start) * progress
    for optimizer in moving {
      for index in optimizer.groups.indices { optimizer.groups[index].multiplier = factor }
    }
  }
}

extension BatchEntities {
  /// The same entities with representations that are not tracked.
  var detached: BatchEntities {
    BatchEntities(ids: ids, representations: representations.detached, source: source)
  }
}

extension SideStep {
  /// The same step with nothing tracked, and without scores.
  var detached: SideStep {
    var copy = self
    copy.loss = loss.detached
    copy.users = users.map(\.detached)
    copy.items = items.map(\.detached)
    copy.scores = nil
    copy.examples = nil
    copy.represent = nil
    copy.peerRepresent = nil
    return copy
  }
}

/// Where a run is.
struct BridgeCursor: Codable, Equatable {
  var phase = 0
  var hasEntered = false
  var epoch = 0
  var batch = 0
  /// Epochs that each side has had in all phases: they number its batches' order.
  var epochsOf: [String: Int] = [:]
  var loss = 0.0
  var bridgeLoss = 0.0
  var examples = 0
  var bestValidation = -Double.greatestFiniteMagnitude
  var sinceBest = 0

  init() {}

  init(phase: Int, epochsOf: [String: Int]) {
    self.phase = phase
    self.epochsOf = epochsOf
  }

  /// What the phase's validations have shown.
  func stopping(_ phase: BridgePhase) -> EarlyStopping {
    EarlyStopping(patience: phase.patience, highest: bestValidation, sinceBest: sinceBest)
  }

  /// Notes a validation; `true` if it is the best of the phase so far.
  mutating func note(_ value: Double, _ phase: BridgePhase) -> Bool {
    var stopping = stopping(phase)
    let isBest = stopping.note(value)
    (bestValidation, sinceBest) = (stopping.best, stopping.sinceBest)
    return isBest
  }

  mutating func beginEpoch() {
    epoch += 1
    batch = 0
    loss = 0
    bridgeLoss = 0
    examples = 0
  }
}
