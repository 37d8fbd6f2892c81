import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

/// Files that NumPy and PyArrow wrote (Tests/Fixtures/formats/columns), and damaged ones.
@Suite struct ColumnarFileTests {
  private static let folder = TestAssets.fixtures.appending(path: "formats/columns")

  private func read(_ name: String) throws -> ColumnarFile {
    try ColumnarFile(Self.folder.appending(path: name))
  }

  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
  }

  private static let users = ["ann", "bob", "ann", "zoë", "bob"]
  private static let ages = [24.5, 53, 24.5, 31, 53]

  @Test(arguments: ["clicks.arrow", "clicks.feather"]) func arrowColumnsAreReadWithWhatIsAbsent(
    _ name: String
  ) throws {
    let file = try read(name)
    #expect(file.rowCount == 5)
    #expect(file.columns.map(\.name) == ["click", "user", "age", "film", "seen", "adult", "shop"])
    #expect(file.columns[0] == Column(name: "click", values: .integers([1, 0, 1, 0, 1])))
    #expect(file.columns[1] == Column(name: "user", values: .texts(Self.users)))
    #expect(file.columns[2] == Column(name: "age", values: .numbers(Self.ages)))
    #expect(
      file.columns[3]
        == Column(
          name: "film", values: .texts(["Emma", "", "Ran", "Ikiru", "Emma"]),
          isAbsent: [false, true, false, false, false]))
    let seen = try #require(file.column("seen"))
    #expect(seen.isAbsent == [false, false, true, false, false])
    guard case .lists(let starts, let entries) = seen.values else {
      Issue.record("no lists")
      return
    }
    #expect(starts == [0, 2, 2, 2, 4, 5])
    #expect(entries.values == .texts(["Ran", "Ikiru", "Emma", "", "Ran"]))
    #expect(entries.isAbsent == [false, false, false, true, false])
    #expect(file.column("adult")?.values == .booleans([true, false, true, true, false]))
    let shop = try #require(file.column("shop"))
    #expect(shop.isAbsent == [false, false, false, true, false] && shop.kind == "whole numbers")
    #expect(file.column("none") == nil)
  }

  @Test(arguments: ["types.arrow", "types.npz"]) func everyTypeIsRead(_ name: String) throws {
    let file = try read(name)
    for bits in [8, 16, 32, 64] {
      let (low, high) = (Int64.min >> (64 - bits), Int64.max >> (64 - bits))
      #expect(file.column("int\(bits)")?.values == .integers([low, 0, high]))
      let most = bits == 64 ? Int64.max : (1 << Int64(bits)) - 1
      #expect(file.column("uint\(bits)")?.values == .integers([0, 1, most]))
      guard bits > 8 else { continue }
      #expect(file.column("float\(bits)")?.values == .numbers([-0.5, 1, 65504]))
    }
    #expect(file.column("bool")?.values == .booleans([true, false, true]))
    #expect(file.column("text")?.values == .texts(["a", "", "é"]))
    if name == "types.npz" {
      #expect(file.column("bytes")?.values == .texts(["a", "", "bc"]))
      return
    }
    #expect(file.column("large_text")?.values == .texts(["a", "", "é"]))
    #expect(
      file.column("list")?.values
        == .lists(starts: [0, 1, 1, 3], entries: Column(name: "item", values: .integers([1, 2, 3]))))
    guard case .lists(let starts, let entries)? = file.column("large_list")?.values else {
      Issue.record("no lists")
      return
    }
    #expect(starts == [0, 1, 1, 3] && entries.values == .booleans([true, false, true]))
  }

  @Test(arguments: ["clicks.npz", "records.npy"]) func arraysAreColumns(_ name: String) throws {
    let file = try read(name)
    #expect(file.columns.map(\.name) == ["click", "user", "age", "film", "adult"])
    #expect(file.columns[0].values == .integers([1, 0, 1, 0, 1]))
    #expect(file.columns[1].values == .texts(Self.users))
    #expect(file.columns[2].values == .numbers(Self.ages))
    #expect(file.columns[3].values == .texts(["Emma", "", "Ran", "Ikiru", "Emma"]))
    #expect(file.columns[4].values == .booleans([true, false, true, true, false]))
  }

  @Test func whatIsNotReadIsSaidInOneLine() throws {
    func ending(_ name: String) -> String {
      let text = message { _ = try read(name) }
      let path = Self.folder.appending(path: name).path
      #expect(text.hasPrefix(path) && !text.contains("\n"), "\(text)")
      return String(text.dropFirst(path.count))
    }
    #expect(
      ending("clicks-deflated.npz")
        == ": unsupported at entry click.npy: expected stored entries (numpy.savez), not compressed, found deflated."
    )
    #expect(ending("matrix.npy").contains("expected an array of one dimension, found the shape [2, 3]"))
    #expect(ending("objects.npy").contains("or texts of fixed width, found |O"))
    #expect(
      ending("refused/compressed.arrow").contains("expected uncompressed columns, found compressed ones"))
    #expect(ending("refused/dictionary.arrow").contains("at column film"))
    #expect(ending("refused/dictionary.arrow").hasSuffix("found a dictionary."))
    #expect(ending("refused/type.arrow").hasSuffix("found timestamps."))
    #expect(
      ending("columns.json").contains("expected an Arrow IPC file, a NumPy array or an archive of arrays"))
  }

  /// Every cut and every changed byte is read or refused, and never traps; what is read has its rows.
  @Test(arguments: ["clicks.arrow", "types.arrow", "clicks.npz", "records.npy"])
  func damagedFilesAreReadOrRefused(_ name: String) throws {
    let whole = try [UInt8](Data(contentsOf: Self.folder.appending(path: name)))
    func accepts(_ bytes: [UInt8]) throws -> Bool {
      do {
        let file = try ColumnarFile(MappedFile(copying: bytes, name: name))
        #expect(file.columns.allSatisfy { $0.count == file.rowCount })
        return true
      } catch { return false }
    }
    #expect(try accepts(whole))
    for length in 0..<whole.count { #expect(try !accepts(Array(whole[..<length])), "\(length) bytes") }
    var refused = 0
    for place in whole.indices {
      for value in [0, 0xFF, whole[place] ^ 1, whole[place] ^ 0x80] as [UInt8] where value != whole[place] {
        var bytes = whole
        bytes[place] = value
        if try !accepts(bytes) { refused += 1 }
      }
    }
    #expect(refused > 100, "\(refused)")
  }
}
