import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// What a full disk and one that cannot be written leave behind.
@Suite(.serialized) struct FailingDiskTests {
  private struct Cursor: Codable { var step: Int }

  private func model(_ value: Float) -> MLP {
    var generator = RandomGenerator(seed: 1)
    let model = MLP(widths: [64, 64, 8], using: &generator)
    for parameter in model.parameters { parameter.update(to: Tensor.full(parameter.shape, Double(value))) }
    return model
  }

  private func save(_ value: Float, to folder: URL) throws {
    try Checkpoint.save(model(value), optimizers: [:], cursor: Cursor(step: Int(value)), to: folder)
  }

  /// The value of a saved model, all of whose parameters must be of one generation.
  private func load(_ folder: URL) throws -> Float {
    let fresh = model(-1)
    let restored = try Checkpoint.load(Cursor.self, from: folder, into: fresh, optimizers: [:])
    let values = Set(fresh.parameters.flatMap { $0.detached.floats })
    #expect(values == [Float(restored.cursor.step)])
    return Float(restored.cursor.step)
  }

  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "disk-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  private static func run(_ command: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: command)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  /// Whether a disk in memory can be mounted here: that takes the administrator's rights, which containers may be without.
  private static let canMount: Bool = {
    let disk = FileManager.default.temporaryDirectory.appending(path: "mount-\(UUID().uuidString)")
    guard (try? FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)) != nil
    else {
      return false
    }
    defer { try? FileManager.default.removeItem(at: disk) }
    guard run("/bin/mount", ["-t", "tmpfs", "-o", "size=64k", "trestle-test", disk.path]) else {
      return false
    }
    return run("/bin/umount", [disk.path])
  }()

  /// A file that may not grow beyond 8 KB, which the second of two states does. Needs no rights.
  @Test func aLimitOfSizeLeavesTheFormerState() async {
    await #expect(processExitsWith: .success) {
      let tests = FailingDiskTests()
      try tests.withFolder { folder in
        let place = folder.appending(path: "state")
        try tests.save(1, to: place)
        let names = try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
        try withFileSizeLimit(8 << 10) {
          for _ in 0..<3 { #expect(throws: FormatError.self) { try tests.save(2, to: place) } }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
        guard left == names, try tests.load(place) == 1 else { exit(1) }
        try tests.save(2, to: place)
        guard try tests.load(place) == 2 else { exit(1) }
      }
    }
  }

  /// A disk of 64 KB, which the second of two states does not fit. Needs the right to mount.
  @Test(.enabled(if: canMount, "no disk can be mounted here; aLimitOfSizeLeavesTheFormerState needs none"))
  func aFullDiskLeavesTheFormerState() throws {
    try withFolder { folder in
      let disk = folder.appending(path: "disk")
      try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
      try #require(Self.run("/bin/mount", ["-t", "tmpfs", "-o", "size=64k", "trestle-test", disk.path]))
      defer { _ = Self.run("/bin/umount", [disk.path]) }
      let place = disk.appending(path: "state")
      try save(1, to: place)
      let names = try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
      // What is left of the disk takes less than another state.
      try Data(count: 24 << 10).write(to: disk.appending(path: "ballast"))
      for _ in 0..<3 {
        #expect(throws: FormatError.self) { try save(2, to: place) }
        #expect(try load(place) == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.path).sorted() == names)
      }
      #expect(throws: FormatError.self) {
        try AtomicFolder.write(to: place) { new in
          try SafetensorsWriter.write(
            [SafetensorsSource(name: "w", tensor: Tensor.ones([1 << 16]))], to: new.appending(path: "w"))
        }
      }
      #expect(try load(place) == 1)
      try FileManager.default.removeItem(at: disk.appending(path: "ballast"))
      try save(2, to: place)
      #expect(try load(place) == 2)
    }
  }

  /// A disk that is mounted for reading alone; to the administrator, rights are no obstacle.
  @Test(.enabled(if: canMount, "no disk can be mounted here; aLimitOfSizeLeavesTheFormerState needs none"))
  func aDiskForReadingAloneLeavesTheFormerState() throws {
    try withFolder { folder in
      let disk = folder.appending(path: "disk")
      try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
      try #require(Self.run("/bin/mount", ["-t", "tmpfs", "-o", "size=1m", "trestle-test", disk.path]))
      defer { _ = Self.run("/bin/umount", [disk.path]) }
      let place = disk.appending(path: "state")
      try save(1, to: place)
      try #require(Self.run("/bin/mount", ["-o", "remount,ro", disk.path]))
      #expect(throws: (any Error).self) { try save(2, to: place) }
      #expect(throws: FormatError.self) { try AtomicFolder.write(to: place) { _ in } }
      #expect(try load(place) == 1)
    }
  }
}
