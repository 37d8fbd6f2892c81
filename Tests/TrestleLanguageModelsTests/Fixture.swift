import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// One of the tiny models that Transformers made, with what it computes.
struct Fixture {
  let folder: URL
  let reference: SafetensorsFile

  init(_ family: String, reference name: String = "reference.safetensors") throws {
    folder = TestAssets.fixtures.appending(path: "language/\(family)")
    reference = try SafetensorsFile(folder.appending(path: name))
  }

  func tensor(_ name: String) throws -> Tensor { try reference.tensor(name) }
  func floats(_ name: String) throws -> [Float] { try reference.tensor(name).floats }
  /// The rows of an index matrix.
  func tokens(_ name: String = "input_ids") throws -> [[Int32]] {
    let tensor = try reference.tensor(name)
    let width = tensor.shape[tensor.rank - 1]
    let all = tensor.scalars(as: Int32.self)
    return stride(from: 0, to: all.count, by: width).map { Array(all[$0..<$0 + width]) }
  }
}

/// The largest difference between two lists, relative to `1 + |expected|`.
func largestDifference(_ found: [Float], _ expected: [Float]) -> Double {
  guard found.count == expected.count else { return .infinity }
  return zip(found, expected).reduce(0) { largest, pair in
    let difference = Double(abs(pair.0 - pair.1)) / (1 + Double(abs(pair.1)))
    return difference.isNaN ? .infinity : max(largest, difference)
  }
}
