import TrestleBridges
import TrestleRecommenders
import TrestleTensor

/// A hybrid of random rows for twelve users and ten items of the built-in world: for tests of what is saved, read back and
/// answered. Nothing is trained.
public struct SmallHybrid {
  /// The data set.
  public let dataset: Dataset
  /// What the hybrid counts as trained on.
  public let split: DataSplit

  /// The data; every number depends on `seed` alone.
  ///
  /// - Throws: what making the data throws; it does not for any seed.
  public init(seed: UInt64 = 1) throws {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (12, 10, 90)
    dataset = try SyntheticWorld(world, seed: seed).dataset()
    split = try dataset.interactions.split(.ratio(), seed: seed)
  }

  /// Three classes of activity, each with a weight of its own.
  public static let fusion: FusionWeights = {
    var fusion = FusionWeights(alpha: 0.5)
    (fusion.bounds, fusion.alphas) = ([3, 9], [0.25, 0.5, 0.75])
    return fusion
  }()

  /// A hybrid whose domain side has four columns and whose language side has six.
  ///
  /// - Parameters:
  ///   - fusion: the weights of the sides.
  ///   - seed: of the rows.
  /// - Throws: what `HybridRecommender` throws for parts that do not fit; these do.
  public func recommender(fusion: FusionWeights = Self.fusion, seed: UInt64 = 2) throws -> HybridRecommender {
    var generator = RandomGenerator(seed: seed)
    func rows(_ width: Int) -> Representations {
      Representations(
        users: Tensor.normal([dataset.userCount, width], using: &generator),
        items: Tensor.normal([dataset.itemCount, width], using: &generator))
    }
    return try HybridRecommender(
      dataset: dataset, split: split, domain: rows(4), language: rows(6), fusion: fusion)
  }
}
