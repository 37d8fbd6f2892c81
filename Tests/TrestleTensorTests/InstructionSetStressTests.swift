import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

private let seconds = ProcessInfo.processInfo.environment["TRESTLE_STRESS_SECONDS"].flatMap(Double.init) ?? 0

/// Selects another instruction set again and again while the other tests run: a test that compares bits, and has not said so
/// with `withSteadyInstructionSet`, fails then nearly always instead of once in a while; one that selects without
/// `withChangingInstructionSet` fails this test.
@Test(.enabled(if: seconds > 0, "TRESTLE_STRESS_SECONDS is not set"))
func otherTestsHoldWhileTheInstructionSetChanges() throws {
  let usual = withSteadyInstructionSet { InstructionSet.current }
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    try withChangingInstructionSet {
      #expect(InstructionSet.current == usual)
      try InstructionSet.select(.portable)
      Thread.sleep(forTimeInterval: 0.003)
      #expect(InstructionSet.current == .portable)
      try InstructionSet.select(usual)
    }
    Thread.sleep(forTimeInterval: 0.002)
  }
}
