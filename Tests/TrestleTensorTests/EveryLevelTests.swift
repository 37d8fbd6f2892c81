import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

/// Runs `body` with an instruction set, and goes back to the one before. Where the process is not there for all of them
/// (``EveryLevelTests``), runs it with the current one, and not at all with others.
func atLevel(_ instructionSet: InstructionSet, _ body: () -> Void) throws {
  guard selectsInstructionSets else {
    if instructionSet == .current { body() }
    return
  }
  try withChangingInstructionSet {
    let before = InstructionSet.current
    try InstructionSet.select(instructionSet)
    body()
    try InstructionSet.select(before)
  }
}

/// The kernels at every instruction-set level. The level belongs to the process, and other tests compare bits meanwhile: so
/// the suites that go through the levels run once more in a process of their own, which goes through them all.
@Suite struct EveryLevelTests {
  static let suites = [
    "ArrayPathTests", "EveryLevelTests", "MatrixKernelTests", "MatrixQuantizedTests", "NumericalEdgeTests",
    "OperationTests",
    "ParityTests",
  ]

  #if os(Linux)
    @Test(.enabled(if: !selectsInstructionSets, "this is that process"))
    func theSuitesPassWhereLevelsAreSelected() throws {
      let process = Process()
      process.executableURL = URL(filePath: CommandLine.arguments[0])
      process.arguments = [
        "--testing-library", "swift-testing", "--filter",
        "TrestleTensorTests.*(\(Self.suites.joined(separator: "|")))",
      ]
      process.environment = ProcessInfo.processInfo.environment.merging(["TRESTLE_TEST_LEVELS": "all"]) { $1 }
      let pipe = Pipe()
      (process.standardOutput, process.standardError) = (pipe, pipe)
      try process.run()
      let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      let failures = output.split(separator: "\n").filter { $0.contains("recorded an issue") }.prefix(20)
      #expect(process.terminationStatus == 0, "\(failures.joined(separator: "\n"))")
      for suite in Self.suites { #expect(output.contains("Suite \(suite) passed"), "\(output.suffix(2000))") }
    }
  #endif

  /// Every case of the suites has its turn: as many levels are gone through as the machine has.
  @Test func everyLevelHasItsTurn() throws {
    var seen: [InstructionSet] = []
    try atEveryLevel { level in
      #expect(InstructionSet.current == level)
      seen.append(level)
    }
    #expect(seen == (selectsInstructionSets ? InstructionSet.available : [.current]))
  }
}
