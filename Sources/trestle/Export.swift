import Foundation
import Trestle
import TrestleCommand

/// `trestle export`: the rows of a saved recommender with their ids, for other programs.
struct Export: ProgramCommand {
  enum Format: String, CaseIterable { case safetensors, npy, csv }

  static let name = "export"
  static let summary = "Writes the rows (embeddings) of a saved recommender with their ids."
  static var options: [CommandOption<Self>] {
    [
      .file("--recommender", "DIR", "what train has saved", \.recommender),
      .choice("--format", "FORMAT", "how rows are written", \.format),
      .file(
        "--output", "DIR", "the folder of the files: rows of items and users, and their ids line by line",
        \.output),
    ]
  }

  var recommender = URL(filePath: "trestle-output")
  var format = Format.safetensors
  var output = URL(filePath: "trestle-export")

  func run() throws {
    let (rows, catalogue) = try rows()
    do {
      try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
    } catch {
      throw UsageError("\(output.relativePath): no folder can be made there")
    }
    try write("items", rows.items, catalogue.itemIDs)
    if let users = rows.users { try write("users", users, catalogue.userIDs) }
    say(
      "\(rows.users == nil ? "items" : "items and users") of width \(rows.items.shape[1]) in \(output.relativePath)"
    )
  }

  /// The rows; a hybrid's are its domain side's, with those that were read off texts.
  private func rows() throws -> ((users: Tensor?, items: Tensor), Catalogue) {
    switch try savedRecommender(recommender) {
    case .fitted(let model):
      guard let rows = model.embeddings else {
        throw UsageError("\(model.card.model) has no rows to export; LightGCN, MF-BPR, iALS and others have")
      }
      return (rows, model.catalogue)
    case .hybrid(let hybrid):
      guard let rows = hybrid.domain ?? hybrid.language else {
        throw UsageError("\(recommender.relativePath) has no rows to export")
      }
      return ((rows.users, rows.items), hybrid.catalogue)
    }
  }

  private func write(_ name: String, _ rows: Tensor, _ ids: IDMap) throws {
    let file = output.appending(path: "\(name).\(format.rawValue)")
    switch format {
    case .csv:
      try AtomicFile.write(to: file) { writer in
        try writer.write((["id"] + (0..<rows.shape[1]).map { "d\($0)" }).joined(separator: ",") + "\n")
        for row in 0..<rows.shape[0] {
          let values = rows.sliced(row..<row + 1, along: 0).floats
          try writer.write(([Self.quoted(ids[row])] + values.map { "\($0)" }).joined(separator: ",") + "\n")
        }
      }
      return
    case .npy: try NumPyWriter.write(rows, to: file)
    case .safetensors: try SafetensorsWriter.write([SafetensorsSource(name: name, tensor: rows)], to: file)
    }
    let lines = ids.ids.map { $0.replacing("\n", with: " ") + "\n" }
    try AtomicFile.write(Array(lines.joined().utf8), to: output.appending(path: "\(name).ids.txt"))
  }

  /// A field of CSV.
  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}

/// Writes NumPy's format of one array.
enum NumPyWriter {
  /// Writes a `float32` tensor, row by row.
  ///
  /// Source: NumPy Enhancement Proposal 1, version 1.0 of the format.
  static func write(_ tensor: Tensor, to url: URL) throws {
    let shape = (0..<tensor.rank).map { "\(tensor.shape[$0])" }.joined(separator: ", ")
    var header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape)\(tensor.rank == 1 ? "," : "")), }"
    // Magic, version and length take ten bytes; the data begins at a multiple of 64.
    let padding = 63 - (10 + header.utf8.count) % 64
    header += String(repeating: " ", count: padding) + "\n"
    let count = header.utf8.count
    try AtomicFile.write(to: url) { writer in
      try writer.write([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)])
      try writer.write(header)
      for row in 0..<tensor.shape[0] {
        let values = tensor.sliced(row..<row + 1, along: 0).floats
        try writer.write(
          values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
      }
    }
  }
}
