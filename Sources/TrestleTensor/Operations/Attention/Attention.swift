internal import CTrestleKernels

/// The sequences of a packed batch: where each one's queries and keys lie among the rows.
public struct PackedSequences: Sendable, Hashable {
  /// The first query row of each sequence, and at the end the number of query rows: `count + 1` ascending numbers.
  public let queryStarts: [Int]
  /// The same for key rows; differs from `queryStarts` when keys come from a cache.
  public let keyStarts: [Int]

  /// Sequences that attend to themselves.
  ///
  /// - Parameter lengths: the number of tokens of each.
  public init(lengths: [Int]) {
    self.init(queryLengths: lengths, keyLengths: lengths)
  }

  /// Sequences with more keys than queries: the last keys are those of the queries.
  public init(queryLengths: [Int], keyLengths: [Int]) {
    precondition(
      queryLengths.count == keyLengths.count
        && zip(queryLengths, keyLengths).allSatisfy { 0 <= $0 && $0 <= $1 },
      "PackedSequences: query lengths \(queryLengths), key lengths \(keyLengths)")
    func starts(_ lengths: [Int]) -> [Int] { lengths.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) } }
    queryStarts = starts(queryLengths)
    keyStarts = starts(keyLengths)
  }

  /// The number of sequences.
  public var count: Int { queryStarts.count - 1 }
  /// The number of query rows in all.
  public var queryCount: Int { queryStarts.last ?? 0 }
  /// The number of key rows in all.
  public var keyCount: Int { keyStarts.last ?? 0 }
}

extension Tensor {
  /// Scaled dot-product attention over packed sequences, tile by tile: the score matrix is never stored.
  ///
  /// - Parameters:
  ///   - keys: `[key tokens, key heads, head size]`; the number of query heads is a multiple of that of key heads.
  ///   - values: of the keys' shape.
  ///   - sequences: where each sequence lies among the rows.
  ///   - isCausal: whether a query sees no key after its own position (the last query is aligned with the last key).
  ///   - window: how many of the last keys a query sees at most, its own counted, and without `isCausal` as many of the next
  ///     ones: those at positions less than `window` away. 0 for all.
  ///   - scale: what the scores are multiplied by; by default 1/√(head size).
  /// - Returns: `[query tokens, heads, head size]`; this tensor, of that shape, holds the queries.
  ///
  /// Source: Dao et al., *FlashAttention* (2022), for the tiling.
  public func attention(
    keys: Tensor, values: Tensor, sequences: PackedSequences, isCausal: Bool, window: Int = 0,
    scale: Double? = nil
  ) -> Tensor {
    attention(
      keys: keys, values: values, sequences: sequences, isCausal: isCausal, window: window, scale: scale,
      dropout: nil)
  }

  /// Scaled dot-product attention over packed sequences whose probabilities are dropped at random: each becomes 0 at a rate, and
  /// the others are divided by 1 − rate, after the softmax.
  ///
  /// Neither scores nor what is dropped are stored: the backward pass finds out anew. What is dropped depends on the generator, and
  /// on a probability's sequence, head and place alone.
  ///
  /// - Parameters:
  ///   - keys: `[key tokens, key heads, head size]`; the number of query heads is a multiple of that of key heads.
  ///   - values: of the keys' shape.
  ///   - sequences: where each sequence lies among the rows.
  ///   - isCausal: whether a query sees no key after its own position.
  ///   - window: how many of the last keys a query sees at most, as without dropout. 0 for all.
  ///   - scale: what the scores are multiplied by; by default 1/√(head size).
  ///   - rate: from 0 to below 1; 0 drops nothing and draws nothing.
  ///   - generator: advanced once.
  /// - Returns: `[query tokens, heads, head size]`; this tensor, of that shape, holds the queries.
  ///
  /// Source: Vaswani et al., *Attention Is All You Need* (2017), whose code drops the probabilities.
  public func attention(
    keys: Tensor, values: Tensor, sequences: PackedSequences, isCausal: Bool, window: Int = 0,
    scale: Double? = nil, dropout rate: Double, using generator: inout RandomGenerator
  ) -> Tensor {
    precondition(rate >= 0 && rate < 1, "attention(dropout:): \(rate) is outside 0..<1")
    let dropout =
      rate == 0 ? nil : ProbabilityDropout(rate: rate, source: RandomGenerator(seed: generator.next()))
    return attention(
      keys: keys, values: values, sequences: sequences, isCausal: isCausal, window: window, scale: scale,
      dropout: dropout)
  }

