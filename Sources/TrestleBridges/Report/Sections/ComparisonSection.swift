/// All models by all metrics, a tab for each slice: charts, and the same figures as a table.
struct ComparisonSection {
  let data: HybridReport

  func html() -> HTML {
    let slices = Self.ordered(data.rows.map(\.slice), JobSlice.ordered)
    guard !slices.isEmpty else { return "" }
    let tabs = slices.enumerated().map { index, slice -> HTML in
      """
      <label><input type="radio" name="slice" id="slice-\(index)"\(Self.checked(index))> \
      <span>\(RunText.slice(slice))</span></label>
      """
    }
    let panels = slices.enumerated().map { panel($0.element, $0.offset) }
    return """
      <section id="comparison" class="tabbed" aria-labelledby="comparison-h"><h2 id="comparison-h">Comparison</h2>
      <p class="lede">Full ranking of the catalogue, same split, same candidates. Bars are 95&#8239;% intervals of the \
      mean over users. The short upright line marks what the model is compared with; hollow marks are models that stand alone.</p>
      <fieldset class="tabs"><legend class="quiet">Slice of the test data</legend>\(tabs)</fieldset>
      \(panels)</section>
      """
  }

  private func panel(_ slice: String, _ index: Int) -> HTML {
    let rows = data.rows.filter { $0.slice == slice }
    let metrics = Self.ordered(rows.map(\.metric), ["NDCG@10", "Recall@10", "Hit@10"])
    let models = Self.ordered(rows.map(\.model), [])
    let charts = metrics.enumerated().map { number, metric -> HTML in
      let chart = IntervalChart(
        rows: rows.filter { $0.metric == metric }, metric: metric, slice: RunText.slice(slice),
        id: "interval-\(index)-\(number)")
      return "<div class=\"plot\">\(chart.svg())</div>"
    }
    let users = rows.first.map { "\(Figure.count($0.users)) users." } ?? ""
    return """
      <div class="panel panel-\(index)"><h3>\(RunText.slice(slice)) <small>\(RunText.about(slice: slice)) \(users)</small></h3>
      <div class="trio">\(charts)</div>\(table(rows, slice, metrics, models))</div>
      """
  }

  private func table(_ rows: [HybridReport.Row], _ slice: String, _ metrics: [String], _ models: [String])
    -> HTML
  {
    let heads = metrics.map { metric -> HTML in
      "<th scope=\"col\">\(metric) <small>95&#8239;% interval</small></th><th scope=\"col\">Change <small>p-value</small></th>"
    }
    let lines = models.map { model -> HTML in
      let cells = metrics.map { cell(rows, model, $0) }
      let baseline = rows.first { $0.model == model && $0.baseline != nil }?.baseline
      let against: HTML = baseline.map { "<small>against \($0)</small>" } ?? ""
      return """
        <tr><th scope="row"><span class="chip \(ModelTone(model: model).rawValue)"></span>\(model)\(against)</th>\(cells)</tr>
        """
    }
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="Figures for \(RunText.slice(slice))">\
      <table class="figures"><caption>\(RunText.slice(slice)): means, intervals and paired tests against the model’s \
      own side alone</caption><thead><tr><th scope="col">Model</th>\(heads)</tr></thead><tbody>\(lines)</tbody></table></div>
      """
  }

  private func cell(_ rows: [HybridReport.Row], _ model: String, _ metric: String) -> HTML {
    guard let row = rows.first(where: { $0.model == model && $0.metric == metric }) else {
      return "<td>\(Figure.none)</td><td>\(Figure.none)</td>"
    }
    let best = rows.filter { $0.metric == metric }.map(\.mean).max()
    let mark: HTML = row.mean == best ? " class=\"best\"" : ""
    let value: HTML = """
      <td\(mark)>\(Figure.decimal(row.mean)) <small>\(Figure.decimal(row.low))–\(Figure.decimal(row.high))</small></td>
      """
    guard let name = row.baseline,
      let baseline = rows.first(where: { $0.model == name && $0.metric == metric }),
      let change = Figure.change(from: baseline.mean, to: row.mean)
    else { return "\(value)<td class=\"void\">\(Figure.none)</td>" }
    let isClear = (row.pValue ?? 1) < 0.05
    let tone: HTML = !isClear ? "even" : row.mean >= baseline.mean ? "good" : "bad"
    return
      "\(value)<td class=\"\(tone)\">\(change) <small>\(Figure.pValue(row.pValue) ?? Figure.none)</small></td>"
  }

  private static func checked(_ index: Int) -> HTML { index == 0 ? " checked" : "" }

  /// The distinct names, those of `known` first and in that order.
  private static func ordered(_ names: [String], _ known: [String]) -> [String] {
    var seen: Set<String> = []
    let distinct = names.filter { seen.insert($0).inserted }
    return known.filter(seen.contains) + distinct.filter { !known.contains($0) }
  }
}
