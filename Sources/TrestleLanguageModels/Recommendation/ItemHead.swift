import TrestleNN
import TrestleTensor

/// Scores items from states of the language model, with the items' own token rows: one forward pass ranks the catalogue.
///
/// With `.cosine`, the logit of item i at state s is scale · cos(s, Tᵢ − T̄) + biasᵢ, where T̄ is the mean item row; with
/// `.dot` it is s · Tᵢ + biasᵢ, the ordinary tied head.
public final class ItemHead: Module {
  /// How a state and an item row are compared.
  public enum Similarity: String, Sendable, Codable {
    /// The cosine with the centred row, times a learned scale.
    case cosine
    /// The inner product.
    case dot
  }

  /// How states and rows are compared.
  public let similarity: Similarity
  /// The scale of the cosine, one number.
  public let scale: Parameter
  /// One number for each item.
  public let bias: Parameter

  /// A head for `itemCount` items.
  ///
  /// - Parameters:
  ///   - itemCount: the number of items.
  ///   - similarity: how a state is compared with an item's row.
  ///   - scale: where the learned scale starts.
  ///   - bias: where the items' biases start, `[items]`: log-popularity, say; zeros by default.
  public init(
    itemCount: Int, similarity: Similarity = .cosine, scale: Double = 20, bias: Tensor? = nil
  ) {
    precondition(
      (bias?.elementCount ?? itemCount) == itemCount,
      "ItemHead: bias \(bias.map { "\($0.shape)" } ?? "nil") for \(itemCount) items")
    self.similarity = similarity
    self.scale = Parameter(Tensor([Float(scale)]), isTrainable: similarity == .cosine)
    self.bias = Parameter(bias ?? .zeros([itemCount]))
  }

  /// The logits of items.
  ///
  /// - Parameters:
  ///   - states: `[rows, hidden]`: those of the positions that are needed.
  ///   - items: all item rows, `[items, hidden]`: ``EntityTokens/items``, or fixed rows such as pooled texts.
  ///   - candidates: the items that are needed; all for `nil`.
  /// - Returns: `[rows, items]`, or `[rows, candidates]`.
  public func logits(_ states: Tensor, items: Tensor, candidates: [Int32]? = nil) -> Tensor {
    var rows = items
    if similarity == .cosine { rows = rows - rows.mean(along: [0]) }
    if let candidates { rows = rows.gatheredRows(Tensor(candidates)) }
    let offsets = candidates.map {
      bias.value.expanded(at: 1).gatheredRows(Tensor($0)).flattened()
    }
    switch similarity {
    case .dot:
      return states.matmul(rows, transposingOther: true) + (offsets ?? bias.value)
    case .cosine:
      // The scale goes to the narrow side: states have fewer entries than the logits.
      let scaled = states.unitNormalized() * scale.value
      return scaled.matmul(rows.unitNormalized(), transposingOther: true) + (offsets ?? bias.value)
    }
  }
}