  private func attention(
    keys: Tensor, values: Tensor, sequences: PackedSequences, isCausal: Bool, window: Int, scale: Double?,
    dropout: ProbabilityDropout?
  ) -> Tensor {
    precondition(
      rank == 3 && keys.rank == 3 && keys.shape == values.shape && keys.shape[2] == shape[2]
        && shape[1] % Swift.max(keys.shape[1], 1) == 0 && shape[0] == sequences.queryCount
        && keys.shape[0] == sequences.keyCount,
      "attention: queries \(shape), keys \(keys.shape), values \(values.shape), \(sequences.queryCount) query and \(sequences.keyCount) key tokens"
    )
    let call = AttentionCall(
      q: detached.rowDense(), k: keys.detached.rowDense(), v: values.detached.rowDense(),
      sequences: sequences,
      isCausal: isCausal, window: window, scale: scale ?? 1 / Double(shape[2]).squareRoot(),
      dropout: dropout)
    let tape = Tensor.commonTape("attention", self, keys, values)
    let (output, lse) = call.forward(keepsStatistics: tape != nil)
    guard let tape else { return output }
    let (qNode, kNode, vNode) = (node, keys.node, values.node)
    return tape.record("attention", output) { dy, pass in
      let gradients = call.backward(output: output, lse: lse, upstream: dy.dense())
      pass.add(gradients.q, to: qNode)
      pass.add(gradients.k, to: kNode)
      pass.add(gradients.v, to: vNode)
    }
  }

  /// A `[tokens, heads, size]` tensor whose heads are dense within each token; tokens may be far apart.
  fileprivate func rowDense() -> Tensor {
    let isFit = (strides[2] == 1 || shape[2] <= 1) && (strides[1] == shape[2] || shape[1] <= 1)
    return isFit ? self : dense()
  }

  /// Rotary position embedding of `[tokens, heads, head size]`.
  ///
  /// - Parameters:
  ///   - cosines: `[tokens, rotated / 2]`: the cosine of each token's angles.
  ///   - sines: of the same shape.
  ///   - isHalfSplit: whether pairs are (i, i + rotated/2), as Hugging Face lays them out, or (2i, 2i + 1).
  ///
  /// Source: Su et al., *RoFormer* (2021).
  public func rotated(cosines: Tensor, sines: Tensor, isHalfSplit: Bool = true) -> Tensor {
    precondition(
      rank == 3 && cosines.shape == sines.shape && cosines.rank == 2 && cosines.shape[0] == shape[0]
        && cosines.shape[1] * 2 <= shape[2] && cosines.dtype == dtype && sines.dtype == dtype,
      "rotated: \(dtype) \(shape) by angles \(cosines.dtype) \(cosines.shape), \(sines.shape)")
    let (c, s) = (cosines.detached.dense(), sines.detached.dense())
    func rotate(_ x: Tensor, _ direction: Int32) -> Tensor {
      let x = x.rowDense()
      let y = Tensor(uninitialized: x.shape, dtype: x.dtype)
      let (heads, headSize, rotated) = (x.shape[1], x.shape[2], c.shape[1] * 2)
      let table = Kernels.table(x.dtype, "rotated")
      let size = x.dtype.byteCount
      let step = x.shape[0] > 1 ? x.strides[0] : heads * headSize
      withExtendedLifetime((x.storage, c.storage, s.storage)) {
        Kernels.parallelRows(x.shape[0], cols: heads * headSize) { token, count in
          let angle = token * rotated / 2 * size
          table.pointee.rotary(
            x.data + token * step * size, Int64(step), c.data + angle, s.data + angle,
            y.data + token * heads * headSize * size, Int64(heads * headSize), Int64(count), Int64(heads),
            Int64(headSize), Int64(rotated), isHalfSplit ? 1 : 0, direction)
        }
      }
      return y
    }
    let node = self.node
    return recording("rotated", rotate(detached, 1)) { dy, pass in pass.add(rotate(dy, -1), to: node) }
  }
}

