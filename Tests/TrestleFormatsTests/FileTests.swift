import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

struct FileTests {
  // MARK: Mapping

  @Test func aFileIsMappedAndSlicesAreChecked() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(folder.write(Array(0..<100), to: "x"))
    #expect(file.count == 100)
    #expect(try file.slice(offset: 10, count: 5).withUnsafeBytes { Array($0) } == Array(10..<15))
    #expect(try file.slice(offset: 100, count: 0).count == 0)
    for (offset, count) in [
      (101, 0), (0, 101), (-1, 1), (0, -1), (50, 51), (.max, 1), (1, .max), (.min, .min),
    ] {
      #expect(throws: FormatError.self) { try file.slice(offset: offset, count: count) }
    }
    file.prefetch()
  }

  @Test func anEmptyFileHasNoBytes() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(folder.write([], to: "empty"))
    #expect(file.count == 0)
    #expect(try file.slice(offset: 0, count: 0).withUnsafeBytes { $0.isEmpty })
    #expect(throws: FormatError.self) { try file.slice(offset: 0, count: 1) }
    #expect(throws: FormatError.self) { try GGUFFile(file) }
    #expect(throws: FormatError.self) { try SafetensorsFile(file) }
    #expect(throws: FormatError.self) { try JSONValue(contentsOf: file.url) }
  }

  @Test func foldersPipesAndAbsentFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    let pipe = folder.url.appending(path: "pipe")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    for (url, found) in [
      (folder.url, "a folder"), (pipe, "a special file"), (URL(filePath: "/dev/zero"), "a special file"),
      (folder.url.appending(path: "absent"), "No such file or directory"),
    ] {
      let error = formatError { _ = try MappedFile(url) }
      #expect(error == .cannotRead(.init(url.path, expected: "a readable regular file", found: found)))
    }
  }

  @Test func aViewKeepsTheContentsOfAReplacedFile() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(Array("before".utf8), to: "x")
    let bytes = try MappedFile(url).slice(offset: 0, count: 6)
    try AtomicFile.write(Array("after!".utf8), to: url)
    #expect(bytes.withUnsafeBytes { Array($0) } == Array("before".utf8))
    #expect(try Data(contentsOf: url) == Data("after!".utf8))
  }

  // MARK: Atomic writing

  @Test func piecesOfAllSizesAreWrittenInOrder() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "out")
    var expected: [UInt8] = []
    try AtomicFile.write(to: url) { writer in
      for size in [0, 1, 65_535, 1, 1, 65_536, 65_537, 300_000, 7] {
        let piece = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
        try writer.write(piece)
        expected += piece
        #expect(writer.count == expected.count)
      }
      try writer.write("é")
    }
    #expect(try Array(Data(contentsOf: url)) == expected + Array("é".utf8))
    #expect(try folder.names == ["out"])
  }

  @Test func aFailureLeavesTheOldFileAndNoOther() throws {
    struct Stop: Error {}
    let folder = try TemporaryFolder()
    let url = try folder.write(Array("old".utf8), to: "out")
    #expect(throws: Stop.self) {
      try AtomicFile.write(to: url) { writer in
        try writer.write([UInt8](repeating: 1, count: 100_000))
        throw Stop()
      }
    }
    #expect(try Data(contentsOf: url) == Data("old".utf8))
    #expect(try folder.names == ["out"])
  }

  #if os(Linux)
    @Test func aFullDiskLeavesTheOldFileAndNoOther() throws {
      let folder = try TemporaryFolder()
      let url = try folder.write(Array("old".utf8), to: "out")
      for size in [10, 1_000_000] {
        let error = formatError {
          try AtomicFile.write(to: url) { writer in
            // From here on the file behaves like one on a full disk.
            let full = open("/dev/full", O_WRONLY)
            #expect(dup2(full, writer.descriptor) == writer.descriptor)
            close(full)
            try writer.write([UInt8](repeating: 1, count: size))
          }
        }
        guard case .cannotWrite(let details)? = error else { continue }
        #expect(details.found == "No space left on device")
        #expect(try Data(contentsOf: url) == Data("old".utf8))
        #expect(try folder.names == ["out"])
      }
    }
  #endif

  @Test func placesThatCannotBeWrittenAreNamed() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      at: folder.url.appending(path: "taken/inside"), withIntermediateDirectories: true)
    for name in ["absent/out", "taken"] {
      let url = folder.url.appending(path: name)
      guard case .cannotWrite(let details)? = formatError({ try AtomicFile.write([1], to: url) }) else {
        Issue.record("wrote \(name)")
        continue
      }
      #expect(details.path == url.path)
    }
    #expect(try folder.names == ["taken"])
  }

  @Test func permissionsOfAReplacedFileAreKept() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write([1], to: "out")
    #expect(chmod(url.path, 0o640) == 0)
    try AtomicFile.write([2], to: url)
    var status = stat()
    #expect(stat(url.path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o640)
  }

  @Test func writersOfOneFileDoNotDisturbEachOther() async throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "out")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<16 {
        group.addTask { try AtomicFile.write([UInt8](repeating: UInt8(writer), count: 200_000), to: url) }
      }
      try await group.waitForAll()
    }
    let bytes = try Array(Data(contentsOf: url))
    #expect(bytes.count == 200_000)
    #expect(Set(bytes).count == 1)
    #expect(try folder.names == ["out"])
  }

  @Test func leftoversOfDeadProcessesAreRemovedAndNothingElse() throws {
    let folder = try TemporaryFolder()
    // Above the highest process number that Linux and macOS give.
    let dead = ".model.safetensors.2147483646-abc.partial"
    let kept = [
      ".model.safetensors.\(getpid())-abc.partial", ".partial", "model.2147483646-abc.partial",
      ".x.abc-def.partial",
      ".x.0-abc.partial", ".x.-1-abc.partial", "model.safetensors",
    ]
    for name in kept + [dead] { try folder.write([1], to: name) }
    #expect(AtomicFile.removeLeftovers(in: folder.url) == [dead])
    #expect(try folder.names == kept.sorted())
    #expect(AtomicFile.removeLeftovers(in: folder.url.appending(path: "absent")).isEmpty)
  }

  // MARK: Hashes

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ])
  func hashesAreThoseOfTheStandard(text: String, digest: String) {
    var hash = SHA256()
    hash.update(text)
    #expect(hash.hexadecimal() == digest)
    #expect(SHA256.hash(Array(text.utf8)) == hash.finalized())
  }

  @Test func aMillionLettersHashAsInTheStandardHoweverTheyAreSplit() {
    for size in [1, 63, 64, 65, 1000, 1_000_000] {
      var hash = SHA256()
      var rest = 1_000_000
      while rest > 0 {
        hash.update([UInt8](repeating: 0x61, count: min(size, rest)))
        rest -= size
      }
      #expect(hash.hexadecimal() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }
  }

  // MARK: Errors

  @Test func errorsReadAsOneSentence() {
    let error = FormatError.missing(.init("a.gguf", at: "x", expected: "a key", found: "none"))
    #expect("\(error)" == "a.gguf: incomplete at x: expected a key, found none.")
    let whole = FormatError.cannotRead(.init("a.gguf", expected: "a file", found: "a folder"))
    #expect("\(whole)" == "a.gguf: cannot be read: expected a file, found a folder.")
  }

  @Test func namesFromFilesCannotWriteToTheTerminal() {
    let error = FormatError.duplicate(
      .init("a", at: "\u{1B}[2J\n\u{202E}", expected: "é", found: String(repeating: "x", count: 5000)))
    #expect(error.description.hasPrefix("a: duplicate at \\u{1B}[2J\\n\\u{202E}: expected é, found xxx"))
    #expect(error.description.count < 1100)
  }
}
