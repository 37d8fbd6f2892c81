import TrestleNN
import TrestleTensor

/// A row for each item and for each place in a window, drawn from the normal distribution of deviation 0.02, under RecBole's
/// names of the tables.
///
/// The module that holds them gives its property an empty name in its `checkpointKeys`, so that nothing stands before theirs.
final class SequenceEmbedding: Module {
  static let checkpointKeys = ["items": "item_embedding.weight", "positions": "position_embedding.weight"]
  let items: Parameter
  let positions: Parameter

  init(
    itemCount: Int, windowLength: Int, width: Int, dtype: DType, using generator: inout RandomGenerator
  ) {
    func table(_ rows: Int) -> Parameter {
      Parameter(.normal([rows, width], deviation: 0.02, dtype: dtype, using: &generator))
    }
    items = table(itemCount)
    positions = table(windowLength)
  }

  /// item + position, `[items of all sequences, width]`.
  func callAsFunction(_ sequences: ItemSequences) -> Tensor {
    items.value.gatheredRows(Tensor(sequences.items))
      + positions.value.gatheredRows(Tensor(sequences.positions))
  }
}