/// Which probabilities of an attention are dropped.
private struct ProbabilityDropout {
  let rate: Double
  let source: RandomGenerator

  /// What the kernel is told for one head of one sequence.
  func kernel(_ task: Int) -> trestle_dropout {
    var own = source.split(UInt64(task))
    return trestle_dropout(
      seed: own.next(), threshold: UInt32(rate * 4_294_967_296), scale: 1 / (1 - rate))
  }
}

/// One attention over packed sequences: the work of its forward and backward passes.
private struct AttentionCall {
  let q: Tensor
  let k: Tensor
  let v: Tensor
  let sequences: PackedSequences
  let isCausal: Bool
  let window: Int
  let scale: Double
  let dropout: ProbabilityDropout?

  private var heads: Int { q.shape[1] }
  private var keyHeads: Int { k.shape[1] }
  private var headSize: Int { q.shape[2] }
  private var size: Int { q.dtype.byteCount }
  private func step(_ x: Tensor) -> Int { x.shape[0] > 1 ? x.strides[0] : x.shape[1] * x.shape[2] }

  /// The workspace that covers every sequence, in bytes.
  private func workspaceBytes(_ table: Kernels.Table) -> Int {
    var largest: Int64 = 0
    for index in 0..<sequences.count {
      let (queries, keys) = lengths(index)
      largest = max(largest, table.pointee.attention_workspace(Int64(queries), Int64(keys), Int64(headSize)))
    }
    return max(Int(largest), 1) * size
  }

  private func lengths(_ index: Int) -> (queries: Int, keys: Int) {
    (
      sequences.queryStarts[index + 1] - sequences.queryStarts[index],
      sequences.keyStarts[index + 1] - sequences.keyStarts[index]
    )
  }

  /// The query heads that share a head of keys and values.
  private var group: Int { heads / max(keyHeads, 1) }

  /// One query head of one sequence: what its kernel call reads, and where its numbers lie.
  private struct HeadTask {
    let query: UnsafeMutableRawPointer
    let key: UnsafeMutableRawPointer
    let value: UnsafeMutableRawPointer
    let queries: Int
    let keys: Int
    /// Of the head's first query among all statistics, in bytes.
    let statistics: Int
    /// Of the head's first query in a dense tensor of the queries' shape, in bytes.
    let denseQuery: Int
    /// Of the head's first key in a dense tensor of keys with a part for every query head, in bytes.
    let denseKey: Int
    /// `nil` if nothing is dropped.
    let dropout: UnsafePointer<trestle_dropout>?
    let workspace: UnsafeMutableRawPointer
  }

  /// Runs `body` for every query head of every sequence that has queries, in parallel.
  private func forEachHead(_ table: Kernels.Table, _ body: (HeadTask) -> Void) {
    let bytes = workspaceBytes(table)
    withExtendedLifetime((q.storage, k.storage, v.storage)) {
      ThreadPool.shared.run(sequences.count * heads) { task in
        let (index, head) = (task / heads, task % heads)
        let (queries, keys) = lengths(index)
        guard queries > 0 else { return }
        let workspace = Storage(byteCount: bytes)
        let (firstQuery, firstKey) = (sequences.queryStarts[index], sequences.keyStarts[index])
        let keyColumn = head / group * headSize
        var dropped = trestle_dropout()
        if let dropout { dropped = dropout.kernel(task) }
        withUnsafePointer(to: dropped) { dropped in
          body(
            HeadTask(
              query: q.data + (firstQuery * step(q) + head * headSize) * size,
              key: k.data + (firstKey * step(k) + keyColumn) * size,
              value: v.data + (firstKey * step(v) + keyColumn) * size, queries: queries, keys: keys,
              statistics: (head * q.shape[0] + firstQuery) * size,
              denseQuery: (firstQuery * heads + head) * headSize * size,
              denseKey: (firstKey * heads + head) * headSize * size, dropout: dropout == nil ? nil : dropped,
              workspace: workspace.pointer))
        }
        withExtendedLifetime(workspace) {}
      }
    }
  }

