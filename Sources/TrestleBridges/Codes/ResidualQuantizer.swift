import TrestleNN
import TrestleTensor

/// Vectors as short codes: each level names the nearest row of its codebook to what the levels before have left over.
///
/// The loss of a level is ‖c − sg(r)‖² + β‖sg(c) − r‖², each the mean over elements; that of all is their mean. The quantised
/// vectors let gradients straight through, and what a level leaves over carries none.
///
/// Source: Zheng et al., *Adapting Large Language Models by Integrating Collaborative Semantics for Recommendation* (LC-Rec,
/// 2023), after Zeghidour et al., *SoundStream* (2021).
public final class ResidualQuantizer: Module {
  /// The codebooks, `[codes, width]` each, first level first.
  public let codebooks: [Parameter]
  /// β, the weight of the commitment.
  public let commitment: Double

  /// A quantiser with given codebooks.
  ///
  /// - Parameters:
  ///   - codebooks: `[codes, width]` each.
  ///   - commitment: β.
  public init(codebooks: [Tensor], commitment: Double = 0.25) {
    precondition(
      !codebooks.isEmpty && codebooks.allSatisfy { $0.rank == 2 && $0.shape[1] == codebooks[0].shape[1] },
      "ResidualQuantizer: codebooks \(codebooks.map(\.shape))")
    self.codebooks = codebooks.map { Parameter($0) }
    self.commitment = commitment
  }

  /// A quantiser whose codebooks are the means that Lloyd's iterations find, level by level.
  ///
  /// - Parameters:
  ///   - rows: what is quantised, `[rows, width]`.
  ///   - levels: the number of codebooks.
  ///   - codes: the rows of each.
  ///   - iterations: of Lloyd's algorithm.
  ///   - commitment: β.
  ///   - generator: draws the rows that the means begin with.
  public convenience init(
    fitting rows: Tensor, levels: Int, codes: Int, iterations: Int = 20, commitment: Double = 0.25,
    using generator: inout RandomGenerator
  ) {
    var residual = rows.detached
    var books: [Tensor] = []
    for _ in 0..<levels {
      let means = Self.means(of: residual, count: codes, iterations: iterations, using: &generator)
      books.append(means)
      residual = residual - means.gatheredRows(Self.nearest(residual, means))
    }
    self.init(codebooks: books, commitment: commitment)
  }

  private static func means(
    of rows: Tensor, count: Int, iterations: Int, using generator: inout RandomGenerator
  ) -> Tensor {
    var order = (0..<Int32(rows.shape[0])).map { $0 }
    generator.shuffle(&order)
    var means = rows.gatheredRows(Tensor((0..<count).map { order[$0 % order.count] }))
    for _ in 0..<iterations {
      let owners = nearest(rows, means)
      var counts = [Float](repeating: 0, count: count)
      for owner in owners.scalars(as: Int32.self) { counts[Int(owner)] += 1 }
      let sums = rows.scatterAddedRows(at: owners, rowCount: count)
      // A mean that nothing is near to stays where it was.
      let kept = Tensor(counts.map { $0 == 0 ? Float(1) : 0 }, shape: [count, 1])
      let shares = Tensor(counts.map { $0 == 0 ? Float(0) : 1 / $0 }, shape: [count, 1])
      means = sums * shares + means * kept
    }
    return means
  }

  /// The nearest row of a codebook to each row, `[rows]`.
  private static func nearest(_ rows: Tensor, _ book: Tensor) -> Tensor {
    // ‖r‖² is the same for all codes.
    let products = rows.detached.matmul(book.detached, transposingOther: true) * 2
    return (products - book.detached.squared().sum(along: [1])).argmax()
  }

  /// Quantises rows.
  ///
  /// - Parameter rows: `[rows, width]`.
  /// - Returns: the codes `[rows, levels]`, the quantised rows, and the loss.
  public func callAsFunction(_ rows: Tensor) -> (codes: Tensor, quantized: Tensor, loss: Tensor) {
    var residual = rows
    var total: Tensor?
    var losses: Tensor?
    var codes: [[Int32]] = []
    for book in codebooks {
      let code = Self.nearest(residual, book.detached)
      let chosen = book.value.gatheredRows(code)
      let loss =
        Losses.meanSquaredError(chosen, residual.detached)
        + Losses.meanSquaredError(chosen.detached, residual) * commitment
      let passed = residual + (chosen - residual).detached
      residual = residual - passed
      total = total.map { $0 + passed } ?? passed
      losses = losses.map { $0 + loss } ?? loss
      codes.append(code.scalars())
    }
    let count = rows.shape[0]
    let flat = (0..<count).flatMap { row in codes.map { $0[row] } }
    return (
      Tensor(flat, shape: [count, codebooks.count]), total ?? rows,
      (losses ?? Tensor(0)) * (1 / Double(codebooks.count))
    )
  }

  /// The codes of rows, each a list of one number a level; rows with the same codes get one level more that tells them apart.
  ///
  /// - Parameter rows: `[rows, width]`.
  public func distinctCodes(of rows: Tensor) -> [[Int32]] {
    let codes = withoutGradients { self(rows).codes }
    let (flat, levels) = (codes.scalars(as: Int32.self), codebooks.count)
    let lists = (0..<codes.shape[0]).map { Array(flat[$0 * levels..<($0 + 1) * levels]) }
    var seen: [[Int32]: Int32] = [:]
    return lists.map { list in
      let place = seen[list, default: 0]
      seen[list] = place + 1
      return list + [place]
    }
  }
}
