import Foundation
import TrestleFormats

/// Writes the report of a run as one HTML page that needs nothing else: no script library, no font, no request.
struct ReportWriter {
  /// Writes `index.html` into `folder`, which is made if it is missing.
  ///
  /// - Throws: `FormatError.cannotWrite`, or what the file manager throws.
  static func write(_ data: HybridReport, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try AtomicFile.write(Array(page(data).text.utf8), to: folder.appending(path: "index.html"))
  }

  /// The whole page. The content policy keeps it from loading anything, whatever a title may say.
  static func page(_ data: HybridReport) -> HTML {
    let sections = [
      OverviewSection(data: data).html(), TableSection(data: data).html(),
      NewItemsSection(data: data).html(), TeachingSection(data: data).html(),
      ComparisonSection(data: data).html(), CurvesSection(data: data).html(),
      MapSection(data: data).html(), ExchangeSection(data: data).html(), UsersSection(data: data).html(),
      MethodSection(data: data).html(),
    ]
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
      script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
      <link rel="icon" href="data:,">
      <title>\(RunText.dataset(data.run)): a recommender and a language model that teach each other</title>
      <style>\(HTML(stringLiteral: Style.sheet))</style>
      </head>
      <body>
      <a class="skip" href="#main">Skip to the content</a>
      \(HeaderSection(data: data).html())
      <main id="main">
      \(HTML(sections))
      </main>
      <footer class="page-end"><p>Made by <code>hybrid-movies</code> of Trestle. Everything on this page is in this \
      file; it loads nothing. The figures behind it are in <code>results.json</code> beside it.</p></footer>
      <div id="tip" role="status" hidden></div>
      <script>\(HTML(stringLiteral: Style.script))</script>
      </body>
      </html>

      """
  }
}

/// The run in words.
enum RunText {
  static func dataset(_ run: HybridReport.Run) -> String {
    switch run.dataset {
    case "ml-100k": "MovieLens-100K"
    case "synthetic": "The built-in synthetic world"
    default: run.dataset
    }
  }

  /// A training's name for readers: the runs of the main job have short names of their own.
  static func curve(_ name: String) -> String {
    switch name {
    case "bridge": "With the bridge"
    case "lightgcn-alone": "Alone"
    case "random-tokens": "Random entity tokens"
    case "text-rows": "Text only"
    case "new-items": "New items"
    default: Figure.capitalized(name.replacing("-", with: " "))
    }
  }

  static func slice(_ name: String) -> String {
    switch name {
    case "all": "All items"
    case "cold": "Cold items"
    case "long-tail": "Long tail"
    case "warm": "Warm items"
    case JobSlice.new: "New items"
    case JobSlice.newAmongAll: "New among all"
    default: name
    }
  }

  /// What a slice holds.
  static func about(slice: String) -> String {
    switch slice {
    case "all": "Every test interaction of every user."
    case "cold":
      "Test items with one to four training interactions; those with none are reported apart."
    case "long-tail":
      "Test items outside the most popular ones that together hold 80 % of the training interactions, cold ones excepted."
    case "warm": "The popular items that together hold 80 % of the training interactions."
    case JobSlice.new:
      "Another split: a fifth of the items has no training interaction. Their test interactions, ranked among them."
    case JobSlice.newAmongAll: "The same split: all test interactions, ranked among all items, new and old."
    default: ""
    }
  }
}
