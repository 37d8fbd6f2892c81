import TrestleTensor

extension DataSplit {
  /// The split with a share of each user's training rows, at least one of each; validation and test data stay.
  ///
  /// - Parameters:
  ///   - share: the share of the rows, of which 1 or more keeps all.
  ///   - seed: determines the draw; a user's rows of a smaller share are among those of a larger one.
  public func keepingTraining(share: Double, seed: UInt64 = 11) -> DataSplit {
    guard share < 1 else { return self }
    let (offsets, order) = training.rowsByUser()
    let generator = RandomGenerator(seed: seed)
    var kept: [Int32] = []
    for user in 0..<userCount {
      var rows = Array(order[offsets[user]..<offsets[user + 1]])
      var draw = generator.split(UInt64(user))
      draw.shuffle(&rows)
      if !rows.isEmpty { kept += rows.prefix(max(1, Int((share * Double(rows.count)).rounded()))) }
    }
    return DataSplit(
      training: training.selecting(rows: kept.sorted()), validation: validation, test: test,
      strategy: "\(strategy), \(share) of the training rows")
  }
}
