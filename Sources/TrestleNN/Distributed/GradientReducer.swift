import TrestleTensor

/// Sums the gradients of a step's parts over ranks: in the order of the parts, whichever rank computes which.
///
/// A step has parts 0, 1, …; part p belongs to rank p modulo the number of ranks, and each round of ``add(_:)`` takes the
/// next part of every rank. Each element of a dense gradient belongs to one rank, by fixed blocks: that rank gets it from
/// all, adds up, and gives everybody the sum. Row-sparse gradients go to all, and are merged row by row. The order of
/// additions is that of the parts for both, so that N parts give the same bits on 1, 2 or N ranks.
///
/// The result is the mean over the examples of all parts: Σ nₚ gₚ / Σ nₚ for parts of nₚ examples with mean gradients gₚ.
public final class GradientReducer {
  /// What a rank has computed of a step.
  public struct Part {
    /// The gradients of the part's mean loss.
    public let gradients: Gradients
    /// The number of examples that the loss is the mean over.
    public let exampleCount: Int
    /// The mean loss.
    public let loss: Double

    /// A part.
    public init(_ gradients: Gradients, exampleCount: Int, loss: Double) {
      (self.gradients, self.exampleCount, self.loss) = (gradients, exampleCount, loss)
    }
  }

  /// The mean over all parts of a step.
  public struct Mean {
    /// The gradients.
    public let gradients: Gradients
    /// The number of examples.
    public let exampleCount: Int
    /// The loss.
    public let loss: Double
  }

  /// The parameters whose gradients are summed.
  public let parameters: [Parameter]
  let communicator: any Communicator
  /// The dense sums, by parameter: this rank's block of each segment.
  private var dense: [Int: [Tensor?]] = [:]
  /// The row-sparse sums, by parameter.
  private var rows: [Int: SparseRows] = [:]
  private var examples = 0
  private var loss = 0.0

  /// A reducer for gradients of the given parameters, the same in the same order on all ranks.
  public init(_ parameters: [Parameter], _ communicator: any Communicator) {
    (self.parameters, self.communicator) = (parameters, communicator)
  }

