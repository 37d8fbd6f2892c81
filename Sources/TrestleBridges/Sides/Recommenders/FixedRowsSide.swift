import TrestleRecommenders
import TrestleTensor

/// A recommender that is fitted already, of any kind that has rows, as the domain side of a bridge: what others learn from
/// and never change.
public final class FixedRowsSide: TrainableSide, ContextualRepresentations, ScoreProvider {
  /// The domain side.
  public let role = SideRole.domain
  /// The model's name.
  public let name: String
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// The rows.
  public let rows: Representations

  /// A side of given rows.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - rows: of all users and items, `float32`.
  ///   - vocabulary: the users and items, with the hash of their ids.
  public init(name: String, rows: Representations, vocabulary: EntityVocabulary) {
    precondition(
      rows.users.shape[0] == vocabulary.userCount && rows.items.shape[0] == vocabulary.itemCount,
      "FixedRowsSide: rows \(rows.users.shape) and \(rows.items.shape) for \(vocabulary.userCount) users and \(vocabulary.itemCount) items"
    )
    (self.name, self.rows, self.vocabulary) = (name, rows, vocabulary)
  }

  /// Nothing trains.
  public var parameterGroups: [BridgeParameterGroup] { [] }
  /// 0.
  public var batchCount: Int { 0 }
  /// None.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> { AnySequence([]) }
  /// There is no batch to step on.
  public func step(on batch: any SideBatch) throws -> SideStep {
    preconditionFailure("FixedRowsSide.step: a side of fixed rows has no batches")
  }
  /// 0: a phase of the side has no epochs to choose among.
  public func validate() throws -> Double { 0 }

  /// Rows only.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> { [.row] }
  /// The width of the rows.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    rows.items.shape[1]
  }
  /// The rows of some users or items.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    rows[kind].gatheredRows(Tensor(ids))
  }

  /// Scores by inner products.
  public func makeScorer() throws -> any CatalogueScorer { InnerProductScorer(rows) }
  /// The inner products of the users' rows with all items'.
  public func scores(users: [Int32]) throws -> Tensor {
    rows.users.gatheredRows(Tensor(users)).matmul(rows.items, transposingOther: true)
  }
}
