import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Codes of items by recursive spectral clustering of what users take together.
enum SpectralCodes {
  /// The codes of every item, at most `levels` of `codes` kinds each; no two items have the same.
  ///
  /// - Parameters:
  ///   - training: the histories.
  ///   - levels: the most codes of an item.
  ///   - codes: how many there are of each level.
  ///   - generator: draws where iterations begin.
  static func codes(
    of training: Interactions, levels: Int, codes: Int, using generator: inout RandomGenerator
  ) -> [[Int32]] {
    let matrix = UserItemMatrix(training)
    var result = [[Int32]](repeating: [], count: training.itemCount)
    var open = [(items: Array(0..<Int32(training.itemCount)), level: 0)]
    while let (items, level) = open.popLast() {
      if items.count <= codes {
        for (place, item) in items.enumerated() { result[Int(item)].append(Int32(place)) }
        continue
      }
      // The items below each code must fit into the levels that are left.
      var room = 1
      for _ in level + 1..<levels { room = Swift.min(room * codes, training.itemCount + codes) }
      let parts = clusters(of: items, matrix, count: codes, room: room, using: &generator)
      for (code, part) in parts.enumerated() where !part.isEmpty {
        for item in part { result[Int(item)].append(Int32(code)) }
        // An item alone needs no further code, unless others begin with the same ones: none do.
        if part.count > 1 { open.append((part, level + 1)) }
      }
    }
    return result
  }

  /// Parts of at most `room` items that are taken together.
  private static func clusters(
    of items: [Int32], _ matrix: UserItemMatrix, count: Int, room: Int, using generator: inout RandomGenerator
  ) -> [[Int32]] {
    let rows = eigenvectors(of: items, matrix, count: Swift.min(8, count), using: &generator)
    let quantizer = ResidualQuantizer(fitting: rows, levels: 1, codes: count, using: &generator)
    let owners = withoutGradients { quantizer(rows).codes }.scalars(as: Int32.self)
    var parts = [[Int32]](repeating: [], count: count)
    for (place, owner) in owners.enumerated() { parts[Int(owner)].append(items[place]) }
    // What is too much for one part goes to those with room.
    for part in parts.indices {
      while parts[part].count > room {
        guard let other = parts.indices.min(by: { parts[$0].count < parts[$1].count }),
          parts[other].count < room
        else { break }
        parts[other].append(parts[part].removeLast())
      }
    }
    return parts
  }

  /// The leading eigenvectors of D^−½ Xᵀ X D^−½, with X the users' taking of these items, by subspace iteration; rows of length 1.
  private static func eigenvectors(
    of items: [Int32], _ matrix: UserItemMatrix, count: Int, using generator: inout RandomGenerator
  ) -> Tensor {
    let placeOf = Dictionary(uniqueKeysWithValues: items.enumerated().map { ($1, Int32($0)) })
    var (users, columns): ([Int32], [Int32]) = ([], [])
    var degrees = [Float](repeating: 0, count: items.count)
    for user in 0..<matrix.userCount {
      let own = matrix.items(of: user).compactMap { placeOf[$0] }
      users += own.map { _ in Int32(user) }
      columns += own
      for item in own { degrees[Int(item)] += Float(own.count) }
    }
    let values = columns.map { 1 / Swift.max(degrees[Int($0)], 1).squareRoot() }
    let taking = SparseMatrix(
      rowCount: matrix.userCount, columnCount: items.count, rows: users, columns: columns, values: values)
    let taken = SparseMatrix(
      rowCount: items.count, columnCount: matrix.userCount, rows: columns, columns: users, values: values)
    var basis = Tensor.normal([items.count, count], using: &generator)
    for _ in 0..<15 { basis = orthonormalized(taken.matmul(taking.matmul(basis))) }
    return basis.unitNormalized()
  }

  /// The columns made orthonormal one after the other, twice against rounding.
  private static func orthonormalized(_ columns: Tensor) -> Tensor {
    var basis: [Tensor] = []
    for place in 0..<columns.shape[1] {
      var column = columns.sliced(place..<place + 1, along: 1)
      for _ in 0..<2 {
        for other in basis { column = column - other * (other * column).sum().item }
      }
      let length = column.squared().sum().item.squareRoot()
      basis.append(column * (1 / Swift.max(length, 1e-12)))
    }
    return Tensor.concatenated(basis, along: 1)
  }
}