  /// Adds the next part of every rank.
  ///
  /// - Parameter part: this rank's; `nil` if there is none left for it.
  /// - Returns: the number of ranks that had a part.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func add(_ part: Part?) throws(CommunicatorError) -> Int {
    let gradients = part.map(weighted) ?? Array(repeating: nil, count: parameters.count)
    let headers = try communicator.allGather(header(of: part, gradients)).map(PartHeader.init)
    for header in headers where header.isThere {
      examples += header.exampleCount
      loss += header.loss * Double(header.exampleCount)
    }
    try addDense(gradients, headers)
    try addRows(gradients, headers)
    return headers.count { $0.isThere }
  }

  /// The mean of what has been added, the same on all ranks; `nil` if nothing has. The next step may then be added.
  ///
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func mean() throws(CommunicatorError) -> Mean? {
    defer { (dense, rows, examples, loss) = ([:], [:], 0, 0) }
    guard examples > 0 else { return nil }
    let factor = 1 / Double(examples)
    let sums = try gatheredDense(scaledBy: factor)
    var result = Gradients()
    for (index, parameter) in parameters.enumerated() {
      switch (sums[index], rows[index]) {
      case (let sum?, let rows?):
        var both = Gradients()
        both[parameter] = .dense(sum)
        var other = Gradients()
        other[parameter] = Gradient.rows(rows).scaled(by: factor)
        both.add(other)
        result[parameter] = both[parameter]
      case (let sum?, nil): result[parameter] = .dense(sum)
      case (nil, let rows?): result[parameter] = Gradient.rows(rows).scaled(by: factor)
      case (nil, nil): break
      }
    }
    return Mean(gradients: result, exampleCount: examples, loss: loss / Double(examples))
  }

  // MARK: Parts

  /// The part's gradients times its number of examples, by parameter.
  private func weighted(_ part: Part) -> [Gradient?] {
    parameters.map { parameter in
      switch part.gradients[parameter]?.coalesced().scaled(by: Double(part.exampleCount)) {
      case .dense(let tensor)?: .dense(tensor.detached.dense())
      case .rows(let rows)?: .rows(rows)
      case nil: nil
      }
    }
  }

  private func header(of part: Part?, _ gradients: [Gradient?]) -> [Int64] {
    guard let part else { return Array(repeating: 0, count: 3 + parameters.count) }
    return [1, Int64(part.exampleCount), Int64(bitPattern: part.loss.bitPattern)]
      + gradients.map { gradient in
        switch gradient {
        case .dense?: PartHeader.dense
        case .rows(let rows)?: Int64(rows.indices.elementCount)
        case nil: PartHeader.nothing
        }
      }
  }

  // MARK: Dense gradients

  private func addDense(_ gradients: [Gradient?], _ headers: [PartHeader]) throws(CommunicatorError) {
    let wanted = parameters.indices.filter { index in headers.contains { $0.isDense(index) } }
    for bucket in buckets(wanted) { try add(bucket, gradients, headers) }
  }

  /// Sends each rank its blocks of some segments, and adds up what comes for this rank's.
  private func add(
    _ bucket: [GradientSegment], _ gradients: [Gradient?], _ headers: [PartHeader]
  ) throws(CommunicatorError) {
    let (rank, size) = (communicator.rank, communicator.size)
    let own = bucket.filter { headers[rank].isDense($0.parameter) }
    let counts = (0..<size).map { other in own.reduce(0) { $0 + $1.byteCount(of: other, size) } }
    let incoming = headers.map { header in bucket.filter { header.isDense($0.parameter) } }
    let receivedCounts = incoming.map { $0.reduce(0) { $0 + $1.byteCount(of: rank, size) } }
    let outbox = Tensor(uninitialized: [counts.reduce(0, +)], dtype: .uint8)
    let inbox = Tensor(uninitialized: [receivedCounts.reduce(0, +)], dtype: .uint8)
    defer { keepAlive(outbox, inbox) }
    var place = 0
    for other in 0..<size {
      for segment in own {
        guard case .dense(let tensor)? = gradients[segment.parameter] else { continue }
        let range = segment.bytes(of: other, size)
        outbox.write(UnsafeRawBufferPointer(rebasing: tensor.bytes[range]), at: place)
        keepAlive(tensor)
        place += range.count
      }
    }
    try communicator.allToAll(
      outbox.bytes, counts: counts, into: inbox.mutableBytes, receivedCounts: receivedCounts)
    place = 0
    for segment in incoming.joined() {
      let count = segment.byteCount(of: rank, size)
      let block = UnsafeRawBufferPointer(rebasing: inbox.bytes[place..<place + count])
      if let sum = dense[segment.parameter]?[segment.number] {
        sum.addInPlace(block)
      } else {
        let number = GradientSegment.count(parameters[segment.parameter])
        dense[segment.parameter, default: Array(repeating: nil, count: number)][segment.number] =
          Tensor(copying: block, shape: [count / segment.width], dtype: segment.dtype)
      }
      place += count
    }
  }

  /// Everybody's blocks of the sums, put together.
  private func gatheredDense(scaledBy factor: Double) throws(CommunicatorError) -> [Int: Tensor] {
    let (rank, size) = (communicator.rank, communicator.size)
    var result: [Int: Tensor] = [:]
    for index in dense.keys {
      result[index] = Tensor(uninitialized: parameters[index].shape, dtype: parameters[index].dtype)
    }
    for bucket in buckets(dense.keys.sorted()) {
      let counts = (0..<size).map { other in bucket.reduce(0) { $0 + $1.byteCount(of: other, size) } }
      let outbox = Tensor(uninitialized: [counts[rank]], dtype: .uint8)
      let inbox = Tensor(uninitialized: [counts.reduce(0, +)], dtype: .uint8)
      defer { keepAlive(outbox, inbox) }
      var place = 0
      for segment in bucket {
        guard let sum = dense[segment.parameter]?[segment.number] else { continue }
        let scaled = sum * factor
        outbox.write(scaled.bytes, at: place)
        place += scaled.bytes.count
        keepAlive(scaled)
      }
      try communicator.allGather(outbox.bytes, into: inbox.mutableBytes, counts: counts)
      place = 0
      for other in 0..<size {
        for segment in bucket {
          let range = segment.bytes(of: other, size)
          result[segment.parameter]?.write(
            UnsafeRawBufferPointer(rebasing: inbox.bytes[place..<place + range.count]), at: range.lowerBound)
          place += range.count
        }
      }
    }
    return result
  }

  /// The segments of some parameters, as many at a time as are sent together.
  private func buckets(_ indices: [Int]) -> [[GradientSegment]] {
    var buckets: [[GradientSegment]] = []
    var room = 0
    for segment in indices.flatMap({ GradientSegment.all(of: parameters[$0], index: $0) }) {
      let count = segment.elements.count * segment.width
      if room < count || buckets.isEmpty {
        buckets.append([])
        room = GradientSegment.bucketByteCount
      }
      buckets[buckets.count - 1].append(segment)
      room -= count
    }
    return buckets
  }

  // MARK: Row-sparse gradients

  private func addRows(_ gradients: [Gradient?], _ headers: [PartHeader]) throws(CommunicatorError) {
    for (index, parameter) in parameters.enumerated() {
      let counts = headers.map { $0.rowCount(index) }
      guard counts.contains(where: { $0 > 0 }) else { continue }
      var (names, values) = (
        Tensor(uninitialized: [0], dtype: .int32),
        Tensor(uninitialized: [0, parameter.shape[1]], dtype: parameter.dtype)
      )
      if case .rows(let own)? = gradients[index] {
        (names, values) = (own.indices.detached.dense(), own.values.detached.dense())
      }
      names = try communicator.allGatherRows(names, counts: counts)
      values = try communicator.allGatherRows(values, counts: counts)
      // What is there comes first, then the parts in their order: so are a row's values added.
      if let sum = rows[index] {
        names = .concatenated([sum.indices, names], along: 0)
        values = .concatenated([sum.values, values], along: 0)
      }
      rows[index] = SparseRows(indices: names, values: values, rowCount: parameter.shape[0]).coalesced()
    }
  }
}

