/// The headline figures: what each model gains over its own side alone.
struct OverviewSection {
  let data: HybridReport
  private let metric = "NDCG@10"

  func html() -> HTML {
    let compared = data.rows.filter { $0.slice == "all" && $0.metric == metric && $0.baseline != nil }
    guard !compared.isEmpty else { return "" }
    let cards = compared.map(card) + [newItemCard]
    return """
      <section id="headline" aria-labelledby="headline-h"><h2 id="headline-h">What the bridge gives</h2>
      <p class="lede">\(metric) over all users, each model against its own side alone. \
      p-values come from paired tests over users, with Holm’s correction.</p>
      <div class="cards">\(cards)</div>\(warning)</section>
      """
  }

  private func card(_ row: HybridReport.Row) -> HTML {
    let kind = ModelTone(model: row.model).rawValue
    let slices = ["cold", "long-tail", "warm"].compactMap { slice -> HTML? in
      guard let part = find(row.model, slice), let change = change(part) else { return nil }
      return """
        <tr><th scope="row">\(RunText.slice(slice))</th><td>\(Figure.decimal(part.mean))</td>\
        <td>\(change)</td><td>\(Figure.pValue(part.pValue) ?? Figure.none)</td></tr>
        """
    }
    var against: HTML = ""
    if let baseline = row.baseline {
      let value = find(baseline, "all").map { " (\(Figure.decimal($0.mean)))" } ?? ""
      against = "<p class=\"against\">against <b>\(baseline)</b>\(value)</p>"
    }
    let table: HTML =
      slices.isEmpty
      ? ""
      : """
      <table class="mini"><caption class="quiet">\(metric) by slice, and the change</caption><thead class="quiet"><tr>\
      <th scope="col">Slice</th><th scope="col">Mean</th><th scope="col">Change</th><th scope="col">p</th></tr>\
      </thead><tbody>\(slices)</tbody></table>
      """
    return """
      <article class="card \(kind)"><h3>\(row.model)</h3>
      <p class="big">\(change(row) ?? Figure.decimal(row.mean)) <span>to \(Figure.decimal(row.mean))</span></p>
      \(against)<p>\(Verdict.pill(row, baseline: row.baseline.flatMap { find($0, "all") }))</p>\(table)</article>
      """
  }

  /// What the tuned language model's reading gives a recommender among new items.
  private var newItemCard: HTML {
    let name = ModelName.reading(ModelName.domain, .bridge)
    guard let row = find(name, JobSlice.new), let random = find(ModelName.chance, JobSlice.new),
      random.mean > 0
    else { return "" }
    let others = ModelName.readings.filter { $0 != .bridge }.reversed().compactMap { variant -> HTML? in
      let other = ModelName.reading(ModelName.domain, variant)
      guard let part = find(other, JobSlice.new) else { return nil }
      return """
        <tr><th scope="row">\(other.replacing(ModelName.domain + " + ", with: ""))</th>\
        <td>\(Figure.decimal(part.mean))</td><td>\(Figure.pValue(part.pValue) ?? Figure.none)</td></tr>
        """
    }
    return """
      <article class="card fused"><h3>New items: \(name)</h3>
      <p class="big">\(Figure.decimal(row.mean / random.mean, 1))× <span>random order, to \(Figure.decimal(row.mean))</span></p>
      <p class="against">\(metric) among items that nobody had touched</p>
      <table class="mini"><caption class="quiet">What else reads the texts</caption><thead class="quiet"><tr>\
      <th scope="col">Reads</th><th scope="col">Mean</th><th scope="col">p</th></tr></thead><tbody>\(others)</tbody></table>
      </article>
      """
  }

  private func find(_ model: String, _ slice: String) -> HybridReport.Row? {
    data.rows.first { $0.model == model && $0.slice == slice && $0.metric == metric }
  }

  private func change(_ row: HybridReport.Row) -> String? {
    row.baseline.flatMap { find($0, row.slice) }.flatMap { Figure.change(from: $0.mean, to: row.mean) }
  }

  private var warning: HTML {
    var lines: [HTML] = []
    if data.run.level == .quick {
      lines.append(
        "<p>This was a <b>quick run</b> with shorter training: it shows how things work, not how well.</p>")
    }
    if data.run.dataset == "synthetic" {
      lines.append("<p>The data are <b>synthetic</b>: the figures say nothing about real users.</p>")
    }
    return lines.isEmpty ? "" : "<div class=\"callout\">\(lines)</div>"
  }
}

/// What a p-value lets one say.
enum Verdict {
  /// A small label: better, worse or no clear difference, with the p-value.
  static func pill(_ row: HybridReport.Row, baseline: HybridReport.Row?) -> HTML {
    guard let p = row.pValue, let spelled = Figure.pValue(p), let baseline else {
      return "<span class=\"pill\">not tested</span>"
    }
    if p >= 0.05 { return "<span class=\"pill\">no clear difference, \(spelled)</span>" }
    return row.mean >= baseline.mean
      ? "<span class=\"pill good\">▲ better, \(spelled)</span>"
      : "<span class=\"pill bad\">▼ worse, \(spelled)</span>"
  }
}
