import Foundation
import TrestleFormats
import TrestleTensor

/// Operations on numbers and tensors, built on those on bytes.
extension Communicator {
  /// All ranks' numbers.
  ///
  /// - Parameter values: equally many on all ranks.
  /// - Returns: an array for each rank.
  /// - Throws: as ``allGather(_:into:counts:)``.
  public func allGather(_ values: [Int64]) throws(CommunicatorError) -> [[Int64]] {
    let gathered = try allGather(Tensor(values))
    return gathered.map { $0.scalars() }
  }

  /// All ranks' tensors.
  ///
  /// - Parameter tensor: of the same shape and type on all ranks.
  /// - Returns: a tensor for each rank.
  /// - Throws: as ``allGather(_:into:counts:)``.
  public func allGather(_ tensor: Tensor) throws(CommunicatorError) -> [Tensor] {
    let own = tensor.detached.dense()
    let byteCount = own.elementCount * own.dtype.byteCount
    let all = Tensor(uninitialized: [size] + own.shape, dtype: own.dtype)
    defer { keepAlive(own, all) }
    try allGather(own.bytes, into: all.mutableBytes, counts: Array(repeating: byteCount, count: size))
    return (0..<size).map { all.sliced($0..<$0 + 1, along: 0).reshaped(to: own.shape) }
  }

  /// All ranks' rows, of which each rank may have another number.
  ///
  /// - Parameter rows: `[n, …]`, alike but for `n`.
  /// - Returns: a tensor for each rank.
  /// - Throws: as ``allGather(_:into:counts:)``.
  public func allGatherRows(_ rows: Tensor) throws(CommunicatorError) -> [Tensor] {
    let counts = try allGather([Int64(rows.shape[0])]).map { Int($0[0]) }
    return try allGatherRows(rows, counts: counts).cut(counts)
  }

  /// All ranks' rows in one tensor, where each rank knows how many the others have.
  package func allGatherRows(_ rows: Tensor, counts: [Int]) throws(CommunicatorError) -> Tensor {
    let own = rows.detached.dense()
    let rowSize = own.shape.dimensions.dropFirst().reduce(own.dtype.byteCount, *)
    let all = Tensor(uninitialized: own.shape.withRows(counts.reduce(0, +)), dtype: own.dtype)
    defer { keepAlive(own, all) }
    try allGather(own.bytes, into: all.mutableBytes, counts: counts.map { $0 * rowSize })
    return all
  }

  /// One rank's tensor.
  ///
  /// - Parameters:
  ///   - tensor: what the root sends; elsewhere its shape and type count alone.
  ///   - root: the rank that sends.
  /// - Throws: as ``broadcast(_:from:)``.
  public func broadcast(_ tensor: Tensor, from root: Int = 0) throws(CommunicatorError) -> Tensor {
    let result = tensor.detached.copied()
    defer { keepAlive(result) }
    try broadcast(result.mutableBytes, from: root)
    return result
  }

  /// One rank's tensor, in the place of a dense one that nobody else holds.
  package func broadcastInPlace(_ tensor: Tensor, from root: Int) throws(CommunicatorError) {
    defer { keepAlive(tensor) }
    try broadcast(tensor.mutableBytes, from: root)
  }

  /// One rank's value.
  ///
  /// - Parameters:
  ///   - value: what the root sends; of no account elsewhere.
  ///   - root: the rank that sends.
  /// - Throws: as ``broadcast(_:from:)``, and what coding the value throws.
  public func broadcast<Value: Codable>(_ value: Value, from root: Int = 0) throws -> Value {
    if size == 1 { return value }
    let own = rank == root ? Array(try JSONEncoder().encode([value])) : []
    let count = try Int(allGather([Int64(own.count)])[root][0])
    let bytes = Tensor(uninitialized: [count], dtype: .uint8)
    defer { keepAlive(bytes) }
    if rank == root { own.withUnsafeBytes { bytes.mutableBytes.copyMemory(from: $0) } }
    try broadcast(bytes.mutableBytes, from: root)
    return try JSONDecoder().decode([Value].self, from: Data(bytes.scalars(as: UInt8.self)))[0]
  }

