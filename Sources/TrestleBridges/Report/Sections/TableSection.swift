/// All models in one table: known items and new ones.
struct TableSection {
  let data: HybridReport
  private static let slices = [JobSlice.all, JobSlice.new, JobSlice.newAmongAll]

  func html() -> HTML {
    let models = JobComparison.unique(data.rows.filter { Self.slices.contains($0.slice) }.map(\.model))
    guard !models.isEmpty else { return "" }
    let best = Self.slices.map { slice in rows(slice).map(\.mean).max() }
    let lines = models.map { model -> HTML in
      let cells = Self.slices.enumerated().map { place, slice -> HTML in
        guard let row = rows(slice).first(where: { $0.model == model }) else {
          return "<td class=\"void\">\(Figure.none)</td>"
        }
        let kind: HTML = row.mean == best[place] ? " class=\"best\"" : ""
        return
          "<td\(kind)>\(Figure.decimal(row.mean))<small>\(Figure.decimal(row.low))–\(Figure.decimal(row.high))</small></td>"
      }
      return """
        <tr><th scope="row"><span class="chip \(ModelTone(model: model).rawValue)"></span>\(model)</th>\(cells)</tr>
        """
    }
    return """
      <section id="table" aria-labelledby="table-h"><h2 id="table-h">All models, known items and new ones</h2>
      <p class="lede">NDCG@10 with its 95&#8239;% interval over users. Known items: a random split of each user’s \
      interactions. New items: a fifth of the items has no training interaction; they are ranked among themselves, and with \
      all others. The two splits differ, so figures compare within a column.</p>
      <div class="scroll" tabindex="0" role="region" aria-label="All models"><table class="figures">
      <caption>NDCG@10 by model</caption><thead><tr><th scope="col">Model</th><th scope="col">Known items</th>\
      <th scope="col">New items <small>among themselves</small></th><th scope="col">New items <small>among all</small></th></tr>\
      </thead><tbody>\(lines)</tbody></table></div></section>
      """
  }

  private func rows(_ slice: String) -> [HybridReport.Row] {
    data.rows.filter { $0.slice == slice && $0.metric == "NDCG@10" }
  }
}
