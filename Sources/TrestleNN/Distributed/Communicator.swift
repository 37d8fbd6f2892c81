/// One of several ranks that train together: the one way to the others, wherever they run.
///
/// Every rank calls the same operations in the same order; each waits for what it needs of the others. Ranks are one
/// process (``SingleProcess``), threads of one process (``ThreadCommunicator``, for tests), or processes that `mpirun`
/// started (``MPICommunicator``).
///
/// A new kind of communicator writes the four operations on bytes. What is built on them, sums above all, is the same for
/// all kinds: sums are taken in the order of the ranks and so have the same bits whatever carries the bytes.
public protocol Communicator: AnyObject, Sendable {
  /// This rank's number, from 0.
  var rank: Int { get }
  /// The number of ranks.
  var size: Int { get }
  /// The number of ranks that share this rank's machine, itself among them.
  var localSize: Int { get }

  /// Returns once every rank has come here.
  ///
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  func barrier() throws(CommunicatorError)

  /// Gives every rank the bytes of one.
  ///
  /// - Parameters:
  ///   - bytes: what is sent on the root, overwritten elsewhere; equally many on all ranks.
  ///   - root: the rank that has them.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicatorError)

  /// Gives every rank the bytes of all, one after the other in the order of the ranks.
  ///
  /// - Parameters:
  ///   - bytes: this rank's.
  ///   - gathered: room for all.
  ///   - counts: how many bytes each rank has; the same on all ranks.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  func allGather(
    _ bytes: UnsafeRawBufferPointer, into gathered: UnsafeMutableRawBufferPointer, counts: [Int]
  ) throws(CommunicatorError)

  /// Gives every rank its part of everybody's bytes.
  ///
  /// - Parameters:
  ///   - bytes: the parts for rank 0, 1, … one after the other.
  ///   - counts: how many bytes go to each rank.
  ///   - received: room for the parts from rank 0, 1, … one after the other.
  ///   - receivedCounts: how many bytes come from each rank.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  func allToAll(
    _ bytes: UnsafeRawBufferPointer, counts: [Int], into received: UnsafeMutableRawBufferPointer,
    receivedCounts: [Int]
  ) throws(CommunicatorError)
}

/// What can go wrong between ranks.
public enum CommunicatorError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A rank has ended before the work was done.
  case lostRank(rank: Int, size: Int, reason: String)
  /// The MPI library is missing, or is not the one of the `mpirun` that started the process.
  case library(String)
  /// An operation of the MPI library failed.
  case failed(operation: String, message: String)
  /// Ranks that should have the same do not.
  case disagreement(about: String, rank: Int, size: Int)
  /// The number of parts or ranks is not one that can be trained with.
  case unsuitable(expected: String, found: String)

  /// One sentence that says what is wrong and where.
  public var description: String {
    switch self {
    case .lostRank(let rank, let size, let reason): "rank \(rank) of \(size) is lost: \(reason)"
    case .library(let message): message
    case .failed(let operation, let message): "\(operation) failed: \(message)"
    case .disagreement(let what, let rank, let size):
      "rank \(rank) of \(size) has another \(what) than rank 0: all ranks need the same options and files"
    case .unsuitable(let expected, let found): "expected \(expected), found \(found)"
    }
  }
}

/// The only rank there is.
public final class SingleProcess: Communicator {
  /// 0.
  public let rank = 0
  /// 1.
  public let size = 1
  /// 1.
  public let localSize = 1

  /// A communicator without others.
  public init() {}

  /// Returns at once.
  public func barrier() {}

  /// Leaves the bytes as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    precondition(root == 0, "SingleProcess.broadcast: root \(root) of one rank")
  }

  /// Copies the bytes.
  public func allGather(
    _ bytes: UnsafeRawBufferPointer, into gathered: UnsafeMutableRawBufferPointer, counts: [Int]
  ) {
    precondition(counts == [bytes.count], "SingleProcess.allGather: \(bytes.count) bytes, counts \(counts)")
    gathered.copyMemory(from: bytes)
  }

  /// Copies the bytes.
  public func allToAll(
    _ bytes: UnsafeRawBufferPointer, counts: [Int], into received: UnsafeMutableRawBufferPointer,
    receivedCounts: [Int]
  ) {
    precondition(
      counts == [bytes.count] && receivedCounts == counts,
      "SingleProcess.allToAll: \(bytes.count) bytes, counts \(counts), received \(receivedCounts)")
    received.copyMemory(from: bytes)
  }
}

/// The fixed block of `count` elements that belongs to a rank: as equal as can be, in the order of the ranks.
///
/// - Parameters:
///   - rank: the rank's number.
///   - size: the number of ranks.
///   - count: the number of elements.
package func block(of rank: Int, size: Int, count: Int) -> Range<Int> {
  count * rank / size..<count * (rank + 1) / size
}

/// The positions where runs of the given lengths begin.
func starts(_ counts: [Int]) -> [Int] {
  var next = 0
  return counts.map { count in
    defer { next += count }
    return next
  }
}
