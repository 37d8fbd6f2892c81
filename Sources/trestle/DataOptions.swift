import Foundation
import Trestle
import TrestleCommand

/// The options that say which data is read, and what is kept of it.
struct DataOptions {
  var interactions: URL?
  var items: URL?
  var users: URL?
  var columns = ColumnChoices()
  var minimumRating: Float?
  var core = 1
  var skipsBadLines = false
  var isSynthetic = false

  static var options: [CommandOption<DataOptions>] {
    [
      .file(
        "--interactions", "FILE",
        "who did what: CSV, TSV, JSON Lines, RecBole's .inter, MovieLens' or Amazon's own files, or a folder of them",
        \.interactions),
      .file("--items", "FILE", "what the items are: titles and whatever else is known", \.items),
      .file(
        "--users", "FILE", "who the users are; no model reads more of it than their ids", \.users),
    ] + ColumnChoices.options.map { $0.part(\.columns) } + [
      .number(
        "--minimum-rating", "X", in: -1e6...1e6, "keeps interactions with at least this rating",
        \.minimumRating),
      .number(
        "--core", "K", in: 1...10_000, "keeps users and items with at least K interactions with one another",
        \.core),
      .flag(
        "--skip-bad-lines", "goes on where a line is broken, and says how many there were", \.skipsBadLines),
      .flag(
        "--synthetic", "takes a small made-up world instead of files, the same one each time", \.isSynthetic),
    ]
  }

  /// Reads the data, and says what was found.
  ///
  /// - Parameter needsHistories: whether a file in which no user occurs twice, from which nothing can be learnt, is refused.
  func read(needsHistories: Bool = true) throws -> Dataset {
    var data = try isSynthetic ? madeUp() : opened()
    if needsHistories { try checkHistories(data.interactions) }
    data = try filtered(data)
    guard !data.interactions.isEmpty else {
      throw UsageError(
        "nothing is left of \(interactions?.relativePath ?? "the world"): no line, or none that --minimum-rating and --core keep"
      )
    }
    if users != nil {
      say("  --users adds its ids; no model of this command reads what else the file says of users")
    }
    say(
      "  \(data.userCount) users, \(data.itemCount) items, \(data.interactions.count) interactions "
        + "(\(percent(data.interactions.density)) of all pairs)")
    return data
  }

  /// Stops at a file of items in the place of one of interactions.
  private func checkHistories(_ rows: Interactions) throws {
    guard rows.count > 1, let interactions, Set(rows.users).count == rows.count else { return }
    throw UnsuitableData(
      "\(interactions.relativePath): no user occurs twice in its \(rows.count) interactions, so nothing can be learnt from it; "
        + "expected who did what, a line each: if the file describes items, it is for --items; "
        + "--user-column and --item-column name the columns")
  }

  private func madeUp() throws -> Dataset {
    guard interactions == nil else {
      throw UsageError("--synthetic takes the place of --interactions: one of the two")
    }
    return try SyntheticWorld(seed: 0).dataset()
  }

  private func opened() throws -> Dataset {
    guard let interactions else {
      throw UsageError("--interactions FILE is needed: the file of who did what")
    }
    let bar = ProgressLine("reading")
    let options = ReadOptions(onBadLine: skipsBadLines ? .skip : .fail) { [bar] progress in
      bar.update(progress.bytesRead, of: progress.totalBytes)
    }
    let data = try Self.open(interactions, items, users, columns, options, bar)
    for finding in data.report?.findings ?? [] { say("  " + printable(finding)) }
    if let report = data.report, report.skipped > 0 {
      say(
        "  \(report.skipped) of \(report.lines) lines are broken and left out, such as \(printable("\(report.examples[0])"))"
      )
    }
    return data
  }

  private static func open(
    _ interactions: URL, _ items: URL?, _ users: URL?, _ columns: ColumnChoices, _ options: ReadOptions,
    _ bar: ProgressLine
  ) throws(CommandDataError) -> Dataset {
    defer { bar.clear() }
    do throws(DataError) {
      return try Dataset(
        contentsOf: interactions, items: items, users: users, columns: columns, options: options)
    } catch {
      throw CommandDataError(error)
    }
  }

  private func filtered(_ data: Dataset) throws -> Dataset {
    var rows = data.interactions
    if let minimumRating {
      guard rows.ratings != nil else {
        throw UsageError(
          "--minimum-rating: the data has no ratings that were found; --rating-column names their column")
      }
      rows = try rows.ratedAtLeast(minimumRating)
      say("  \(rows.count) of \(data.interactions.count) interactions are rated \(minimumRating) or better")
    } else if rows.ratings != nil {
      say("  every interaction counts, whatever its rating; --minimum-rating X would keep the better ones")
    }
    rows = try rows.withoutDuplicates(rows.timestamps == nil ? .keepFirst : .keepLatest)
    if core > 1 { rows = rows.core(users: core, items: core) }
    // Items that are described stay: someone may ask for them. Filters drop what they leave without a row.
    return core > 1 ? data.with(rows).compacted() : data.with(rows)
  }

  private func percent(_ share: Double) -> String {
    String(format: share < 0.01 ? "%.3f %%" : "%.1f %%", share * 100)
  }
}

extension ColumnChoices {
  /// The options that name columns of interactions and items.
  static var options: [CommandOption<ColumnChoices>] {
    [
      .text(
        "--user-column", "NAME", "the column with the user's id; guessed if absent, as are the others",
        \.user)
    ] + itemOptions.prefix(1) + [
      .text("--rating-column", "NAME", "the column with the rating", \.rating),
      .text(
        "--time-column", "NAME", "the column with the time: seconds or milliseconds since 1970, or a date",
        \.time),
    ] + itemOptions.dropFirst()
  }

  /// The options that name columns of items, the id's first.
  static var itemOptions: [CommandOption<ColumnChoices>] {
    [
      .text("--item-column", "NAME", "the column with the item's id", \.item),
      .text("--title-column", "NAME", "the column with the title", \.title),
      .text("--creator-column", "NAME", "the column with the author, artist or brand", \.creator),
      .text("--genres-column", "NAME", "the column with the genres or categories", \.genres),
      .text("--year-column", "NAME", "the column with the year", \.year),
      .text("--text-column", "NAME", "the column with a description", \.text),
    ]
  }
}

/// Data that can be read, and is not what is asked for.
struct UnsuitableData: ExitCodeProviding, CustomStringConvertible {
  let description: String
  let exitCode = ExitCode.data

  init(_ description: String) { self.description = printable(description) }
}

/// An error in the data, with the option that mends it.
struct CommandDataError: ExitCodeProviding, CustomStringConvertible {
  let error: DataError

  init(_ error: DataError) { self.error = error }

  var exitCode: ExitCode {
    switch error {
    case .unreadable, .missingColumn: .usage
    default: .data
    }
  }

  var description: String {
    switch error {
    case .missingColumn: "\(error); --user-column, --item-column and the like name them"
    case .malformed(_, let line, _, _, _) where line > 1:
      "\(error); --skip-bad-lines goes on without such lines"
    default: "\(error)"
    }
  }
}
