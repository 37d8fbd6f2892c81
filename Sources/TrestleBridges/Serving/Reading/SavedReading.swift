import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

/// What a hybrid's manifest says of its reading; the numbers are in `reading.safetensors`.
struct SavedReading: Codable {
  static let file = "reading.safetensors"

  let reader: ItemReading.Reader
  let map: KernelRidge.Configuration
  let scale: Double
  let width: Int
  let adapters: [String]

  init(_ reading: ItemReading) {
    (reader, map, scale) = (reading.reader, reading.map.configuration, reading.scale)
    width = reading.map.outputMean.shape[0]
    adapters = reading.adapterFiles.keys.sorted()
  }

  /// Reads the numbers and the adapters.
  ///
  /// - Throws: `ServingError/invalidState(path:place:expected:found:)`.
  func load(_ saved: SavedFolder, _ files: [String: String], _ itemCount: Int) throws -> ItemReading {
    guard scale.isFinite, map.strength.isFinite, width > 0, reader.layer > 0,
      (reader.style?.skipping ?? 0) >= 0, (reader.style?.separator?.count ?? 0) <= 64,
      adapters.allSatisfy(Self.isPlain)
    else {
      throw saved.invalid("manifest.json", "reading", expected: "how texts are read", found: "other values")
    }
    let tensors = try saved.tensors(Self.file, files)
    func count(_ name: String, _ axis: Int) -> Int {
      tensors[name].map { $0.rank > axis ? $0.shape[axis] : 0 } ?? 0
    }
    func tensor(_ name: String, _ shape: Shape) throws -> Tensor {
      try saved.tensor(tensors, name, shape, .float32, Self.file)
    }
    let (hidden, examples) = (count("mean", 0), count("examples", 0))
    var contents: [String: [UInt8]] = [:]
    for name in adapters {
      contents[name] = try [UInt8](contentsOf: saved.verified(name, files), limit: 4 << 30)
    }
    return ItemReading(
      reader: reader, rows: try tensor("rows", [itemCount, hidden]),
      map: KernelRidge(
        configuration: map,
        scaling: InputScaling(mean: try tensor("mean", [hidden]), scale: try tensor("scale", [hidden])),
        examples: try tensor("examples", [examples, hidden]),
        coefficients: try tensor("coefficients", [examples, width]),
        outputMean: try tensor("output_mean", [width])),
      scale: scale, adapterFiles: contents)
  }

  /// Whether a name is that of a file in the folder itself, and of one that is not hidden.
  private static func isPlain(_ name: String) -> Bool {
    isPlainPath(name) && !name.utf8.contains(UInt8(ascii: "/")) && name.utf8.first != UInt8(ascii: ".")
  }
}

extension ItemReading {
  /// Writes the numbers and the adapters' files, and adds their hashes to `files`.
  func save(in folder: URL, _ files: inout [String: String]) throws {
    let tensors = [
      ("rows", rows), ("mean", map.scaling.mean), ("scale", map.scaling.scale), ("examples", map.examples),
      ("coefficients", map.coefficients), ("output_mean", map.outputMean),
    ]
    let url = folder.appending(path: SavedReading.file)
    try SafetensorsWriter.write(tensors.map { SafetensorsSource(name: $0.0, tensor: $0.1) }, to: url)
    files[SavedReading.file] = try SavedFolder.hash(url)
    for (name, bytes) in adapterFiles {
      let url = folder.appending(path: name)
      try AtomicFile.write(bytes, to: url)
      files[name] = try SavedFolder.hash(url)
    }
  }
}