/// What the ranks tell one another about their parts before they send them.
private struct PartHeader {
  static let nothing: Int64 = -1
  static let dense: Int64 = -2

  let isThere: Bool
  let exampleCount: Int
  let loss: Double
  private let kinds: ArraySlice<Int64>

  init(_ numbers: [Int64]) {
    isThere = numbers[0] == 1
    exampleCount = Int(numbers[1])
    loss = Double(bitPattern: UInt64(bitPattern: numbers[2]))
    kinds = numbers[3...]
  }

  func isDense(_ parameter: Int) -> Bool { kinds[3 + parameter] == Self.dense }

  func rowCount(_ parameter: Int) -> Int { max(Int(kinds[3 + parameter]), 0) }
}

/// A run of a dense gradient's elements, of which every rank owns a fixed block.
private struct GradientSegment {
  private static let length = 1 << 20
  /// The most bytes that are sent together.
  static let bucketByteCount = 16 << 20

  /// The parameter's index.
  let parameter: Int
  /// The segment's number within the parameter.
  let number: Int
  let elements: Range<Int>
  let dtype: DType
  var width: Int { dtype.byteCount }

  static func count(_ parameter: Parameter) -> Int { (parameter.shape.elementCount + length - 1) / length }

  static func all(of parameter: Parameter, index: Int) -> [GradientSegment] {
    let count = parameter.shape.elementCount
    return stride(from: 0, to: count, by: length).enumerated().map { number, first in
      GradientSegment(
        parameter: index, number: number, elements: first..<min(first + length, count), dtype: parameter.dtype
      )
    }
  }

  /// Where a rank's block lies within the gradient, in bytes.
  func bytes(of rank: Int, _ size: Int) -> Range<Int> {
    let own = block(of: rank, size: size, count: elements.count)
    return (elements.lowerBound + own.lowerBound) * width..<(elements.lowerBound + own.upperBound) * width
  }

  func byteCount(of rank: Int, _ size: Int) -> Int { bytes(of: rank, size).count }
}
