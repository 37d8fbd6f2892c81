import Foundation
import Testing
import TrestleTensor
import TrestleTestSupport

private let seconds = ProcessInfo.processInfo.environment["TRESTLE_STRESS_SECONDS"].flatMap(Double.init) ?? 0

/// Selects another instruction set again and again while the other tests run: a test that compares bits, and has not said so
/// with `withSteadyInstructionSet`, fails then nearly always instead of once in a while.
@Test(.enabled(if: seconds > 0, "TRESTLE_STRESS_SECONDS is not set"))
func otherTestsHoldWhileTheInstructionSetChanges() throws {
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    try withChangingInstructionSet {
      let before = InstructionSet.current
      try InstructionSet.select(.portable)
      Thread.sleep(forTimeInterval: 0.003)
      try InstructionSet.select(before)
    }
    Thread.sleep(forTimeInterval: 0.002)
  }
}
