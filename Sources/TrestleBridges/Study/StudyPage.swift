import Foundation
import TrestleFormats

/// A page of Markdown whose tables come from a study's files.
///
/// A line `<!-- study FILE DATASET PROTOCOL -->` begins a table, and a line `<!-- end -->` ends it; FILE is looked for from the
/// page's folder. What stands between is replaced by ``StudyResults/table(of:_:)``, so a page cannot say what the figures do not.
public struct StudyPage {
  /// The page's text with every table made anew.
  public let text: String
  /// How many tables it has.
  public let tables: Int

  /// Reads a page, and the figures that its tables name.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a table without an end, a protocol that does not
  ///   exist, a file without figures of it or a page that is no text, `FormatError` for one that cannot be read, and what ``StudyResults/init(contentsOf:)`` throws.
  public init(contentsOf page: URL) throws {
    guard let content = String(validating: try [UInt8](contentsOf: page, limit: 1 << 27), as: UTF8.self)
    else {
      throw BridgeError.invalidState(
        path: page.path, place: "the file", expected: "text in UTF-8", found: "other bytes")
    }
    let lines = content.split(separator: "\n", omittingEmptySubsequences: false)
    var made: [Substring] = []
    var tables = 0
    var line = 0
    while line < lines.count {
      made.append(lines[line])
      let words = lines[line].split(separator: " ")
      guard words.first == "<!--", words.count > 1, words[1] == "study" else {
        line += 1
        continue
      }
      func refuse(_ expected: String) -> BridgeError {
        .invalidState(
          path: page.path, place: "line \(line + 1)", expected: expected,
          found: String(lines[line].prefix(80)))
      }
      guard words.count == 6, words[5] == "-->", let part = StudyProtocol(rawValue: String(words[4])) else {
        throw refuse("<!-- study FILE DATASET PROTOCOL -->")
      }
      guard let end = lines[line...].firstIndex(where: { $0 == "<!-- end -->" }) else {
        throw refuse("a line <!-- end --> after it")
      }
      let file = page.deletingLastPathComponent().appending(path: String(words[2]))
      let results = try StudyResults(contentsOf: file)
      let name = String(words[3])
      guard results.records.contains(where: { $0.dataset == name && $0.protocolName == part.rawValue })
      else { throw refuse("figures of \(name), \(part.rawValue) in \(file.path)") }
      made += ["", results.table(of: name, part)[...], ""]
      made.append(lines[end])
      tables += 1
      line = end + 1
    }
    text = made.joined(separator: "\n")
    self.tables = tables
  }
}
