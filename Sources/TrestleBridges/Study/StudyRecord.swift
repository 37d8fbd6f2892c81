/// One figure of a study, as a line of JSON.
public struct StudyRecord: Codable, Sendable, Hashable {
  /// The data set's name.
  public var dataset: String
  /// How the data was parted, such as `new-items`.
  public var protocolName: String
  /// The model that was measured.
  public var model: String
  /// What was done to it: `alone`, `bridge`, or a control.
  public var variant: String
  /// The seed, which determines the split too.
  public var seed: UInt64
  /// What was ranked: `new` or `all`; or of which test items, among all: `warm`, `long-tail`, `cold`.
  public var slice: String
  /// The metric's name.
  public var metric: String
  /// The mean over the users.
  public var value: Double

  /// The metric of a case's time: what it took beyond what earlier cases had made.
  public static let seconds = "seconds"
  /// The metric of a reading: the share of the variance of held items' rows that it explains, by `RowReading.explainedVariance`.
  public static let explainedVariance = "explained-variance"

  /// The metric of a reading among the new items alone: NDCG@10 of what it says, whether or not the validation data let it speak. The
  /// scale that is chosen there is for all items, and at 0 it has no effect; among new items any other ranks alike.
  public static let readingNDCG = "NDCG@10 of the reading"

  enum CodingKeys: String, CodingKey {
    case dataset, model, variant, seed, slice, metric, value
    case protocolName = "protocol"
  }

  /// A figure.
  public init(
    dataset: String, protocolName: String, model: String, variant: String, seed: UInt64, slice: String,
    metric: String, value: Double
  ) {
    self.dataset = dataset
    self.protocolName = protocolName
    self.model = model
    self.variant = variant
    self.seed = seed
    self.slice = slice
    self.metric = metric
    self.value = value
  }
}

/// The values of one figure for each user, for paired tests.
public struct StudyValues: Codable, Sendable, Hashable {
  /// How the data was parted.
  public var protocolName: String
  /// The figure's model.
  public var model: String
  /// The figure's variant.
  public var variant: String
  /// The seed.
  public var seed: UInt64
  /// What was ranked.
  public var slice: String
  /// The metric's name.
  public var metric: String
  /// The users, ascending.
  public var users: [Int32]
  /// Their values.
  public var values: [Float]
  /// The seeds of which the values are means, each user's over those in which they have test items; `nil` for the values of
  /// ``seed`` alone.
  public var seeds: [UInt64]?

  enum CodingKeys: String, CodingKey {
    case model, variant, seed, slice, metric, users, values, seeds
    case protocolName = "protocol"
  }
}
