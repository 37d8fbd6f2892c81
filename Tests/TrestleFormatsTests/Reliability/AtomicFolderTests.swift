import Foundation
import Synchronization
import Testing
import TrestleFormats
import TrestleTestSupport

/// Folders are replaced whole or not at all.
struct AtomicFolderTests {
  private func write(_ text: String, _ name: String, in folder: URL) throws {
    try AtomicFile.write(Array(text.utf8), to: folder.appending(path: name))
  }

  private func read(_ name: String, in folder: URL) -> String? {
    (try? Data(contentsOf: folder.appending(path: name))).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func aFolderIsMadeAndReplaced() throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "model")
    for round in 0..<3 {
      try AtomicFolder.write(to: target) { new in
        #expect(try FileManager.default.contentsOfDirectory(atPath: new.path).isEmpty)
        try write("\(round)", "a", in: new)
        if round == 0 { try write("old", "left", in: new) }
      }
      #expect(read("a", in: target) == "\(round)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: target.path).count == (round == 0 ? 2 : 1))
      #expect(try folder.names == ["model"])
    }
  }

  @Test func aFailureLeavesTheFormerFolder() throws {
    struct Failure: Error {}
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "model")
    try AtomicFolder.write(to: target) { try write("first", "a", in: $0) }
    #expect(throws: Failure.self) {
      try AtomicFolder.write(to: target) { new in
        try write("second", "a", in: new)
        throw Failure()
      }
    }
    #expect(read("a", in: target) == "first")
    #expect(try folder.names == ["model"])
    let file = try folder.write([1], to: "plain")
    #expect(throws: FormatError.self) { try AtomicFolder.write(to: file) { _ in } }
    #expect(try folder.names == ["model", "plain"])
  }

  @Test func otherFilesStayIfAskedFor() throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "model")
    try AtomicFolder.write(to: target) { new in
      try write("old", "a", in: new)
      try write("read me", "README", in: new)
    }
    try AtomicFolder.write(to: target, keepingOthers: true) { try write("new", "a", in: $0) }
    #expect(read("a", in: target) == "new")
    #expect(read("README", in: target) == "read me")
  }

  @Test func aFolderOfAnotherKindIsLeftAlone() throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "model")
    for text in ["new", "replaced"] {
      try AtomicFolder.write(to: target, holding: "manifest") { try write(text, "manifest", in: $0) }
      #expect(read("manifest", in: target) == text)
    }
    let (other, empty) = (folder.url.appending(path: "photos"), folder.url.appending(path: "empty"))
    for place in [other, empty] {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    }
    try write("mine", "photo", in: other)
    #expect(throws: FormatError.self) {
      try AtomicFolder.write(to: other, holding: "manifest") { try write("x", "manifest", in: $0) }
    }
    #expect(read("photo", in: other) == "mine" && read("manifest", in: other) == nil)
    try AtomicFolder.write(to: empty, holding: "manifest") { try write("x", "manifest", in: $0) }
    #expect(read("manifest", in: empty) == "x")
    #expect(try folder.names == ["empty", "model", "photos"])
  }

  @Test func aLinkToAFolderIsFollowed() throws {
    let folder = try TemporaryFolder()
    let (target, link) = (folder.url.appending(path: "v1"), folder.url.appending(path: "current"))
    try AtomicFolder.write(to: target) { try write("1", "a", in: $0) }
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
    try AtomicFolder.write(to: link) { try write("2", "a", in: $0) }
    #expect(read("a", in: target) == "2")
    #expect(try folder.names == ["current", "v1"])
  }

  @Test func twoRenamingsDoWhatAnExchangeDoes() throws {
    let folder = try TemporaryFolder()
    let (target, fresh) = (folder.url.appending(path: "model"), folder.url.appending(path: "fresh"))
    for (place, text) in [(target, "old"), (fresh, "new")] {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      try write(text, "a", in: place)
    }
    try AtomicFolder.putByTwoRenamings(fresh, at: target)
    #expect(read("a", in: target) == "new")
    #expect(read("a", in: fresh) == "old")
    #expect(try folder.names == ["fresh", "model"])
  }

  /// A reader that opens the folder at any moment finds files of one generation.
  @Test func aReaderNeverSeesAMixture() throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "model")
    func generation(_ number: Int) throws {
      try AtomicFolder.write(to: target) { new in
        for name in ["a", "b", "c"] { try write("\(number)", name, in: new) }
      }
    }
    try generation(0)
    let progress = Progress()
    // A thread of its own: other tests may hold all of the pool's.
    let reader = Thread { Self.readUntilStopped(target, progress) }
    reader.start()
    // On a busy machine the reader may come late: the writer goes on until it has read a few times.
    var number = 0
    while number < 60 || progress.reads.load(ordering: .acquiring) < 5 && number < 20_000 {
      number += 1
      try generation(number)
    }
    progress.isStopped.store(true, ordering: .releasing)
    while !reader.isFinished { usleep(1000) }
    #expect(progress.reads.load(ordering: .acquiring) > 0)
    #expect(progress.mixtures.load(ordering: .acquiring) == 0)
  }

  /// Opens the folder again and again, and counts what it finds of more than one generation, or not at all.
  private static func readUntilStopped(_ target: URL, _ progress: Progress) {
    while !progress.isStopped.load(ordering: .acquiring) {
      let descriptor = open(target.path, O_RDONLY | O_DIRECTORY)
      var found: Set<String> = []
      for name in ["a", "b", "c"] where descriptor >= 0 {
        let file = openat(descriptor, name, O_RDONLY)
        // Removed after the exchange: a whole former folder on its way out, not a mixture.
        guard file >= 0 else { continue }
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = Foundation.read(file, &buffer, 16)
        close(file)
        found.insert(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self))
      }
      if descriptor >= 0 { close(descriptor) }
      if descriptor < 0 || found.count > 1 { progress.mixtures.add(1, ordering: .acquiringAndReleasing) }
      progress.reads.add(1, ordering: .acquiringAndReleasing)
    }
  }

  private final class Progress: Sendable {
    let reads = Atomic(0)
    let mixtures = Atomic(0)
    let isStopped = Atomic(false)
  }

  // MARK: Leftovers

  @Test func whatAWriterStillHoldsIsNotCleared() throws {
    let folder = try TemporaryFolder()
    // A process number that is not running, as a writer in another container would have.
    for (name, isFolder) in [(".model.2147483646-abc.partial", false), (".m.2147483646-abd.partial", true)] {
      let place = folder.url.appending(path: name)
      if isFolder {
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        try Data([1]).write(to: place.appending(path: "x"))
      } else {
        try Data([1]).write(to: place)
      }
      let writer = open(place.path, O_RDONLY)
      #expect(flock(writer, LOCK_EX) == 0)
      #expect(AtomicFile.removeLeftovers(in: folder.url) == [])
      close(writer)
      #expect(AtomicFile.removeLeftovers(in: folder.url) == [name])
    }
    for name in ["model.partial", ".x.partial", ".x.1-.partial", ".x.0-a.partial", ".x.1-a.partial.bak"] {
      _ = try folder.write([1], to: name)
    }
    #expect(AtomicFile.removeLeftovers(in: folder.url) == [])
  }

  @Test func aWriterAtWorkKeepsItsFile() throws {
    let folder = try TemporaryFolder()
    let target = folder.url.appending(path: "x")
    try AtomicFile.write(to: target) { writer in
      try writer.write([1, 2, 3])
      #expect(AtomicFile.removeLeftovers(in: folder.url) == [])
    }
    #expect(try Data(contentsOf: target) == Data([1, 2, 3]))
    try AtomicFolder.write(to: folder.url.appending(path: "y")) { new in
      #expect(AtomicFile.removeLeftovers(in: folder.url) == [])
      try write("1", "a", in: new)
    }
    #expect(try folder.names == ["x", "y"])
  }

  @Test func placesThatCannotHoldAnEntryAreFoundBeforeTheWork() throws {
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return ""
      } catch { return "\(error)" }
    }
    let folder = try TemporaryFolder()
    let file = try folder.write([1 as UInt8], to: "file")
    let below = file.appending(path: "model")
    let nowhere = folder.url.appending(path: "none/model")
    for check in [
      { try AtomicFile.checkDestination($0) }, { try AtomicFolder.checkDestination($0, holding: "manifest") },
    ] as [(URL) throws -> Void] {
      #expect(message { try check(below) }.contains("a folder that one may write in, found a file at"))
      #expect(message { try check(nowhere) }.contains("found no folder"))
      try check(folder.url.appending(path: "new"))
    }
    #expect(message { try AtomicFolder.checkDestination(file, holding: "manifest") }.contains("found a file"))
    #expect(message { try AtomicFile.checkDestination(folder.url) }.contains("found a folder"))
    try AtomicFile.checkDestination(file)
    #expect(try folder.names == ["file"])
  }
}
