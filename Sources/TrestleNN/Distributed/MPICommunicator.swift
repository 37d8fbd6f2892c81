import Foundation
import Synchronization
import TrestleTensor

/// Ranks that `mpirun` started, on one machine or many, by Open MPI or MPICH.
///
/// ```swift
/// let communicator = try MPICommunicator.launched()  // mpirun -n 4 program
/// ```
///
/// The library is opened at run time; nothing of it is needed to build. A process that was not started by `mpirun` opens
/// none. All calls come from the thread that called ``launched(environment:)``.
///
/// A rank that ends before its time, or is silent for fifteen seconds, ends all: rank 0 (rank 1, if rank 0 was lost) says
/// which it was, and the processes of the others end with code 1. MPICH's `mpirun` now and then ends them before they can
/// say it; its own message then has the process' number, which ``places`` gives to a rank.
public final class MPICommunicator: Communicator {
  /// This rank's number, from 0.
  public let rank: Int
  /// The number of ranks.
  public let size: Int
  /// The number of ranks that share this rank's machine, itself among them.
  public var localSize: Int { ranks.withLock { $0.localSize } }
  /// Where each rank runs: "process 123 on node7". What `mpirun` says of processes can be read with it.
  public var places: [String] { ranks.withLock { $0.places } }
  private let library: MPILibrary
  private let ranks = Mutex<(localSize: Int, places: [String], watch: RankWatch?)>((1, [], nil))

  /// The most bytes of one message: its length is a 32-bit number.
  private static let messageLimit = 1 << 30

  /// The communicator of the `mpirun` that started this process; ``SingleProcess`` if none did, or with one rank.
  ///
  /// To be called once, on the main thread, before the work. ``end()`` ends it.
  ///
  /// - Parameter environment: the process' environment. `TRESTLE_MPI_LIBRARY` names a library to open.
  /// - Throws: ``CommunicatorError/library(_:)`` if the library is missing or of another kind than `mpirun`, and
  ///   ``CommunicatorError/failed(operation:message:)`` if it cannot be started.
  public static func launched(
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> any Communicator {
    guard let launcher = MPILauncher(environment), launcher.size != 1 else { return SingleProcess() }
    let library = try MPILibrary(for: launcher, path: environment["TRESTLE_MPI_LIBRARY"])
    let communicator = try MPICommunicator(library, launcher)
    if communicator.size > 1 { try communicator.meet() }
    return communicator
  }

  /// This process' number among those that `mpirun` started, as the environment tells, whether or not MPI can be used.
  package static var launchedRank: Int? {
    let environment = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"].lazy.compactMap { environment[$0] }.first
      .flatMap { Int($0) }
  }

  /// Learns where the other ranks are, and begins to watch.
  private func meet() throws {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    let own = Tensor(name.map { UInt8(bitPattern: $0) })
    let machines = try allGather(own).map { bytes in
      String(decoding: bytes.scalars(as: UInt8.self).prefix { $0 != 0 }, as: UTF8.self)
    }
    let processes = try allGather([Int64(getpid())]).map { $0[0] }
    let places = zip(processes, machines).map { "process \($0) on \($1)" }
    let watch = try RankWatch.start(self, machines: machines, places: places)
    ranks.withLock { $0 = (machines.count { $0 == machines[rank] }, places, watch) }
  }

  private init(_ library: MPILibrary, _ launcher: MPILauncher) throws(CommunicatorError) {
    self.library = library
    var provided: Int32 = 0
    // 1 is MPI_THREAD_FUNNELED: other threads run, but do not call.
    try Self.check(library, "MPI_Init_thread", library.initialize(0, 0, 1, &provided))
    try Self.check(
      library, "MPI_Comm_set_errhandler", library.setErrorHandler(library.world, library.errorsReturn))
    var (rank, size): (Int32, Int32) = (0, 0)
    try Self.check(library, "MPI_Comm_rank", library.rank(library.world, &rank))
    try Self.check(library, "MPI_Comm_size", library.size(library.world, &size))
    (self.rank, self.size) = (Int(rank), Int(size))
    if let expected = launcher.size, expected != self.size {
      throw .library(
        "\(launcher.name) started \(expected) ranks, but \(library.path), \(library.kind.rawValue)'s library, sees \(size): "
          + "both must come from one installation; TRESTLE_MPI_LIBRARY names the library")
    }
  }

  /// Ends the work in order, on all ranks: no rank counts as lost from then on.
  ///
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func end() throws(CommunicatorError) {
    try barrier()
    ranks.withLock { $0.watch }?.end()
    try Self.check(library, "MPI_Finalize", library.finalize())
  }

  /// Tells the others that this rank has failed and has said why: they end without a word, with the same code.
  ///
  /// - Parameter code: what this process is about to exit with.
  public func fail(code: Int32) { ranks.withLock { $0.watch }?.fail(code: code) }

  /// Returns once every rank has come here.
  public func barrier() throws(CommunicatorError) {
    try wait("MPI_Ibarrier") { library.barrier(library.world, $0) }
  }

  /// Gives every rank the root's bytes.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError) {
    precondition((0..<size).contains(root), "broadcast: root \(root) of \(size) ranks")
    for first in stride(from: 0, to: bytes.count, by: Self.messageLimit) {
      let count = Int32(min(Self.messageLimit, bytes.count - first))
      let base = bytes.baseAddress.map { $0 + first }
      try wait("MPI_Ibcast") { library.broadcast(base, count, library.byte, Int32(root), library.world, $0) }
    }
  }

