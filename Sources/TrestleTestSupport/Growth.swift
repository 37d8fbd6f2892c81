/// How many times longer an input of four times the size takes: 4 in linear time, 16 in quadratic.
///
/// Both sizes are timed in turn within the same run and the shortest times are compared, so that neither the machine nor
/// what else runs on it matters much.
///
/// - Parameters:
///   - size: the smaller size; it should take some milliseconds.
///   - rounds: how often each is timed.
///   - prepare: makes the input of a size; not timed.
///   - run: what is timed.
public func growth<Input>(
  from size: Int, rounds: Int = 5, prepare: (Int) throws -> Input, run: (Input) throws -> Void
) throws -> Double {
  let (small, large) = (try prepare(size), try prepare(size * 4))
  let clock = ContinuousClock()
  var (shortest, longest) = (Double.infinity, Double.infinity)
  for _ in 0..<rounds {
    shortest = min(shortest, try clock.measure { try run(small) } / .seconds(1))
    longest = min(longest, try clock.measure { try run(large) } / .seconds(1))
  }
  return longest / shortest
}
