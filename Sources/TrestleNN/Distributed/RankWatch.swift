import Foundation
import Synchronization

/// Tells a lost rank from a slow one, whatever MPI makes of it: every rank holds a connection to rank 0, which the system
/// closes the moment that a process ends, and says every second that it is alive.
///
/// Rank 0 says which rank is lost and tells the others, which end; rank 1 says it of rank 0. A rank that is silent for 15
/// seconds counts as lost, too.
final class RankWatch: Sendable {
  private enum Message {
    static let alive = UInt8(ascii: "a")
    static let ended = UInt8(ascii: "e")
    /// With an exit code: the sender has failed and has said why.
    static let failed = UInt8(ascii: "f")
  }

  private struct State {
    var hasEnded = false
    /// The bytes of a message that has not come whole.
    var pending: [Int: [UInt8]] = [:]
  }

  private static let silenceLimit = 15

  /// The ranks at the other ends: their connections, and what is said of one that is lost, made beforehand: `mpirun` is
  /// about to end this process, too.
  private let peers: [(connection: Int32, hasEnded: [UInt8], isSilent: [UInt8])]
  private let state = Mutex(State())

  /// Watches the ranks at the other ends of open connections.
  init(rank: Int, size: Int, peers: [(rank: Int, connection: Int32, place: String)]) {
    let program = URL(filePath: CommandLine.arguments.first ?? "").lastPathComponent
    self.peers = peers.map { peer in
      func line(_ reason: String) -> [UInt8] {
        let error = CommunicatorError.lostRank(rank: peer.rank, size: size, reason: reason)
        // Of rank 0 one rank speaks for all.
        return rank > 1 ? [] : Array("\(program): \(error) (\(peer.place)); all ranks end\n".utf8)
      }
      return (
        peer.connection, line("its process has ended"),
        line("nothing was heard of it for \(Self.silenceLimit) seconds")
      )
    }
    let thread = Thread { [self] in run() }
    thread.start()
  }

  /// From now on connections may close.
  func end() {
    state.withLock { $0.hasEnded = true }
    tell([Message.ended])
  }

  /// Tells the others to end with a code.
  func fail(code: Int32) {
    state.withLock { $0.hasEnded = true }
    tell([Message.failed, UInt8(truncatingIfNeeded: code)])
    // What has been sent is lost if the process ends before it is read.
    usleep(100_000)
  }

  private func tell(_ bytes: [UInt8]) {
    for peer in peers { Socket.write(bytes, to: peer.connection) }
  }

  private func run() {
    var silent = [Int](repeating: 0, count: peers.count)
    var polled = peers.map { pollfd(fd: $0.connection, events: Int16(POLLIN), revents: 0) }
    var nextBeat = ContinuousClock.now
    while polled.contains(where: { $0.fd >= 0 }) {
      // Seconds are counted here: a process that was stopped and goes on has not heard anybody, either.
      if ContinuousClock.now >= nextBeat {
        nextBeat = .now + .seconds(1)
        if !state.withLock({ $0.hasEnded }) { tell([Message.alive]) }
        for index in silent.indices { silent[index] += 1 }
      }
      _ = poll(&polled, nfds_t(polled.count), 500)
      for index in polled.indices where polled[index].fd >= 0 {
        if polled[index].revents != 0 {
          silent[index] = 0
          if !read(index) { polled[index].fd = -1 }
        } else if silent[index] > Self.silenceLimit {
          lose(peers[index].isSilent)
        }
      }
    }
  }

  /// Reads what a peer says; `false` if it has ended in order.
  private func read(_ index: Int) -> Bool {
    guard let bytes = Socket.read(from: peers[index].connection), !bytes.isEmpty else {
      if state.withLock({ $0.hasEnded }) { return false }
      lose(peers[index].hasEnded)
    }
    var rest = state.withLock { $0.pending.removeValue(forKey: index) ?? [] } + bytes
    while let kind = rest.first {
      switch kind {
      case Message.ended: return false
      case Message.failed:
        guard rest.count > 1 else {
          let kept = rest
          state.withLock { $0.pending[index] = kept }
          return true
        }
        tell([Message.failed, rest[1]])
        _exit(Int32(rest[1]))
      default: rest.removeFirst()
      }
    }
    return true
  }

