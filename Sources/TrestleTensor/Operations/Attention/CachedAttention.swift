internal import CTrestleKernels

/// The keys and values that sequences attend to while they are generated, where a cache keeps them: nothing is packed.
package struct CachedSequences {
  /// Rows of keys and values, `[tokens, key heads, size]` each.
  package typealias Rows = (keys: Tensor, values: Tensor)

  /// What all sequences begin with; `nil` for nothing.
  package let shared: Rows?
  /// What each sequence has of its own, its newest token included.
  package let own: [Rows]

  package init(shared: Rows?, own: [Rows]) {
    self.shared = shared
    self.own = own
  }
}

extension Tensor {
  /// Attention of one new query of each of several sequences to all their keys; forward alone.
  ///
  /// The heads that share keys are the queries of one kernel call, and over the shared keys those of all sequences are, so
  /// that each key is read once. What the two parts give is joined by their sums of exponentials.
  ///
  /// - Parameters:
  ///   - sequences: keys and values of this tensor's type.
  ///   - window: how many of the last keys a query sees at most; 0 for all.
  ///   - scale: what the scores are multiplied by; by default 1/√size.
  /// - Returns: `[sequences, heads, size]`; this tensor, of that shape, holds the queries.
  package func cachedAttention(_ sequences: CachedSequences, window: Int = 0, scale: Double? = nil) -> Tensor
  {
    precondition(
      rank == 3 && shape[0] == sequences.own.count && !isTracked
        && sequences.own.allSatisfy {
          $0.keys.shape == $0.values.shape && $0.keys.shape[2] == shape[2] && $0.keys.dtype == dtype
        },
      "cachedAttention: queries \(dtype) \(shape) for \(sequences.own.count) sequences")
    let keyHeads = sequences.own.first?.keys.shape[1] ?? 1
    // `[key heads, sequences, heads of a group, size]`: what one kernel call reads lies together.
    let queries = reshaped(to: [shape[0], keyHeads, -1, shape[2]]).permuted([1, 0, 2, 3]).dense()
    let call = CachedAttentionCall(
      queries: queries, sequences: sequences, window: window,
      scale: scale ?? 1 / Double(shape[2]).squareRoot())
    return call.output().permuted([1, 0, 2, 3]).reshaped(to: shape)
  }
}

/// The work of one ``Tensor/cachedAttention(_:window:scale:)``.
private struct CachedAttentionCall {
  /// `[key heads, sequences, group, size]`.
  let queries: Tensor
  let sequences: CachedSequences
  let window: Int
  let scale: Double

  private var keyHeads: Int { queries.shape[0] }
  private var count: Int { queries.shape[1] }
  private var group: Int { queries.shape[2] }
  private var size: Int { queries.shape[3] }

  /// Some rows of a cache that queries see all of.
  private struct Part {
    let rows: CachedSequences.Rows
    let first: Int
    var length: Int { rows.keys.shape[0] - first }
  }

  /// The attention of each query to all its keys, in the queries' layout.
  func output() -> Tensor {
    var own: [Part] = []
    var shared: [Part] = []
    for rows in sequences.own {
      let length = rows.keys.shape[0]
      let rest = sequences.shared.map { $0.keys.shape[0] } ?? 0
      let unseen = window > 0 ? Swift.max(0, rest + length - window) : 0
      own.append(Part(rows: rows, first: Swift.min(length, Swift.max(0, unseen - rest))))
      if let all = sequences.shared { shared.append(Part(rows: all, first: Swift.min(unseen, rest))) }
    }
    let isUniform = shared.allSatisfy { $0.first == shared[0].first }
    let (result, lse) = attended(own, perCall: 1)
    guard !shared.isEmpty else { return result }
    let (other, otherLSE) = isUniform ? attended([shared[0]], perCall: count) : attended(shared, perCall: 1)
    return joined(result, lse, other, otherLSE)
  }

  /// The attention to one part of each sequence, or to one part that all see, with the logarithms of the sums.
  ///
  /// - Parameter perCall: how many sequences see a part.
  private func attended(_ parts: [Part], perCall: Int) -> (Tensor, lse: Tensor) {
    let result = Tensor(uninitialized: queries.shape, dtype: queries.dtype)
    let lse = Tensor(uninitialized: [keyHeads, count, group], dtype: queries.dtype)
    let table = Kernels.table(queries.dtype, "attention")
    let bytes = queries.dtype.byteCount
    let rows = perCall * group
    withExtendedLifetime((queries.storage, parts)) {
      ThreadPool.shared.run(parts.count * keyHeads) { task in
        let (index, head) = (task / keyHeads, task % keyHeads)
        let part = parts[index]
        let (keys, values) = part.rows
        let workspace = Storage(
          byteCount: Int(table.pointee.attention_workspace(Int64(rows), Int64(part.length), Int64(size)))
            * bytes)
        let row = (head * count + index * perCall) * group
        func start(_ x: Tensor) -> UnsafeMutableRawPointer {
          x.data + (part.first * step(x) + head * size) * bytes
        }
        table.pointee.attention(
          queries.data + row * size * bytes, Int64(size), start(keys), Int64(step(keys)), start(values),
          Int64(step(values)), result.data + row * size * bytes, Int64(size), lse.data + row * bytes,
          Int64(rows), Int64(part.length), Int64(size), scale, 0, 0, 0, nil, workspace.pointer)
      }
    }
    return (result, lse)
  }

  /// Elements from one token's keys to the next one's.
  private func step(_ x: Tensor) -> Int { x.shape[0] > 1 ? x.strides[0] : x.shape[1] * x.shape[2] }

  /// (a e^α + b e^β) / (e^α + e^β), row by row; a part of which nothing is seen has β = −∞ and counts nothing.
  private func joined(_ a: Tensor, _ alpha: Tensor, _ b: Tensor, _ beta: Tensor) -> Tensor {
    let share = (alpha - beta).sigmoid().expanded(at: 3)
    return a * share + b * (share.negated() + 1)
  }
}
