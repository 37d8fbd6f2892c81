/// A few users: what they watched, and what each of the three recommenders would show them.
struct UsersSection {
  let data: HybridReport

  func html() -> HTML {
    guard !data.users.isEmpty else { return "" }
    return """
      <section id="people" aria-labelledby="people-h"><h2 id="people-h">What users would see</h2>
      <p class="lede">The top of each list for a few users. A marked title is a hit: the user’s test data has it.</p>
      \(data.users.map(person))</section>
      """
  }

  private func person(_ user: HybridReport.SampleUser) -> HTML {
    let shown = user.history.map { title -> HTML in "<li><bdi>\(title)</bdi></li>" }
    let rest = user.historyCount - user.history.count
    let more: HTML = rest > 0 ? "<li class=\"more\">and \(Figure.count(rest)) more</li>" : ""
    return """
      <article class="card plain person"><h3>User <bdi>\(user.id)</bdi> <small><bdi>\(user.about)</bdi></small></h3>
      <h4>Has watched</h4><ul class="history">\(shown)\(more)</ul>
      <div class="trio lists">\(list("Recommender", "domain", user.domain))\
      \(list("Language model", "language", user.language))\(list("Both together", "fused", user.fused))</div></article>
      """
  }

  private func list(_ name: String, _ kind: String, _ items: [HybridReport.Listed]) -> HTML {
    let hits = items.count { $0.isHit }
    let entries = items.map { item -> HTML in
      item.isHit
        ? "<li class=\"hit\"><bdi>\(item.title)</bdi> <span class=\"check\">✓<span class=\"quiet\"> hit</span></span></li>"
        : "<li><bdi>\(item.title)</bdi></li>"
    }
    let empty: HTML = items.isEmpty ? "<p class=\"faint\">Nothing to show.</p>" : "<ol>\(entries)</ol>"
    return """
      <div class="list \(kind)"><h4><span class="chip \(kind)"></span>\(name) \
      <small>\(hits) hit\(hits == 1 ? "" : "s") of \(items.count)</small></h4>\(empty)</div>
      """
  }
}

/// Notes of the run, the method with its source, and the licences.
struct MethodSection {
  let data: HybridReport

  func html() -> HTML {
    let notes = data.notes.map { note -> HTML in "<li>\(note)</li>" }
    let list: HTML =
      notes.isEmpty
      ? ""
      : """
      <section id="notes" aria-labelledby="notes-h"><h2 id="notes-h">Notes of this run</h2>
      <ul class="notes">\(notes)</ul></section>
      """
    return """
      \(list)
      <section id="method" aria-labelledby="method-h"><h2 id="method-h">Method</h2>
      <div class="prose">
      <p>The recommender learns users and items from interactions, the language model reads a user’s history as \
      entity tokens and ranks the catalogue from the last state. Between them lies a store of user and item rows, the \
      information sharing module. The recommender is warmed up and writes first; the language model’s tokens \
      start from those rows; then both train in turn, each drawn towards what the other has written, and write back. \
      Three recommenders come out: each side alone, and the fusion of both.</p>
      <p>For new items, another split: a fifth of the items with at least five interactions has none in training, and a tenth \
      serves validation. The language model reads each item’s text at several layers, untuned and after it was tuned to tell \
      from a text which users take the item; kernel ridge regression on a recommender’s rows for known items turns a reading into \
      weights of known items’ scores. Kernel, penalty, layers and scale are chosen on the validation data’s new items.</p>
      <p>The protocol: every rating is an interaction; the data are split at random per user into 80&#8239;% for \
      training and 10&#8239;% each for validation and test; the full catalogue is ranked with the training and \
      validation items masked; test data are read once, at the end; every choice was made on validation data. \
      Intervals are 95&#8239;% intervals of the mean over users.</p>
      <p>The method follows BDLM: W. Zhang, H. Liu, Y. Du, C. Zhu, Y. Song, H. Zhu and Z. Wu, “Bridging the \
      Information Gap Between Domain-Specific Model and General LLM for Personalized Recommendation”, 2023, \
      <a href="https://arxiv.org/abs/2311.03778">arXiv:2311.03778</a>. The exact losses, weights and schedule are \
      this implementation’s own, and the paper’s figures are not claimed to be reproduced.</p>
      <h3>Data and model</h3>
      <ul>\(licences)</ul></div></section>
      """
  }

  private var licences: [HTML] {
    var lines: [HTML] = []
    switch data.run.dataset {
    case "ml-100k":
      lines.append(
        """
        <li><b>MovieLens-100K</b>: GroupLens, University of Minnesota; for research use under GroupLens’s terms, not to be \
        redistributed without permission. F. M. Harper and J. A. Konstan, “The MovieLens Datasets: History and \
        Context”, ACM Transactions on Interactive Intelligent Systems 5(4), 2015, \
        <a href="https://doi.org/10.1145/2827872">doi:10.1145/2827872</a>. This page shows titles from it: keep to those terms when you share it.</li>
        """)
    case "synthetic":
      lines.append("<li><b>Synthetic world</b>: made from a seed; titles and users are invented.</li>")
    default:
      lines.append("<li><b>\(data.run.dataset)</b>: under its own terms.</li>")
    }
    if data.run.languageModel.lowercased().contains("smollm") {
      lines.append("<li><b>\(data.run.languageModel)</b>: Hugging Face, Apache License 2.0.</li>")
    } else {
      lines.append("<li><b>\(data.run.languageModel)</b>: under its own terms.</li>")
    }
    return lines
  }
}