  /// The sum of all ranks' tensors, taken in the order of the ranks: the same bits on all.
  ///
  /// - Parameter tensor: `float32` or `float64`, of the same shape and type on all ranks.
  /// - Throws: as ``allToAll(_:counts:into:receivedCounts:)``.
  public func allReduce(_ tensor: Tensor) throws(CommunicatorError) -> Tensor {
    let own = try reduceScatter(tensor)
    let count = tensor.elementCount
    let result = Tensor(uninitialized: tensor.shape, dtype: tensor.dtype)
    defer { keepAlive(own, result) }
    let counts = (0..<size).map { block(of: $0, size: size, count: count).count * tensor.dtype.byteCount }
    try allGather(own.bytes, into: result.mutableBytes, counts: counts)
    return result
  }

  /// This rank's fixed block of the sum of all ranks' tensors, taken in the order of the ranks.
  ///
  /// - Parameter tensor: `float32` or `float64`, of the same shape and type on all ranks.
  /// - Returns: `[count]`, elements `n · rank / size ..< n · (rank + 1) / size` of the sum in row-major order.
  /// - Throws: as ``allToAll(_:counts:into:receivedCounts:)``.
  public func reduceScatter(_ tensor: Tensor) throws(CommunicatorError) -> Tensor {
    let own = tensor.detached.dense()
    let width = own.dtype.byteCount
    let length = block(of: rank, size: size, count: own.elementCount).count
    let parts = Tensor(uninitialized: [size, length], dtype: own.dtype)
    defer { keepAlive(own, parts) }
    try allToAll(
      own.bytes,
      counts: (0..<size).map { block(of: $0, size: size, count: own.elementCount).count * width },
      into: parts.mutableBytes, receivedCounts: Array(repeating: length * width, count: size))
    let sum = parts.sliced(0..<1, along: 0).reshaped(to: [length]).copied()
    for other in 1..<max(size, 1) {
      sum.addInPlace(
        UnsafeRawBufferPointer(rebasing: parts.bytes[other * length * width..<(other + 1) * length * width]))
    }
    return sum
  }

  /// Gives every rank its rows of everybody's.
  ///
  /// - Parameter parts: for each rank `[n, …]`, alike but for `n`.
  /// - Returns: from each rank `[n, …]`.
  /// - Throws: as ``allToAll(_:counts:into:receivedCounts:)``.
  public func allToAllRows(_ parts: [Tensor]) throws(CommunicatorError) -> [Tensor] {
    precondition(parts.count == size, "allToAllRows: \(parts.count) parts for \(size) ranks")
    let own = parts.count == 1 ? parts[0].detached.dense() : Tensor.concatenated(parts, along: 0).detached
    let counts = parts.map { $0.shape[0] }
    let received = try allGather(counts.map { Int64($0) }).map { Int($0[rank]) }
    return try allToAllRows(own, counts: counts, receivedCounts: received).cut(received)
  }

  /// Gives every rank its rows of everybody's, where each rank knows how many the others send it.
  ///
  /// - Parameters:
  ///   - rows: `[n, …]`, those for rank 0, 1, … one after the other.
  ///   - counts: how many rows go to each rank.
  ///   - receivedCounts: how many rows come from each rank.
  /// - Returns: the rows from rank 0, 1, … one after the other.
  /// - Throws: as ``allToAll(_:counts:into:receivedCounts:)``.
  package func allToAllRows(
    _ rows: Tensor, counts: [Int], receivedCounts: [Int]
  ) throws(CommunicatorError) -> Tensor {
    let own = rows.detached.dense()
    let rowSize = own.shape.dimensions.dropFirst().reduce(own.dtype.byteCount, *)
    let all = Tensor(uninitialized: own.shape.withRows(receivedCounts.reduce(0, +)), dtype: own.dtype)
    defer { keepAlive(own, all) }
    try allToAll(
      own.bytes, counts: counts.map { $0 * rowSize }, into: all.mutableBytes,
      receivedCounts: receivedCounts.map { $0 * rowSize })
    return all
  }

