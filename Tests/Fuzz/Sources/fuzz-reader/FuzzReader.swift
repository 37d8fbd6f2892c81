import Foundation
import FuzzTargets

/// libFuzzer's entry: the reader is named by the environment variable `TRESTLE_FUZZ_TARGET`.
enum FuzzReader {
  /// The reader under test.
  nonisolated(unsafe) static let target: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["TRESTLE_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget.named(name) else {
      fatalError("TRESTLE_FUZZ_TARGET: expected one of \(FuzzTarget.all.map(\.name)), found '\(name)'")
    }
    return target
  }()
}

/// Runs one input; an error that is none of the package's ends the process.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  do {
    _ = try FuzzReader.target.accepts(bytes)
  } catch {
    fatalError("an error of another kind: \(error)")
  }
  return 0
}
