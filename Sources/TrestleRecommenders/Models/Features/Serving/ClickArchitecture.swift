import TrestleTensor

/// The click models that can be saved, with how they are built.
enum ClickArchitecture: Codable, Sendable {
  case logisticRegression
  case factorizationMachine(dimension: Int)
  case deepFM(configuration: DeepFM.Configuration)
  case dcn(configuration: DCN.Configuration)
  case dlrm(configuration: DLRM.Configuration)
  case din(target: String, history: String, configuration: DIN.Configuration)

  /// How a model was built; `nil` for a model that is none of the package's.
  init?(of model: any ClickModel) {
    switch model {
    case is LogisticRegression: self = .logisticRegression
    case let model as FactorizationMachine: self = .factorizationMachine(dimension: model.dimension)
    case let model as DeepFM: self = .deepFM(configuration: model.configuration)
    case let model as DCN: self = .dcn(configuration: model.configuration)
    case let model as DLRM: self = .dlrm(configuration: model.configuration)
    case let model as DIN:
      self = .din(target: model.target, history: model.history, configuration: model.configuration)
    default: return nil
    }
  }

  /// The model with arbitrary weights.
  func make(_ schema: FeatureSchema) throws(DataError) -> sending any ClickModel {
    var generator = RandomGenerator(seed: 0)
    switch self {
    case .logisticRegression: return LogisticRegression(schema)
    case .factorizationMachine(let dimension):
      return FactorizationMachine(schema, dimension: dimension, using: &generator)
    case .deepFM(let configuration):
      return DeepFM(schema, configuration: configuration, using: &generator)
    case .dcn(let configuration): return DCN(schema, configuration: configuration, using: &generator)
    case .dlrm(let configuration): return DLRM(schema, configuration: configuration, using: &generator)
    case .din(let target, let history, let configuration):
      return try DIN(
        schema, target: target, history: history, configuration: configuration, using: &generator)
    }
  }

  /// Whether such a model can be built for these columns, none of whose matrices has more than `room` elements: as many as
  /// are stored.
  func fits(_ schema: FeatureSchema, room: Int) -> Bool {
    let size = Sizes(schema: schema, room: room)
    let fields = schema.vectorCount
    switch self {
    case .logisticRegression: return size.rows(of: 1)
    case .factorizationMachine(let dimension): return size.rows(of: dimension)
    case .deepFM(let c):
      return size.rows(of: c.dimension) && size.network([fields * c.dimension] + c.hidden + [1])
        && Sizes.isRate(c.dropout)
    case .dcn(let c):
      guard size.rows(of: c.dimension), !c.hidden.isEmpty, (1...64).contains(c.crossLayers) else {
        return false
      }
      let width = fields * c.dimension
      let rank = c.rank ?? width
      return size.matrix(width, rank) && (c.rank == nil || rank < width)
        && size.network([width] + c.hidden) && Sizes.isRate(c.dropout)
    case .dlrm(let c):
      let numbers = schema.numberCount
      let vectors = schema.categorical.count + (numbers > 0 ? 1 : 0)
      guard size.rows(of: c.dimension), vectors >= 2 else { return false }
      let inputs = vectors * (vectors - 1) / 2 + (numbers > 0 ? c.dimension : 0)
      return (numbers == 0 || size.network([numbers] + c.bottomHidden + [c.dimension]))
        && size.network([inputs] + c.topHidden + [1])
    case .din(_, _, let c):
      return size.rows(of: c.dimension) && c.historyLimit >= 1 && Sizes.isRate(c.dropout)
        && (c.pooling == .mean || size.network([4 * c.dimension] + c.attentionHidden + [1]))
        && size.network([fields * c.dimension] + c.hidden + [1])
    }
  }
}

/// Which sizes a saved model can have.
private struct Sizes {
  let schema: FeatureSchema
  let room: Int

  func matrix(_ rows: Int, _ columns: Int) -> Bool { rows > 0 && columns > 0 && rows <= room / columns }

  func network(_ widths: [Int]) -> Bool {
    widths.count <= 64 && zip(widths, widths.dropFirst()).allSatisfy(matrix)
  }

  /// Whether the vocabularies' and texts' rows can have this width.
  func rows(of dimension: Int) -> Bool {
    (1...(1 << 24)).contains(dimension)
      && schema.vocabularies.keys.allSatisfy { matrix(schema.codeCount(of: $0), dimension) }
      && schema.fields.allSatisfy { field in
        guard case .text(let buckets) = field.kind else { return true }
        return matrix(buckets, dimension)
      }
  }

  static func isRate(_ rate: Double) -> Bool { rate >= 0 && rate < 1 }
}
