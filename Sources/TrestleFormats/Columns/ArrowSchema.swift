/// The columns of an Arrow file, as its schema names them.
struct ArrowField {
  /// How a column's values stand in buffers.
  indirect enum Kind {
    case integer(byteCount: Int, isSigned: Bool)
    case number(byteCount: Int)
    case text(isLarge: Bool)
    case boolean
    case list(isLarge: Bool, entries: ArrowField)
  }

  let name: String
  let kind: Kind

  /// The columns of a schema.
  static func all(_ schema: FlatTable) throws(FormatError) -> [ArrowField] {
    guard try schema.number(0, default: Int16(0)) == 0 else {
      throw .unsupported(
        .init(schema.path, at: "the schema", expected: "little-endian numbers", found: "others"))
    }
    var fields: [ArrowField] = []
    var nameBytes = 0
    for table in try schema.tables(1) {
      let field = try ArrowField(table, isEntry: false)
      // Names that share bytes would take more memory than the file accounts for.
      nameBytes += field.name.utf8.count
      guard nameBytes <= schema.bytes.count else {
        throw .malformed(
          .init(schema.path, at: "the schema", expected: "names that fit into it", found: "longer ones"))
      }
      fields.append(field)
    }
    return fields
  }

  private init(_ table: FlatTable, isEntry: Bool) throws(FormatError) {
    let name = try table.text(0)
    func unsupported(_ found: String) -> FormatError {
      .unsupported(
        .init(
          table.path, at: "column \(name)",
          expected: "whole or floating-point numbers, truth values, UTF-8 texts, or lists of these",
          found: found))
    }
    guard !table.has(4) else { throw unsupported("a dictionary") }
    let code = try table.number(2, default: UInt8(0))
    guard let type = try table.table(3) else { throw unsupported("no type") }
    self.name = name
    switch code {
    case 2:
      let width = Int(try type.number(0, default: Int32(0)))
      guard [8, 16, 32, 64].contains(width) else { throw unsupported("integers of \(width) bits") }
      kind = .integer(byteCount: width / 8, isSigned: try type.number(1, default: UInt8(0)) != 0)
    case 3:
      let precision = try type.number(0, default: Int16(0))
      guard (0...2).contains(precision) else { throw unsupported("the precision \(precision)") }
      kind = .number(byteCount: 2 << Int(precision))
    case 5, 20: kind = .text(isLarge: code == 20)
    case 6: kind = .boolean
    case 12, 21:
      let children = try table.tables(5)
      guard !isEntry, children.count == 1 else { throw unsupported("lists of lists") }
      kind = .list(isLarge: code == 21, entries: try ArrowField(children[0], isEntry: true))
    default: throw unsupported(Self.names[code] ?? "the type \(code)")
    }
  }

  private static let names: [UInt8: String] = [
    1: "nothing", 4: "bytes", 7: "decimals", 8: "dates", 9: "times", 10: "timestamps", 11: "intervals",
    13: "structs",
    14: "unions", 15: "bytes of fixed width", 16: "lists of fixed length", 17: "maps", 18: "durations",
    19: "bytes",
    22: "runs", 23: "views", 24: "views",
  ]
}
