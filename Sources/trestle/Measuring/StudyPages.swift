import Foundation
import Trestle
import TrestleCommand
import TrestleFormats

/// `trestle study-pages`: tables and pictures from a study's files, without running anything.
struct StudyPages: ProgramCommand {
  static let name = "study-pages"
  static let summary = "Makes a page's tables, and a picture, from the files of a study."
  static var options: [CommandOption<Self>] {
    [
      .file(
        "--page", "FILE",
        "a page of Markdown: tables between <!-- study … --> and <!-- end -->, and pictures that it names, are made anew",
        \.page),
      .flag("--check", "changes nothing; fails if a table or picture is not what the figures say", \.isCheck),
      .file(
        "--compact", "FILE",
        "figures of a study; its users' values are replaced by their means over the seeds",
        \.compact),
      .file("--picture", "FILE", "an SVG file to write", \.picture),
      .list(
        "--panels", "DATASET:MODEL=FILE,…",
        "what the picture shows: a data set, a language model, its figures; the same data set again adds a model",
        \.panels),
    ]
  }

  var page: URL?
  var isCheck = false
  var compact: URL?
  var picture: URL?
  var panels: [String]?

  func run() throws {
    guard page != nil || picture != nil || compact != nil else {
      throw UsageError("--page, --compact or --picture is needed")
    }
    if let compact {
      let results = try StudyResults(contentsOf: compact)
      guard !results.records.isEmpty else {
        throw UsageError("--compact: there are no figures in \(compact.relativePath)")
      }
      try results.compacted().write(to: compact)
    }
    if let page { try fill(page) }
    if let picture { try draw(picture) }
  }

  private func fill(_ page: URL) throws {
    let made = try StudyPage(contentsOf: page)
    let old = String(decoding: try [UInt8](contentsOf: page, limit: 1 << 27), as: UTF8.self)
    if isCheck {
      let differing = zip(
        old.split(separator: "\n", omittingEmptySubsequences: false),
        made.text.split(separator: "\n", omittingEmptySubsequences: false)
      ).enumerated().first { $1.0 != $1.1 }
      guard old == made.text else {
        throw UsageError(
          "\(page.relativePath), line \((differing?.offset ?? 0) + 1): not what the figures say; "
            + "trestle study-pages --page \(page.relativePath) makes it anew")
      }
      for (file, svg) in made.pictures
      where (try? [UInt8](contentsOf: file, limit: 1 << 27)) != Array(svg.utf8) {
        throw UsageError(
          "\(file.relativePath): not what the figures say; trestle study-pages --page \(page.relativePath) makes it anew"
        )
      }
      say(
        "\(page.relativePath): \(made.tables) tables and \(made.pictures.count) pictures are what the figures say"
      )
    } else {
      try made.text.write(to: page, atomically: true, encoding: .utf8)
      for (file, svg) in made.pictures { try svg.write(to: file, atomically: true, encoding: .utf8) }
      say("\(page.relativePath): \(made.tables) tables, \(made.pictures.count) pictures")
    }
  }

  private func draw(_ file: URL) throws {
    guard let panels, !panels.isEmpty else {
      throw UsageError("--picture needs --panels DATASET:MODEL=FILE,…")
    }
    let folder = URL(fileURLWithPath: FileManager.default.currentDirectoryPath, isDirectory: true)
    try StudyPicture(panels: panels, from: folder).svg.write(to: file, atomically: true, encoding: .utf8)
    say("\(file.relativePath)")
  }
}
