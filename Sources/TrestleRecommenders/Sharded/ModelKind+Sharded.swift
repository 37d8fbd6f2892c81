import TrestleNN
import TrestleTensor

extension ModelKind {
  /// The models whose rows can be cut over ranks.
  public static let sharded: [ModelKind] = [.factorization, .lightGCN]

  /// Makes the model with its rows cut over ranks.
  ///
  /// - Parameters:
  ///   - training: what it is fitted on.
  ///   - seed: decides first rows, which are drawn by their numbers.
  ///   - settings: as for ``make(_:seed:settings:)``.
  ///   - communicator: the ranks, which all do this.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a model that is not among ``sharded``, and as
  ///   ``make(_:seed:settings:)`` for settings.
  public func makeSharded(
    _ training: Interactions, seed: UInt64, settings: SearchSettings = [:], communicator: any Communicator
  ) throws(DataError) -> any ShardedPairwiseRecommender {
    try check(settings, training)
    let generator = RandomGenerator(seed: seed)
    let data = DataProfile(training)
    switch self {
    case .factorization:
      return ShardedFactorization(
        training: training,
        configuration: Self.factorizationSettings.configured(.recommended(for: data), settings),
        communicator: communicator, using: generator)
    case .lightGCN:
      return ShardedLightGCN(
        training: training,
        configuration: Self.lightGCNSettings.configured(.recommended(for: data), settings),
        communicator: communicator, using: generator)
    default:
      throw .invalidParameter(
        operation: "tables cut over ranks",
        expected: "one of " + Self.sharded.map(\.name).joined(separator: ", "), found: name)
    }
  }
}
