import Foundation
import Synchronization

/// Ranks that are threads of one process: for tests of what is written for several ranks.
public final class ThreadCommunicator: Communicator {
  /// This rank's number, from 0.
  public let rank: Int
  /// The number of ranks.
  public var size: Int { group.size }
  /// All ranks.
  public var localSize: Int { group.size }
  private let group: ThreadGroup

  private init(rank: Int, group: ThreadGroup) {
    self.rank = rank
    self.group = group
  }

  /// Runs a body as several ranks at once, each on a thread of its own, and waits for all.
  ///
  /// - Parameters:
  ///   - count: the number of ranks.
  ///   - body: what each rank does. When it throws, the other ranks' next operations throw
  ///     ``CommunicatorError/lostRank(rank:size:reason:)``.
  /// - Returns: what each rank returned or threw.
  public static func run<Value: Sendable>(
    ranks count: Int, _ body: @escaping @Sendable (ThreadCommunicator) throws -> Value
  ) -> [Result<Value, any Error>] {
    precondition(count > 0, "ThreadCommunicator.run: \(count) ranks")
    let group = ThreadGroup(size: count)
    let box = ResultBox<Value>()
    let done = DispatchGroup()
    for rank in 0..<count {
      done.enter()
      let thread = Thread {
        let result = Result { try body(ThreadCommunicator(rank: rank, group: group)) }
        switch result {
        case .success: group.lose(rank, "it has ended")
        case .failure(let error): group.lose(rank, "\(error)")
        }
        box.set(result, of: rank)
        done.leave()
      }
      // The evaluation of a model recurses through its layers.
      thread.stackSize = 16 << 20
      thread.start()
    }
    done.wait()
    return box.values(count)
  }

  /// Returns once every rank has come here.
  public func barrier() throws(CommunicatorError) { try group.meet() }

  /// Copies the root's bytes to all.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError) {
    precondition((0..<size).contains(root), "broadcast: root \(root) of \(size) ranks")
    group.show(UnsafeRawBufferPointer(bytes), [], rank)
    try group.meet()
    if rank != root {
      let source = group.shown(root).bytes
      precondition(source.count == bytes.count, "broadcast: \(source.count) bytes, room for \(bytes.count)")
      bytes.copyMemory(from: source)
    }
    try group.meet()
  }

  /// Copies everybody's bytes to all.
  public func allGather(
    _ bytes: UnsafeRawBufferPointer, into gathered: UnsafeMutableRawBufferPointer, counts: [Int]
  ) throws(CommunicatorError) {
    group.show(bytes, counts, rank)
    try group.meet()
    for (other, start) in starts(counts).enumerated() {
      let source = group.shown(other)
      precondition(
        source.bytes.count == counts[other] && source.counts == counts,
        "allGather: rank \(other) has \(source.bytes.count) bytes and counts \(source.counts), expected \(counts)"
      )
      UnsafeMutableRawBufferPointer(rebasing: gathered[start..<start + counts[other]])
        .copyMemory(from: source.bytes)
    }
    try group.meet()
  }

  /// Copies each rank's part of everybody's bytes.
  public func allToAll(
    _ bytes: UnsafeRawBufferPointer, counts: [Int], into received: UnsafeMutableRawBufferPointer,
    receivedCounts: [Int]
  ) throws(CommunicatorError) {
    group.show(bytes, counts, rank)
    try group.meet()
    for (other, start) in starts(receivedCounts).enumerated() {
      let source = group.shown(other)
      precondition(
        source.counts[rank] == receivedCounts[other],
        "allToAll: rank \(other) sends \(source.counts[rank]) bytes, expected \(receivedCounts[other])")
      let first = starts(source.counts)[rank]
      UnsafeMutableRawBufferPointer(rebasing: received[start..<start + receivedCounts[other]])
        .copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source.bytes[first..<first + receivedCounts[other]]))
    }
    try group.meet()
  }
}

/// Results by rank.
private final class ResultBox<Value: Sendable>: Sendable {
  private let results = Mutex<[Int: Result<Value, any Error>]>([:])

  func set(_ result: Result<Value, any Error>, of rank: Int) { results.withLock { $0[rank] = result } }

  func values(_ count: Int) -> [Result<Value, any Error>] {
    results.withLock { results in (0..<count).compactMap { results[$0] } }
  }
}

/// Where the threads meet, and show one another their bytes.
private final class ThreadGroup: Sendable {
  private struct State {
    var waiting = 0
    var generation = 0
    /// Addresses and lengths of the bytes that ranks show, and what they are cut into.
    var shown: [(address: UInt, count: Int, counts: [Int])]
    var lost: CommunicatorError?
  }

  let size: Int
  private let state: Mutex<State>

  init(size: Int) {
    self.size = size
    state = Mutex(State(shown: Array(repeating: (0, 0, []), count: size)))
  }

  func lose(_ rank: Int, _ reason: String) {
    state.withLock { state in
      if state.lost == nil { state.lost = .lostRank(rank: rank, size: size, reason: reason) }
    }
  }

  func show(_ bytes: UnsafeRawBufferPointer, _ counts: [Int], _ rank: Int) {
    let address = UInt(bitPattern: bytes.baseAddress)
    state.withLock { $0.shown[rank] = (address, bytes.count, counts) }
  }

  /// What a rank shows; its bytes stay where they are until the ranks have met again.
  func shown(_ rank: Int) -> (bytes: UnsafeRawBufferPointer, counts: [Int]) {
    let (address, count, counts) = state.withLock { $0.shown[rank] }
    return (UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count), counts)
  }

  /// Returns once all ranks have come here.
  func meet() throws(CommunicatorError) {
    let (generation, lost) = state.withLock { state -> (Int, CommunicatorError?) in
      let generation = state.generation
      if state.lost == nil { state.waiting += 1 }
      if state.waiting == size { (state.waiting, state.generation) = (0, generation + 1) }
      return (generation, state.lost)
    }
    if let lost { throw lost }
    var looks = 0
    while true {
      // Those who have met go on, even if one of them has ended since.
      let (hasMet, lost) = state.withLock { ($0.generation != generation, $0.lost) }
      if hasMet { return }
      if let lost { throw lost }
      looks += 1
      if looks < 100 { sched_yield() } else { usleep(50) }
    }
  }
}
