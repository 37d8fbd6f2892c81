import TrestleRecommenders
import TrestleTensor

/// Damages a file in seeded ways and checks that the reader either reads it or throws a `DataError`.
enum Mutations {
  /// How many damaged files were read and how many refused.
  struct Outcome {
    var read = 0
    var threw = 0
  }

  /// Runs `reader` on `count` damaged copies of `original`; other errors than `DataError` are passed on.
  static func run(
    _ original: [UInt8], count: Int = 3000, seed: UInt64, _ reader: ([UInt8]) throws -> Void
  ) throws -> Outcome {
    var outcome = Outcome()
    let source = RandomGenerator(seed: seed)
    for index in 0..<count {
      var generator = source.split(UInt64(index))
      var bytes = original
      for _ in 0...generator.index(below: 3) { mutate(&bytes, &generator) }
      do {
        try reader(bytes)
        outcome.read += 1
      } catch is DataError {
        outcome.threw += 1
      }
    }
    return outcome
  }

  private static let meaningful = Array("\t\n\r,:\"\\{}[]-+.eE019 x".utf8) + [0, 0xC3, 0xE9, 0xFF, 0xED]

  private static func mutate(_ bytes: inout [UInt8], _ generator: inout RandomGenerator) {
    guard !bytes.isEmpty else { return }
    let place = generator.index(below: bytes.count)
    switch generator.index(below: 6) {
    case 0: bytes[place] = UInt8(generator.index(below: 256))
    case 1: bytes[place] = meaningful[generator.index(below: meaningful.count)]
    case 2: bytes.insert(meaningful[generator.index(below: meaningful.count)], at: place)
    case 3: bytes.remove(at: place)
    case 4: bytes.removeSubrange(place...)
    default:
      let end = min(bytes.count, place + 1 + generator.index(below: 24))
      bytes.insert(contentsOf: bytes[place..<end], at: generator.index(below: bytes.count))
    }
  }
}