  /// Gives every rank everybody's bytes.
  public func allGather(
    _ bytes: UnsafeRawBufferPointer, into gathered: UnsafeMutableRawBufferPointer, counts: [Int]
  ) throws(CommunicatorError) {
    precondition(
      counts.count == size && counts[rank] == bytes.count && counts.reduce(0, +) == gathered.count,
      "allGather: \(bytes.count) bytes of rank \(rank), counts \(counts), room for \(gathered.count)")
    guard gathered.count < Int(Int32.max) else {
      return try exchange(
        send: Array(repeating: bytes, count: size), receive: pieces(of: gathered, counts))
    }
    let lengths = counts.map { Int32($0) }
    let places = starts(counts).map { Int32($0) }
    try lengths.withUnsafeBufferPointer { lengths throws(CommunicatorError) in
      try places.withUnsafeBufferPointer { places throws(CommunicatorError) in
        guard let first = lengths.baseAddress, let place = places.baseAddress else { return }
        try wait("MPI_Iallgatherv") {
          library.gather(
            bytes.baseAddress, Int32(bytes.count), library.byte, gathered.baseAddress, first, place,
            library.byte, library.world, $0)
        }
      }
    }
  }

  /// Gives every rank its part of everybody's bytes.
  public func allToAll(
    _ bytes: UnsafeRawBufferPointer, counts: [Int], into received: UnsafeMutableRawBufferPointer,
    receivedCounts: [Int]
  ) throws(CommunicatorError) {
    precondition(
      counts.count == size && counts.reduce(0, +) == bytes.count && receivedCounts.count == size
        && receivedCounts.reduce(0, +) == received.count,
      "allToAll: \(bytes.count) bytes in \(counts), room for \(received.count) in \(receivedCounts)")
    let own = zip(starts(counts), counts).map { UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + $1]) }
    try exchange(send: own, receive: pieces(of: received, receivedCounts))
  }

  // MARK: Requests

  private func pieces(
    of bytes: UnsafeMutableRawBufferPointer, _ counts: [Int]
  ) -> [UnsafeMutableRawBufferPointer] {
    zip(starts(counts), counts).map { UnsafeMutableRawBufferPointer(rebasing: bytes[$0..<$0 + $1]) }
  }

  /// Sends a piece to each rank and receives one from each, all at once, in messages that MPI can count.
  private func exchange(
    send: [UnsafeRawBufferPointer], receive: [UnsafeMutableRawBufferPointer]
  ) throws(CommunicatorError) {
    receive[rank].copyMemory(from: send[rank])
    var started: [(name: String, start: (MPILibrary.Request) -> Int32)] = []
    // Each rank begins with its neighbour, so that not all send to the same one.
    for distance in 1..<max(size, 1) {
      let (source, target) = ((rank + size - distance) % size, (rank + distance) % size)
      let (incoming, outgoing) = (receive[source], UnsafeMutableRawBufferPointer(mutating: send[target]))
      started += messages(incoming).map { piece in
        ("MPI_Irecv", { self.start(self.library.receive, piece, source, $0) })
      }
      started += messages(outgoing).map { piece in
        ("MPI_Isend", { self.start(self.library.send, piece, target, $0) })
      }
    }
    try wait(started)
  }

  private func messages(_ bytes: UnsafeMutableRawBufferPointer) -> [UnsafeMutableRawBufferPointer] {
    stride(from: 0, to: bytes.count, by: Self.messageLimit).map { first in
      UnsafeMutableRawBufferPointer(
        rebasing: bytes[first..<min(first + Self.messageLimit, bytes.count)])
    }
  }

  private func start(
    _ transfer: MPILibrary.Transfer, _ piece: UnsafeMutableRawBufferPointer, _ other: Int,
    _ request: MPILibrary.Request
  ) -> Int32 {
    transfer(piece.baseAddress, Int32(piece.count), library.byte, Int32(other), 0, library.world, request)
  }

  private func wait(
    _ name: String, _ start: (MPILibrary.Request) -> Int32
  ) throws(CommunicatorError) {
    let error = withoutActuallyEscaping(start) { start -> CommunicatorError? in
      do throws(CommunicatorError) {
        try wait([(name, start)])
        return nil
      } catch { return error }
    }
    if let error { throw error }
  }

  /// Starts operations and returns when all have ended. The core is left to others meanwhile: ranks may be more than cores.
  private func wait(
    _ operations: [(name: String, start: (MPILibrary.Request) -> Int32)]
  ) throws(CommunicatorError) {
    let requests = UnsafeMutablePointer<Int>.allocate(capacity: max(operations.count, 1))
    requests.initialize(repeating: 0, count: max(operations.count, 1))
    defer { requests.deallocate() }
    for (index, operation) in operations.enumerated() {
      try Self.check(library, operation.name, operation.start(requests + index))
    }
    let begun = ContinuousClock.now
    for (index, operation) in operations.enumerated() {
      var isDone: Int32 = 0
      var looks = 0
      while true {
        try Self.check(library, operation.name, library.test(requests + index, &isDone, library.noStatus))
        if isDone != 0 { break }
        looks += 1
        if looks < 200 { continue }
        // A long wait is for a rank that works, on this machine perhaps: it gets the core.
        if looks % 8 == 0, begun.duration(to: .now) > .milliseconds(20) { usleep(50) } else { sched_yield() }
      }
    }
  }

  private static func check(
    _ library: MPILibrary, _ name: String, _ code: Int32
  ) throws(CommunicatorError) {
    guard code != 0 else { return }
    var text = [CChar](repeating: 0, count: 1024)
    var length: Int32 = 0
    let isKnown = library.errorText(code, &text, &length) == 0
    let message =
      isKnown ? String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    throw .failed(operation: name, message: message.isEmpty ? "code \(code)" : message)
  }
}
