/// A sum of products by index names, taken apart: which dimensions are batches, contracted, or of one operand alone.
private struct IndexedTensor {
  var tensor: Tensor
  /// A name for each dimension.
  var names: [Character]

  /// The dimensions in the order of `order`, which has the same names.
  func ordered(_ order: [Character]) -> Tensor {
    let places = order.compactMap { names.firstIndex(of: $0) }
    return places == Array(0..<names.count) ? tensor : tensor.permuted(places)
  }

  func length(_ name: Character) -> Int { names.firstIndex(of: name).map { tensor.shape[$0] } ?? 1 }

  /// Summed over all names but the given ones.
  func summed(keeping kept: Set<Character>) -> IndexedTensor {
    let axes = names.indices.filter { !kept.contains(names[$0]) }
    if axes.isEmpty { return self }
    return IndexedTensor(tensor: tensor.sum(along: axes), names: names.filter(kept.contains))
  }

  /// One dimension for each name: of a repeated one, the diagonal.
  func withoutRepetitions() -> IndexedTensor {
    var result = self
    var first = 0
    while first < result.names.count {
      guard let second = result.names[(first + 1)...].firstIndex(of: result.names[first]) else {
        first += 1
        continue
      }
      result.tensor = result.tensor.diagonal(first, second)
      result.names.append(result.names[first])
      result.names.remove(at: second)
      result.names.remove(at: first)
    }
    return result
  }

  /// The sum of the products with another tensor over the names that are not kept: one batched matrix product.
  func multiplied(by other: IndexedTensor, keeping kept: Set<Character>) -> IndexedTensor {
    let (left, right) = (Set(names), Set(other.names))
    let a = summed(keeping: kept.union(right))
    let b = other.summed(keeping: kept.union(left))
    let shared = a.names.filter(b.names.contains)
    let batch = shared.filter(kept.contains)
    let contracted = shared.filter { !kept.contains($0) }
    let rows = a.names.filter { !b.names.contains($0) }
    let columns = b.names.filter { !a.names.contains($0) }
    for name in shared {
      precondition(
        a.length(name) == b.length(name),
        "einsum: index \(name) has lengths \(a.length(name)) and \(b.length(name))")
    }
    func count(_ part: [Character], _ operand: IndexedTensor) -> Int {
      part.reduce(1) { $0 * operand.length($1) }
    }
    let x = a.ordered(batch + rows + contracted)
      .reshaped(to: [count(batch, a), count(rows, a), count(contracted, a)] as Shape)
    let y = b.ordered(batch + columns + contracted)
      .reshaped(to: [count(batch, b), count(columns, b), count(contracted, b)] as Shape)
    let lengths = batch.map(a.length) + rows.map(a.length) + columns.map(b.length)
    return IndexedTensor(
      tensor: x.matmul(y, transposingOther: true).reshaped(to: Shape(lengths)), names: batch + rows + columns)
  }
}

extension Tensor {
  /// The sum of products that an index expression says, as NumPy's `einsum`.
  ///
  /// ```swift
  /// Tensor.einsum("ik,kj->ij", a, b)      // a matrix product
  /// Tensor.einsum("bhqd,bhkd->bhqk", q, k)
  /// Tensor.einsum("ii->", a)              // the trace
  /// ```
  ///
  /// Operands are multiplied from the first to the last, each pair as one batched matrix product; an index that no later
  /// operand and no result has is summed over as soon as it can be.
  /// - Parameters:
  ///   - expression: a letter for each dimension, commas between operands, `->` before the result's; without `->` the
  ///     result has the letters that occur once, in alphabetical order.
  ///   - operands: of one type.
  /// - Precondition: the expression fits the operands' dimensions.
  public static func einsum(_ expression: String, _ operands: Tensor...) -> Tensor {
    let parts = expression.filter { $0 != " " }.split(separator: ">", omittingEmptySubsequences: false)
    let hasResult = parts.count == 2 && parts[0].hasSuffix("-")
    precondition(
      hasResult || parts.count == 1 && !expression.contains("-"),
      "einsum: \(expression) is not an index expression")
    let inputs = (hasResult ? parts[0].dropLast() : parts[0]).split(
      separator: ",", omittingEmptySubsequences: false
    ).map(Array.init)
    precondition(
      inputs.count == operands.count && zip(inputs, operands).allSatisfy { $0.count == $1.rank },
      "einsum: \(expression) for operands of shapes \(operands.map(\.shape))")
    let all = inputs.flatMap { $0 }
    let output =
      hasResult ? Array(parts[1]) : Set(all).filter { name in all.filter { $0 == name }.count == 1 }.sorted()
    precondition(
      Set(output).count == output.count && output.allSatisfy(all.contains),
      "einsum: the result of \(expression) repeats an index, or has one of its own")
    let indexed = zip(operands, inputs).map {
      IndexedTensor(tensor: $0, names: $1).withoutRepetitions()
    }
    var result = indexed[0]
    for position in indexed.indices.dropFirst() {
      let later = indexed[(position + 1)...].flatMap(\.names)
      result = result.multiplied(by: indexed[position], keeping: Set(output + later))
    }
    return result.summed(keeping: Set(output)).ordered(output)
  }

  /// The products of all pairs of elements of two vectors, `[n, m]`.
  public func outer(_ other: Tensor) -> Tensor {
    precondition(rank == 1 && other.rank == 1, "outer: shapes \(shape) and \(other.shape), expected vectors")
    return expanded(at: 1) * other.expanded(at: 0)
  }

  /// The diagonal of two dimensions, which becomes the last dimension; a view.
  public func diagonal(_ first: Int = -2, _ second: Int = -1) -> Tensor {
    let a = shape.resolved(first, operation: "diagonal")
    let b = shape.resolved(second, operation: "diagonal")
    precondition(
      a != b && shape[a] == shape[b],
      "diagonal: dimensions \(a) and \(b) of \(shape), expected two of one length")
    let others = (0..<rank).filter { $0 != a && $0 != b }
    let length = shape[a]
    // Elements of the diagonal are length + 1 apart once both dimensions are one.
    let square = permuted(others + [a, b])
    let flat = square.reshaped(to: Shape(others.map { shape[$0] } + [length * length]))
    return flat.strided(start: 0, count: length, step: length + 1, along: others.count)
  }
}
