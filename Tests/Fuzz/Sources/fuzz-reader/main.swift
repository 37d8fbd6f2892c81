import CLibFuzzer
import Foundation
import FuzzTargets

// Runs libFuzzer on one reader or saved state:
//
//   TRESTLE_FUZZ_TARGET=NAME fuzz-reader [CORPUS…] [-max_total_time=SECONDS] [-runs=N] …
//
// The package manager gives every executable a `main` of its own, so libFuzzer is started as a library.

let name = ProcessInfo.processInfo.environment["TRESTLE_FUZZ_TARGET"] ?? ""
guard let target = FuzzTarget.named(name) else {
  fatalError("TRESTLE_FUZZ_TARGET: expected one of \(FuzzTarget.all.map(\.name)), found '\(name)'")
}
// What is made once is made before the first input is timed.
for seed in try target.seeds() {
  guard try target.accepts(seed) else { fatalError("\(name): an undamaged input is refused") }
}
FuzzedReader.target = target
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(LLVMFuzzerRunDriver(&count, &arguments, FuzzedReader.run))
