import TrestleFormats
import TrestleNN
import TrestleTensor

/// Weights from safetensors, under their own names.
final class FileWeights: WeightSource {
  private let file: any TensorFile
  private let storage: WeightStorage
  private let names: Set<String>
  /// The file's name for a tensor that the model calls by its full name: some files leave a prefix out, or add one.
  private let naming: (String) -> String
  private var used: Set<String> = []

  init(_ file: any TensorFile, storage: WeightStorage, naming: @escaping (String) -> String = { $0 }) {
    self.file = file
    self.storage = storage
    self.naming = naming
    names = Set(file.names)
  }

  var path: String { file.path }

  func contains(_ name: String) -> Bool { names.contains(naming(name)) }

  func tensor(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor {
    try stored(name, shape).converted(to: .float32)
  }

  func matrix(_ name: String, rows: Int, columns: Int) throws(LanguageModelError) -> LinearWeight {
    try stored(name, [rows, columns]).weight(held: storage)
  }

  private func stored(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor {
    let full = naming(name)
    guard names.contains(full) else {
      throw .missingTensor(.init(path, expected: "a tensor \"\(full)\"", found: "none of that name"))
    }
    used.insert(full)
    let tensor = try reading { () throws(FormatError) in try file.tensor(full) }
    guard tensor.shape == shape, tensor.dtype.isFloatingPoint else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"\(full)\"", expected: "floating-point numbers of shape \(shape)",
          found: "\(tensor.dtype) \(tensor.shape)"))
    }
    return tensor
  }

  /// Stops a file with tensors that the model has not taken.
  ///
  /// - Parameter isIgnored: names that models of the family carry and do not need.
  func finish(ignoring isIgnored: (String) -> Bool = { _ in false }) throws(LanguageModelError) {
    let left = file.names.filter { !used.contains($0) && !isIgnored($0) }
    guard let first = left.first else { return }
    throw .unknownTensor(
      .init(
        path, expected: "tensors that the model's configuration calls for",
        found: "\"\(first)\"\(left.count > 1 ? " and \(left.count - 1) more" : "")"))
  }
}

extension Tensor {
  /// The tensor as a linear layer's matrix, held as the options say; frozen unless `float32`.
  func weight(held storage: WeightStorage) -> LinearWeight {
    switch storage {
    case .float32: return .dense(Parameter(converted(to: .float32)))
    case .bfloat16: return .dense(Parameter(converted(to: .bfloat16), isTrainable: false))
    case .asStored:
      if dtype == .bfloat16 { return .dense(Parameter(self, isTrainable: false)) }
      return .dense(Parameter(converted(to: .float32)))
    }
  }
}
