import Foundation

/// How many times longer an input of several times the size takes: of four times, 4 in linear time and 16 in quadratic.
///
/// What counts is the time that the calling thread has computed, not the time that has passed, so that other work on the
/// machine matters little. Both sizes are timed in turn within the same run, and the shortest times are compared.
///
/// - Parameters:
///   - size: the smaller size; it should take some milliseconds.
///   - factor: how many times larger the other size is.
///   - rounds: how often each is timed.
///   - limit: while the result is not below this, up to four times as many rounds go on: the shortest times come out smaller on a
///     busy machine, and no quadratic time gets below by it. If it still is not, the larger size is compared with one as many times
///     larger again, and the smaller of the two results counts: what is quadratic is so at every size, while the end of a
///     cache, which other work on the machine makes smaller, lies between two sizes only once.
///   - prepare: makes the input of a size; not timed.
///   - run: what is timed; it computes on the calling thread.
public func growth<Input>(
  from size: Int, by factor: Int = 4, rounds: Int = 5, below limit: Double = .infinity,
  prepare: (Int) throws -> Input, run: (Input) throws -> Void
) throws -> Double {
  let first = try ratio(size, factor, rounds, limit, prepare, run)
  return first < limit ? first : min(first, try ratio(size * factor, factor, rounds, limit, prepare, run))
}

private func ratio<Input>(
  _ size: Int, _ factor: Int, _ rounds: Int, _ limit: Double, _ prepare: (Int) throws -> Input,
  _ run: (Input) throws -> Void
) throws -> Double {
  let (small, large) = (try prepare(size), try prepare(size * factor))
  var (shortest, longest) = (Double.infinity, Double.infinity)
  for round in 0..<4 * rounds where round < rounds || longest / shortest >= limit {
    shortest = min(shortest, try threadSeconds { try run(small) })
    longest = min(longest, try threadSeconds { try run(large) })
  }
  return longest / shortest
}

/// The processor time that `body` takes on this thread, in seconds.
private func threadSeconds(_ body: () throws -> Void) throws -> Double {
  func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
  let start = now()
  try body()
  return now() - start
}