  /// Whether it is so on any rank.
  ///
  /// - Throws: as ``allGather(_:into:counts:)``.
  public func any(_ condition: Bool) throws(CommunicatorError) -> Bool {
    try size == 1 ? condition : allGather([condition ? 1 : 0]).contains { $0[0] != 0 }
  }

  /// Stops unless all ranks have the same.
  ///
  /// - Parameters:
  ///   - bytes: what is compared, by its hash.
  ///   - what: its name in the message.
  /// - Throws: ``CommunicatorError/disagreement(about:rank:size:)`` on all ranks, with the first that differs from rank 0.
  public func requireAgreement(on bytes: [UInt8], about what: String) throws(CommunicatorError) {
    guard size > 1 else { return }
    var hash = SHA256()
    hash.update(bytes)
    let digests = try allGather(Tensor(hash.finalized())).map { $0.scalars(as: UInt8.self) }
    if let other = digests.firstIndex(where: { $0 != digests[0] }) {
      throw .disagreement(about: what, rank: other, size: size)
    }
  }
}

/// Holds tensors up to here, because their bytes are being used.
func keepAlive(_ tensors: Tensor...) { withExtendedLifetime(tensors) {} }

extension Tensor {
  /// The bytes of a dense tensor. Valid while the tensor's storage lives: see ``keepAlive(_:)``.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }

  /// The bytes of a dense tensor that nobody else has seen yet.
  var mutableBytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: data, count: elementCount * dtype.byteCount)
  }

  /// Overwrites rows of a dense tensor that nobody else holds.
  package func overwriteRows(from row: Int, with rows: Tensor) {
    write(rows.bytes, at: row * (bytes.count / Swift.max(shape[0], 1)))
    keepAlive(self, rows)
  }

  /// Overwrites bytes of a dense tensor that nobody else has seen yet.
  func write(_ source: UnsafeRawBufferPointer, at place: Int) {
    UnsafeMutableRawBufferPointer(rebasing: mutableBytes[place..<place + source.count]).copyMemory(
      from: source)
  }

  /// Adds numbers of the same type and number, element by element.
  func addInPlace(_ other: UnsafeRawBufferPointer) {
    precondition(other.count == bytes.count, "addInPlace: \(other.count) bytes to \(bytes.count)")
    switch dtype {
    case .float32: Self.add(other.bindMemory(to: Float.self), to: pointer(Float.self))
    case .float64: Self.add(other.bindMemory(to: Double.self), to: pointer(Double.self))
    default: preconditionFailure("sums over ranks are of float32 or float64, not \(dtype)")
    }
  }

  private static func add<Number: BinaryFloatingPoint>(
    _ source: UnsafeBufferPointer<Number>, to target: UnsafeMutablePointer<Number>
  ) {
    // Safe: each task writes elements of its own.
    nonisolated(unsafe) let (source, target) = (source, target)
    let grain = 1 << 16
    ThreadPool.shared.run((source.count + grain - 1) / grain) { task in
      for index in task * grain..<Swift.min((task + 1) * grain, source.count) {
        target[index] += source[index]
      }
    }
  }

  /// Cuts into pieces of so many rows.
  fileprivate func cut(_ counts: [Int]) -> [Tensor] {
    zip(starts(counts), counts).map { sliced($0..<$0 + $1, along: 0) }
  }
}

extension Shape {
  fileprivate var dimensions: [Int] { (0..<rank).map { self[$0] } }

  fileprivate func withRows(_ count: Int) -> Shape { Shape([count] + dimensions.dropFirst()) }

  fileprivate static func + (dimensions: [Int], shape: Shape) -> Shape {
    Shape(dimensions + shape.dimensions)
  }
}
