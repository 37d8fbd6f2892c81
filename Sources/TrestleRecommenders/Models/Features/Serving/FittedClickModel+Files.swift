import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

extension FittedClickModel {
  /// What the manifest says.
  private struct Manifest: Codable {
    var format = "trestle-click-model"
    var version = 1
    var architecture: ClickArchitecture
    /// The SHA-256 of each file beside the manifest.
    var files: [String: String]

    func validate(in folder: SavedFolder) throws {
      guard format == "trestle-click-model", version == 1 else {
        throw folder.invalid(
          FittedClickModel.manifestName, "format", expected: "trestle-click-model, version 1",
          found: "\(format), version \(version)")
      }
    }
  }

  private static let manifestName = "manifest.json"
  private static let schemaName = "schema.json"
  private static let modelName = "model.safetensors"

  /// Saves the model as a folder, which takes the place of an older one in one step: `manifest.json` (its kind and how it is
  /// built), `schema.json` (columns, means and deviations of numbers, categories), `model.safetensors`.
  ///
  /// - Throws: `FormatError.cannotWrite`; an older folder is intact then.
  public func save(to folder: URL) throws {
    try AtomicFolder.write(to: folder, holding: Self.manifestName) { fresh in
      try AtomicFile.writeJSON(schema, to: fresh.appending(path: Self.schemaName))
      try SafetensorsWriter.write(
        served.weights.map { SafetensorsSource(name: $0.key, tensor: $0.value) },
        to: fresh.appending(path: Self.modelName))
      var files: [String: String] = [:]
      for name in [Self.schemaName, Self.modelName] {
        files[name] = try SavedFolder.hash(fresh.appending(path: name))
      }
      let manifest = Manifest(architecture: served.architecture, files: files)
      try AtomicFile.writeJSON(manifest, isPretty: true, to: fresh.appending(path: Self.manifestName))
    }
  }

  /// Loads a model that ``save(to:)`` wrote. Everything is read into memory, so that the folder may be exchanged meanwhile.
  ///
  /// - Throws: ``ServingError/invalidState(path:place:expected:found:)`` for a folder that is none, that another version
  ///   wrote, or a file of which is not the one that was saved; `FormatError` for one that cannot be read; `NNError` for
  ///   weights of another model.
  public init(contentsOf folder: URL) throws {
    self = try SavedFolder(folder).whole(Self.manifestName) { try FittedClickModel(reading: $0) }
  }

  private init(reading saved: SavedFolder) throws {
    let manifest = try saved.manifest(Manifest.self, named: Self.manifestName, what: "a saved click model")
    try manifest.validate(in: saved)
    let schema = try saved.decode(
      FeatureSchema.self, Self.schemaName, manifest.files, what: "columns and categories")
    try schema.validate { saved.invalid(Self.schemaName, $0, expected: $1, found: $2) }
    let tensors = try saved.tensors(Self.modelName, manifest.files)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      guard tensor.dtype == .float32 else {
        throw saved.invalid(Self.modelName, name, expected: "float32", found: "\(tensor.dtype)")
      }
      guard tensor.floats.allSatisfy(\.isFinite) else {
        throw saved.invalid(Self.modelName, name, expected: "finite numbers", found: "others")
      }
    }
    let room = tensors.values.reduce(0) { $0 + $1.elementCount }
    guard manifest.architecture.fits(schema, room: room) else {
      throw saved.invalid(
        Self.manifestName, "architecture", expected: "a model of these columns and of the saved size",
        found: "another")
    }
    let path = saved.url.appending(path: Self.modelName).path
    let weights = TensorDictionary(tensors: tensors, sourcePath: path)
    do {
      self.init(try ServedClickModel(manifest.architecture, schema, weights: weights))
    } catch let error as DataError {
      throw saved.invalid(
        Self.manifestName, "architecture", expected: "a model of these columns", found: "\(error)")
    }
  }
}

extension FeatureSchema {
  /// More columns than any table has; products of counts up to here do not overflow.
  private static let maximumFields = 1 << 16

  /// Stops what no table's schema has.
  ///
  /// - Parameter fault: makes the error from a place, what was expected there and what was found.
  func validate(_ fault: (String, String, String) -> ServingError) throws(ServingError) {
    let names = Set(fields.map(\.name))
    guard (1...Self.maximumFields).contains(fields.count), names.count == fields.count else {
      throw fault(
        "fields", "1 to \(Self.maximumFields) columns of different names",
        "\(fields.count), \(names.count) names")
    }
    var used = Set<String>()
    for field in fields {
      switch field.kind {
      case .number(let mean, let deviation), .time(let mean, let deviation):
        guard mean.isFinite, deviation.isFinite, deviation > 0 else {
          throw fault(field.name, "a finite mean and a deviation above 0", "\(mean), \(deviation)")
        }
      case .category(let vocabulary), .list(let vocabulary):
        guard vocabularies[vocabulary] != nil else {
          throw fault(field.name, "its vocabulary \(vocabulary)", "none")
        }
        used.insert(vocabulary)
      case .text(let buckets):
        guard TextWords.isBucketCount(buckets) else {
          throw fault(field.name, "from 1 to 2³¹ − 1 buckets", "\(buckets)")
        }
      }
    }
    for (name, ids) in vocabularies.sorted(by: { $0.key < $1.key }) {
      guard used.contains(name), ids.index(of: "") == nil else {
        throw fault(name, "a vocabulary of a column, without the empty text", "another")
      }
    }
  }
}
