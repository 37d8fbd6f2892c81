extension FeatureTable {
  /// The hash of all that the table holds, its schema included: two tables with the same hash train and measure the same.
  public var hash: String {
    var hash = StableHash()
    hash.combine(rowCount)
    for field in schema.fields {
      hash.combine(field.name)
      switch field.kind {
      case .number(let mean, let deviation):
        hash.combine(0)
        hash.combine(mean.bitPattern)
        hash.combine(deviation.bitPattern)
      case .category(let vocabulary):
        hash.combine(1)
        hash.combine(vocabulary)
      case .list(let vocabulary):
        hash.combine(2)
        hash.combine(vocabulary)
      case .text(let buckets):
        hash.combine(3)
        hash.combine(buckets)
      case .time(let mean, let deviation):
        hash.combine(4)
        hash.combine(mean.bitPattern)
        hash.combine(deviation.bitPattern)
      }
      combine(columns[field.name], into: &hash)
    }
    for (name, ids) in schema.vocabularies.sorted(by: { $0.key < $1.key }) {
      hash.combine(name)
      hash.combine(ids.hash)
    }
    hash.combine(bytes: labels.map { $0 ? 1 : 0 })
    hash.combine(users)
    return hash.hexadecimal
  }

  private func combine(_ column: Column?, into hash: inout StableHash) {
    switch column {
    case .numbers(let values)?: hash.combine(values.map { Int32(bitPattern: $0.bitPattern) })
    case .times(let values)?: for value in values { hash.combine(value.bitPattern) }
    case .categories(let codes)?: hash.combine(codes)
    case .lists(let entries, let starts)?:
      hash.combine(entries)
      for start in starts { hash.combine(start) }
    case nil: hash.combine(-1)
    }
  }
}