  private func lose(_ line: [UInt8]) -> Never {
    if !line.isEmpty { _ = write(STDERR_FILENO, line, line.count) }
    tell([Message.failed, 1])
    _exit(1)
  }
}

extension RankWatch {
  /// Where rank 0 waits for the others.
  private struct Meeting: Codable {
    var host: String
    var port: UInt16
    /// What a rank shows, so that nobody else is taken for one.
    var token: [UInt8]
  }

  /// Connects all ranks with rank 0; `nil`, with a line on rank 0, if one cannot reach it.
  ///
  /// - Parameters:
  ///   - machines: the ranks' machines.
  ///   - places: what they are called in messages.
  static func start(
    _ communicator: any Communicator, machines: [String], places: [String]
  ) throws -> RankWatch? {
    let (rank, size) = (communicator.rank, communicator.size)
    let isLocal = machines.allSatisfy { $0 == machines[0] }
    var listener: (descriptor: Int32, port: UInt16)?
    if rank == 0 { listener = Socket.listener(onlyLocal: isLocal, backlog: size) }
    defer { if let listener { close(listener.descriptor) } }
    var meeting = Meeting(host: machines[0], port: listener?.port ?? 0, token: [])
    meeting.token = (0..<16).map { _ in UInt8.random(in: 0...255) }
    meeting = try communicator.broadcast(meeting)
    var connection: Int32?
    if rank > 0, meeting.port > 0 {
      let host = machines[rank] == machines[0] ? "127.0.0.1" : meeting.host
      connection = Socket.connection(to: host, port: meeting.port)
      if let connection {
        Socket.write(meeting.token + [UInt8(rank & 255), UInt8(rank >> 8)], to: connection)
      }
    }
    let reached = try communicator.allGather([connection != nil ? 1 : 0])
    guard meeting.port > 0, let missing = reached.indices.dropFirst().first(where: { reached[$0][0] == 0 })
    else {
      if let connection {
        return RankWatch(rank: rank, size: size, peers: [(0, connection, places[0])])
      }
      guard let listener, meeting.port > 0 else { return nil }
      let peers = accepted(listener.descriptor, meeting, size)
      return RankWatch(rank: rank, size: size, peers: peers.map { ($0.rank, $0.connection, places[$0.rank]) })
    }
    if let connection { close(connection) }
    if rank == 0 {
      let text =
        "rank \(missing) cannot connect to \(machines[0]): that a rank is lost is left to mpirun to find\n"
      FileHandle.standardError.write(Data(text.utf8))
    }
    return nil
  }

  /// Takes the connections of ranks, which all have been made.
  private static func accepted(
    _ listener: Int32, _ meeting: Meeting, _ size: Int
  ) -> [(rank: Int, connection: Int32)] {
    var found: [(rank: Int, connection: Int32)] = []
    var looks = 0
    while found.count < size - 1, looks < 4 * size + 16 {
      looks += 1
      guard let connection = Socket.accepted(from: listener) else { continue }
      var hello: [UInt8] = []
      while hello.count < meeting.token.count + 2 {
        guard
          let more = Socket.read(from: connection, limit: meeting.token.count + 2 - hello.count),
          !more.isEmpty
        else { break }
        hello += more
      }
      if hello.count == meeting.token.count + 2, Array(hello.dropLast(2)) == meeting.token {
        found.append((Int(hello[hello.count - 2]) + Int(hello[hello.count - 1]) << 8, connection))
      } else {
        close(connection)
      }
    }
    return found
  }
}
