import Foundation

/// A file of columns: an Arrow IPC file (Feather 2), a NumPy array or an archive of arrays, told apart by their content.
///
/// - Arrow IPC files, uncompressed, with columns of whole and floating-point numbers, truth values, UTF-8 texts, and lists of
///   these, rows without a value included: `pyarrow.feather.write_feather(table, file, compression="uncompressed")`.
/// - `.npz` archives as `numpy.savez` writes them, each array of one dimension a column: not those of `savez_compressed`.
/// - `.npy` files with one array of one dimension, whose fields are the columns if it is structured.
///
/// Everything is checked and copied: the file may go afterwards.
///
/// Sources: *Arrow Columnar Format*, version 1.5; NumPy's *NEP 1, A Simple File Format for NumPy Arrays*; PKWARE's *APPNOTE*.
public struct ColumnarFile: Sendable {
  /// Where the file is.
  public let path: String
  /// The columns, in the file's order, one at least; all have as many rows.
  public let columns: [Column]

  /// The number of rows.
  public var rowCount: Int { columns.first?.count ?? 0 }

  /// Reads a file.
  ///
  /// - Throws: ``FormatError`` for a file that is none of these, that breaks a rule of its format, or that has what is not read:
  ///   compressed or dictionary-encoded columns, other types.
  public init(_ url: URL) throws(FormatError) {
    try self.init(MappedFile(url))
  }

  /// Reads a file that is open.
  ///
  /// - Throws: as the other initialiser.
  public init(_ file: MappedFile) throws(FormatError) {
    path = file.path
    let bytes = file.bytes
    func begins(with magic: String) -> Bool { bytes.starts(with: magic.utf8) }
    defer { withExtendedLifetime(file) {} }
    if begins(with: "ARROW1") {
      columns = try ArrowFile(bytes, path: path).columns()
    } else if bytes.starts(with: NumPyArray.magic) {
      columns = try NumPyArray(bytes, path: path).columns(
        name: file.url.deletingPathExtension().lastPathComponent)
    } else if begins(with: "PK") {
      columns = try Self.arrays(in: StoredArchive(bytes, path: path))
    } else {
      throw .malformed(
        .init(
          path, at: "byte 0", expected: "an Arrow IPC file, a NumPy array or an archive of arrays",
          found: "other bytes"))
    }
    try check()
  }

  private static func arrays(in archive: StoredArchive) throws(FormatError) -> [Column] {
    var columns: [Column] = []
    for entry in archive.entries {
      guard entry.name.hasSuffix(".npy") else {
        throw .unsupported(
          .init(
            archive.path, at: "entry \(entry.name)", expected: "arrays called .npy", found: "another file"))
      }
      let array = try NumPyArray(
        UnsafeRawBufferPointer(rebasing: archive.bytes[entry.range]), path: archive.path + "/" + entry.name)
      columns += try array.columns(name: String(entry.name.dropLast(4)))
    }
    return columns
  }

  /// Stops files without a column, columns of one name, and columns of other lengths.
  private func check() throws(FormatError) {
    guard let first = columns.first else {
      throw .missing(.init(path, expected: "a column at least", found: "none"))
    }
    var names = Set<String>()
    for column in columns {
      guard names.insert(column.name).inserted else {
        throw .duplicate(
          .init(path, at: "column \(column.name)", expected: "each name once", found: "the name again"))
      }
      guard column.count == first.count else {
        throw .malformed(
          .init(
            path, at: "column \(column.name)", expected: "\(first.count) rows as in \(first.name)",
            found: "\(column.count)"))
      }
    }
  }

  /// The column of a name; `nil` if there is none.
  public func column(_ name: String) -> Column? { columns.first { $0.name == name } }
}
