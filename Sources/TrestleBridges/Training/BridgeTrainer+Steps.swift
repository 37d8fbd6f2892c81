import Foundation
import TrestleFormats
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// What one batch of a bridge's training gave.
struct BatchGradients {
  /// The whole loss.
  let value: Double
  /// The side's own part of it.
  let own: Double
  let gradients: Gradients
  /// What the side did, with nothing tracked.
  let step: SideStep?
}

/// An epoch's batches in groups, each the parts of one step; the last may be smaller.
struct BatchGroups: Sequence, IteratorProtocol {
  private var batches: AnySequence<any SideBatch>.Iterator
  private let size: Int

  /// - Parameter first: how many batches are skipped.
  init(_ batches: AnySequence<any SideBatch>, from first: Int, size: Int) {
    self.batches = batches.makeIterator()
    self.size = size
    for _ in 0..<first where self.batches.next() == nil { break }
  }

  mutating func next() -> [any SideBatch]? {
    var group: [any SideBatch] = []
    while group.count < size, let batch = batches.next() { group.append(batch) }
    return group.isEmpty ? nil : group
  }
}

extension BridgeTrainer {
  /// Makes one step of one or several batches.
  func runStep(
    _ batches: [any SideBatch], _ phase: BridgePhase, _ side: any TrainableSide, _ parameters: [Parameter],
    _ moving: [AdamW]
  ) throws {
    let first = cursor.batch
    if accumulation == 1 {
      let batch = batches[0]
      let found = try gradients(of: batch, first, phase, side, parameters)
      try update(moving, found.gradients, value: found.value, phase, first)
      note(own: found.own, value: found.value, of: batch)
      if let step = found.step { try bridge.didStep(step, in: phase, context) }
      return
    }
    let reducer = GradientReducer(parameters, communicator)
    var figures: [Int64] = []
    var steps: [SideStep] = []
    for start in stride(from: 0, to: batches.count, by: communicator.size) {
      let number = start + communicator.rank
      guard number < batches.count else {
        _ = try reducer.add(nil)
        figures += [0, 0]
        continue
      }
      let batch = batches[number]
      let found = try gradients(of: batch, first + number, phase, side, parameters)
      if let step = found.step { steps.append(step) }
      figures += [found.own, found.value].map { Int64(bitPattern: $0.bitPattern) }
      _ = try reducer.add(.init(found.gradients, exampleCount: batch.count, loss: found.value))
    }
    guard let mean = try reducer.mean() else { return }
    try update(moving, mean.gradients, value: mean.loss, phase, first)
    let all = try communicator.allGather(figures)
    for (number, batch) in batches.enumerated() {
      let place = 2 * (number / communicator.size)
      let pair = all[number % communicator.size][place..<place + 2].map {
        Double(bitPattern: UInt64(bitPattern: $0))
      }
      note(own: pair[0], value: pair[1], of: batch)
    }
    for step in steps { try bridge.didStep(step, in: phase, context) }
  }

  private func note(own: Double, value: Double, of batch: any SideBatch) {
    cursor.loss += own * Double(batch.count)
    cursor.bridgeLoss += (value - own) * Double(batch.count)
    cursor.examples += batch.count
  }

  /// Stops a run in which a rank would have nothing to do.
  func checkAccumulation() throws(DataError) {
    guard accumulation >= communicator.size else {
      throw .invalidParameter(
        operation: "training", expected: "at least one batch a step for each rank",
        found: "\(accumulation) of \(communicator.size) ranks: start fewer ranks, or accumulate more")
    }
  }

  /// The checkpoint to go on from, if there is one: the first rank's, of which the others get copies.
  func checkpointToResume() throws -> URL? {
    let exists = checkpointURL.map { FileManager.default.fileExists(atPath: $0.path) } ?? false
    guard communicator.size > 1 else { return exists ? checkpointURL : nil }
    let isFirst = communicator.rank == 0
    let own = try isFirst && exists ? checkpointURL.map { try [UInt8](contentsOf: $0, limit: 1 << 40) } : nil
    let count = try Int(communicator.allGather([Int64(own?.count ?? -1)])[0][0])
    guard count >= 0 else { return nil }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    defer { bytes.deallocate() }
    if let own { bytes.copyBytes(from: own) }
    try communicator.broadcast(bytes, from: 0)
    if isFirst { return checkpointURL }
    let copy = FileManager.default.temporaryDirectory.appending(path: "trestle-\(UUID().uuidString)")
    try Data(bytes).write(to: copy)
    return copy
  }
}
