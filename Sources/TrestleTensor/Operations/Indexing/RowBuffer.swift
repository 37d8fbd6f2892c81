/// Rows that are appended one batch after the other, and read as one tensor: the memory behind a cache.
///
/// Appending is amortised: rows that were handed out stay where they are and are never written again, because only the
/// space after them is.
package final class RowBuffer {
  private var table: Tensor?
  /// The number of rows.
  package private(set) var count = 0

  package init() {}

  /// The rows so far, `[count, ...]`; `nil` before the first.
  package var rows: Tensor? { table.map { $0.sliced(0..<count, along: 0) } }

  /// Adds rows, `[n, ...]`, at the end, and returns all of them.
  ///
  /// - Precondition: all rows have one shape and type.
  @discardableResult
  package func append(_ rows: Tensor) -> Tensor {
    let added = rows.detached.dense()
    var table = table ?? Tensor(uninitialized: added.shape.replacingFirst(by: 0), dtype: added.dtype)
    precondition(
      added.dtype == table.dtype && added.shape.replacingFirst(by: 0) == table.shape.replacingFirst(by: 0),
      "RowBuffer.append: rows \(added.dtype) \(added.shape) to \(table.dtype) \(table.shape)")
    let needed = count + added.shape[0]
    if needed > table.shape[0] {
      let capacity = max(needed, min(2 * count, count + 4096), 64)
      let larger = Tensor(uninitialized: added.shape.replacingFirst(by: capacity), dtype: added.dtype)
      if count > 0 { larger.overwrite(with: table.sliced(0..<count, along: 0), at: 0, along: 0) }
      table = larger
    }
    if added.shape[0] > 0 { table.overwrite(with: added, at: count, along: 0) }
    self.table = table
    count = needed
    return table.sliced(0..<count, along: 0)
  }

  /// Forgets all rows after the first `count`. What was handed out stays valid: later rows go to new memory.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count, "RowBuffer.truncate: to \(count) of \(self.count) rows")
    guard count < self.count else { return }
    self.count = count
    guard var own = table.take() else { return }
    // Memory that nobody else sees is written again.
    if !isKnownUniquelyReferenced(&own.storage) { own = own.sliced(0..<count, along: 0) }
    table = own
  }
}

extension Shape {
  /// The shape with another first dimension.
  fileprivate func replacingFirst(by length: Int) -> Shape {
    var copy = self
    copy[0] = length
    return copy
  }
}