  /// What a kernel is told of the keys that queries see. A window to both sides is a causal one of both widths whose end
  /// lies that much later.
  private func mask(of head: HeadTask) -> (causal: Int32, offset: Int64, window: Int64) {
    let offset = head.keys - head.queries
    if isCausal { return (1, Int64(offset), Int64(window)) }
    guard window > 0 else { return (0, Int64(offset), 0) }
    let side = min(window, head.keys) - 1
    return (1, Int64(offset + side), Int64(2 * side + 1))
  }

  func forward(keepsStatistics: Bool) -> (Tensor, lse: Tensor) {
    let output = Tensor(uninitialized: q.shape, dtype: q.dtype)
    let lse = Tensor(uninitialized: keepsStatistics ? [heads, q.shape[0]] : [0], dtype: q.dtype)
    let table = Kernels.table(q.dtype, "attention")
    let width = Int64(heads * headSize)
    forEachHead(table) { head in
      let mask = mask(of: head)
      table.pointee.attention(
        head.query, Int64(step(q)), head.key, Int64(step(k)), head.value, Int64(step(v)),
        output.data + head.denseQuery, width, keepsStatistics ? lse.data + head.statistics : nil,
        Int64(head.queries), Int64(head.keys), Int64(headSize), scale, mask.causal, mask.offset, mask.window,
        head.dropout, head.workspace)
    }
    return (output, lse)
  }

  func backward(output: Tensor, lse: Tensor, upstream: Tensor) -> (q: Tensor, k: Tensor, v: Tensor) {
    let dq = Tensor(uninitialized: q.shape, dtype: q.dtype)
    // A task for every query head, each with keys' and values' gradients of its own: enough of them to fill the threads.
    let perHead = Shape([k.shape[0], heads * headSize])
    let dk = Tensor.zeros(perHead, dtype: q.dtype)
    let dv = Tensor.zeros(perHead, dtype: q.dtype)
    let table = Kernels.table(q.dtype, "attention")
    let width = Int64(heads * headSize)
    withExtendedLifetime((output.storage, lse.storage, upstream.storage)) {
      forEachHead(table) { head in
        let mask = mask(of: head)
        table.pointee.attention_backward(
          head.query, Int64(step(q)), head.key, Int64(step(k)), head.value, Int64(step(v)),
          output.data + head.denseQuery, width, lse.data + head.statistics, upstream.data + head.denseQuery,
          width, dq.data + head.denseQuery, width, dk.data + head.denseKey, width, dv.data + head.denseKey,
          width, Int64(head.queries), Int64(head.keys), Int64(headSize), scale, mask.causal, mask.offset,
          mask.window, head.dropout, head.workspace)
      }
    }
    return (dq, summed(dk, group: group, as: k.shape), summed(dv, group: group, as: v.shape))
  }

  /// The gradients of keys or values: those of the query heads of a key head added in order.
  private func summed(_ gradient: Tensor, group: Int, as shape: Shape) -> Tensor {
    if group <= 1 { return gradient.reshaped(to: shape) }
    let result = Tensor(uninitialized: shape, dtype: gradient.dtype)
    let add = Kernels.binary(.add, gradient.dtype)
    let size = gradient.dtype.byteCount
    withExtendedLifetime(gradient.storage) {
      Kernels.parallelRows(shape[0] * keyHeads, cols: group * headSize) { row, count in
        for place in row..<row + count {
          let source = gradient.data + place * group * headSize * size
          let target = result.data + place * headSize * size
          add(source, source + headSize * size, target, Int64(headSize))
          for head in 2..<Swift.max(group, 2) {
            add(target, source + head * headSize * size, target, Int64(headSize))
          }
        }
      }
    }
    return result
  }
}
