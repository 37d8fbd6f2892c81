import FuzzTargets

/// What libFuzzer runs its inputs on.
enum FuzzedReader {
  /// The reader under test; set once, before the first input.
  nonisolated(unsafe) static var target: FuzzTarget?

  /// Runs one input; an error that is none of the package's ends the process.
  static let run: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt = { data, size in
    do {
      _ = try target?.accepts(Array(UnsafeBufferPointer(start: data, count: size)))
    } catch {
      fatalError("an error of another kind: \(error)")
    }
    return 0
  }
}
