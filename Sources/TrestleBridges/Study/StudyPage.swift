import Foundation
import TrestleFormats

/// A page of Markdown whose tables and pictures come from a study's files.
///
/// A line of the first five kinds begins a table, and a line `<!-- end -->` ends it; FILE is looked for from the page's folder. What
/// stands between is replaced by what the figures say, so a page cannot say what they do not.
///
/// - `<!-- study FILE DATASET PROTOCOL -->`: ``StudyResults/table(of:_:)``.
/// - `<!-- study-seeds FILE DATASET PROTOCOL MODEL -->`: ``StudyResults/tableBySeed(of:_:model:)``.
/// - `<!-- study-cells -->`: a table whose rows name the case that their figures are of, in a comment in the first cell:
///   `<!-- PROTOCOL SLICE FILE FILE … -->` says, for it and the rows below, where each column's figures are (`-` for none), and
///   its numbers become those of the splits; `<!-- MODEL/VARIANT -->` is a case, and `<!-- best -->` the best single model. Where a
///   case has no figures the cell stays, and must not have a number.
/// - `<!-- bridges FILE DATASET -->`: ``BridgeComparison/table(_:)``.
/// - `<!-- labelled FILE DATASET -->`: ``LabelledComparison/table(_:)``.
/// - `<!-- leaderboard FILE DATASET OTHER [MEASURE] -->`: `LeaderboardFigures/table(_:slice:dataset:beside:)`, with the file of
///   another program's figures, or `-`; the measure is NDCG@10 unless another is named.
/// - `<!-- study-picture PICTURE DATASET:MODEL=FILE,… -->`: a picture beside the page, ``StudyPicture``; there is no `<!-- end -->`.
public struct StudyPage {
  /// The page's text with every table made anew.
  public let text: String
  /// How many tables it has.
  public let tables: Int
  /// The pictures that it names, made anew.
  public let pictures: [(file: URL, svg: String)]

  /// Reads a page, and the figures that its tables and pictures name.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a table without an end, a protocol that does not
  ///   exist, a file without figures of it, a number without a case or a page that is no text, `FormatError` for one that cannot
  ///   be read, and what ``StudyResults/init(contentsOf:)`` throws.
  public init(contentsOf page: URL) throws {
    guard let content = String(validating: try [UInt8](contentsOf: page, limit: 1 << 27), as: UTF8.self)
    else {
      throw BridgeError.invalidState(
        path: page.path, place: "the file", expected: "text in UTF-8", found: "other bytes")
    }
    let lines = content.split(separator: "\n", omittingEmptySubsequences: false)
    var made: [Substring] = []
    var pictures: [(file: URL, svg: String)] = []
    var tables = 0
    var line = 0
    while line < lines.count {
      let mark = StudyMark(page: page, line: line, text: lines[line])
      made.append(lines[line])
      line += 1
      if let picture = try mark.picture() { pictures.append(picture) }
      guard mark.beginsTable else { continue }
      guard let end = lines[line...].firstIndex(where: { $0 == "<!-- end -->" }) else {
        throw mark.refusal("a line <!-- end --> after it")
      }
      made += ["", try mark.table(old: lines[line..<end])[...], "", lines[end]]
      tables += 1
      line = end + 1
    }
    text = made.joined(separator: "\n")
    self.tables = tables
    self.pictures = pictures
  }
}
