import Foundation
import FuzzTargets
import Trestle

#if canImport(Glibc)
  import Glibc
#endif

/// Runs inputs `first ..< first + count` of a target, and says after each what came of it: the number of the next input,
/// the accepted, the refused, the slow and the large ones so far.
func work(_ name: String, from first: Int, count: Int, seed: UInt64) throws {
  guard let target = FuzzTarget.named(name) else { fatalError("no target '\(name)'") }
  ThreadPool.shared.setThreadCount(1)
  let seeds = try target.seeds()
  // Everything that is made once is made before the first damaged input.
  for seed in seeds {
    let isAccepted = try target.accepts(seed)
    precondition(isAccepted, "\(name): an undamaged input is refused")
  }
  var hash = StableHash()
  hash.combine(name)
  hash.combine(UInt64(seed))
  let source = RandomGenerator(seed: UInt64(hash.hexadecimal.prefix(16), radix: 16) ?? seed)
  var tally = Tally()
  var peak = peakMemory()
  for index in first..<first + count {
    var mutator = Mutator(source.split(UInt64(index)))
    let bytes = mutator.damaged(seeds[index % seeds.count])
    // Written before the input runs: a signal leaves the number of its input behind.
    if index % 16 == 0 || tally.isFresh { report("at \(index) \(tally.line)") }
    let (start, work) = (ContinuousClock.now, processorSeconds())
    alarm(hangLimit)
    do {
      if try target.accepts(bytes) { tally.accepted += 1 } else { tally.refused += 1 }
    } catch {
      tally.foreign += 1
      report("foreign \(index) \(type(of: error)): \(error)")
    }
    alarm(0)
    let (seconds, passed) = (processorSeconds() - work, start.duration(to: .now) / .seconds(1))
    tally.slowest = max(tally.slowest, seconds)
    if seconds > 1 || passed > 10 {
      tally.slow += 1
      report("slow \(index) \(seconds) s of work in \(passed) s")
    }
    let now = peakMemory()
    if now - peak > (64 << 20) + 20 * bytes.count {
      tally.large += 1
      report("large \(index) \((now - peak) >> 20) MB for \(bytes.count) bytes")
    }
    peak = max(peak, now)
  }
  report("done \(first + count) \(tally.line)")
  removeScratch()
}

/// What came of inputs.
struct Tally {
  var accepted = 0
  var refused = 0
  var foreign = 0
  var slow = 0
  var large = 0
  var slowest = 0.0
  var isFresh: Bool { accepted + refused + foreign == 0 }
  var line: String { "\(accepted) \(refused) \(foreign) \(slow) \(large) \(slowest)" }

  init() {}

  init?(_ words: [Substring]) {
    guard words.count == 6, let accepted = Int(words[0]), let refused = Int(words[1]),
      let foreign = Int(words[2]),
      let slow = Int(words[3]), let large = Int(words[4]), let slowest = Double(words[5])
    else { return nil }
    (self.accepted, self.refused, self.foreign, self.slow, self.large) = (
      accepted, refused, foreign, slow, large
    )
    self.slowest = slowest
  }

  static func + (left: Tally, right: Tally) -> Tally {
    var sum = left
    sum.accepted += right.accepted
    sum.refused += right.refused
    sum.foreign += right.foreign
    sum.slow += right.slow
    sum.large += right.large
    sum.slowest = max(left.slowest, right.slowest)
    return sum
  }
}

/// After so many seconds an input counts as one that never ends: the process gets `SIGALRM`, and that is counted.
private let hangLimit: UInt32 = 60

/// The processor time of the process, in seconds: what an input takes however busy the machine is.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The largest memory that the process has had, in bytes.
func peakMemory() -> Int {
  var usage = rusage()
  #if canImport(Darwin)
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
  #else
    // RUSAGE_SELF, which Glibc's import gives another type than the call has.
    getrusage(0, &usage)
    return usage.ru_maxrss * 1024
  #endif
}

/// Writes the undamaged inputs, a folder for each target: libFuzzer's corpus.
func writeCorpus(to folder: URL) throws {
  for target in FuzzTarget.all {
    let place = folder.appending(path: target.name)
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    for (index, seed) in try target.seeds().enumerated() {
      try Data(seed).write(to: place.appending(path: "seed-\(index)"))
    }
  }
  removeScratch()
}

/// Writes a line at once: what a signal would keep from coming out.
private func report(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
