import TrestleNN
import TrestleTensor

/// Weights of files in which the projections of one input are one matrix, as Phi-3's: queries, keys and values in
/// `qkv_proj`, gate and up in `gate_up_proj`, one below the other. The model gets each by its own name.
final class SplitWeights<Base: WeightSource>: WeightSource {
  private let base: Base
  private let queryRows: Int
  private let keyRows: Int
  private let innerRows: Int
  /// The fused matrix that was read last: its parts are asked for one after the other.
  private var last: (name: String, matrix: LinearWeight)?

  init(_ base: Base, _ configuration: LlamaConfiguration) {
    self.base = base
    queryRows = configuration.headCount * configuration.headSize
    keyRows = configuration.keyValueHeadCount * configuration.headSize
    innerRows = configuration.intermediateSize
  }

  var path: String { base.path }

  func contains(_ name: String) -> Bool { base.contains(part(name)?.name ?? name) }

  func tensor(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor {
    try base.tensor(name, shape)
  }

  func matrix(_ name: String, rows: Int, columns: Int) throws(LanguageModelError) -> LinearWeight {
    guard let part = part(name) else { return try base.matrix(name, rows: rows, columns: columns) }
    let fused: LinearWeight
    if let last, last.name == part.name {
      fused = last.matrix
    } else {
      fused = try base.matrix(part.name, rows: part.count, columns: columns)
      last = (part.name, fused)
    }
    return fused.rows(part.rows)
  }

  /// The fused matrix that holds a projection, its number of rows, and which of them are the projection's.
  private func part(_ name: String) -> (name: String, count: Int, rows: Range<Int>)? {
    let (all, inner) = (queryRows + 2 * keyRows, 2 * innerRows)
    let places: [(part: String, fused: String, count: Int, rows: Range<Int>)] = [
      ("q_proj", "qkv_proj", all, 0..<queryRows),
      ("k_proj", "qkv_proj", all, queryRows..<queryRows + keyRows),
      ("v_proj", "qkv_proj", all, queryRows + keyRows..<all),
      ("gate_proj", "gate_up_proj", inner, 0..<innerRows),
      ("up_proj", "gate_up_proj", inner, innerRows..<inner),
    ]
    for place in places where name.hasSuffix(".\(place.part).weight") {
      let start = name.dropLast("\(place.part).weight".count)
      return ("\(start)\(place.fused).weight", place.count, place.rows)
    }
    return nil
  }
}

extension LinearWeight {
  /// A copy of some rows, held and trained as the whole.
  fileprivate func rows(_ range: Range<Int>) -> LinearWeight {
    switch self {
    case .quantized(let matrix): return .quantized(matrix.reorderedRows(Array(range)))
    case .dense(let parameter):
      let value = parameter.detached
      // Rows are gathered in float32; the values of the narrower types survive that unchanged.
      let rows = (value.dtype == .float64 ? value : value.converted(to: .float32)).rows(Array(range))
      return .dense(Parameter(rows.converted(to: value.dtype), isTrainable: parameter.isTrainable))
    }
  }
}
