import Foundation
import TrestleFormats
import TrestleTensor

/// Something that tensors are read from by name.
public protocol TensorSource {
  /// Where the tensors come from, for messages.
  var sourcePath: String { get }
  /// The names of all tensors.
  var names: [String] { get }
  /// The tensor of a name.
  func tensor(_ name: String) throws(FormatError) -> Tensor
}

extension SafetensorsFile: TensorSource {
  /// The file's path.
  public var sourcePath: String { file.path }
}

extension ShardedSafetensors: TensorSource {
  /// The folder's path.
  public var sourcePath: String { folder.path }

  /// The tensor of a name, from the shard that holds it.
  public func tensor(_ name: String) throws(FormatError) -> Tensor { try file(of: name).tensor(name) }
}

extension Module {
  /// Reads the value of every parameter and buffer; nothing is changed if anything does not fit.
  ///
  /// Values of a narrower floating-point type are converted to the parameter's. Others are views over the file until an
  /// optimizer first moves them.
  ///
  /// - Parameters:
  ///   - source: a safetensors file, say.
  ///   - isStrict: whether tensors of the source that no parameter has the name of are an error.
  ///   - rename: the parameter's name for a tensor of the source; `nil` leaves it out.
  /// - Throws: ``NNError/missing(_:)``, ``NNError/unexpected(_:)``, ``NNError/mismatch(_:)``, each naming the tensors, or
  ///   what the source throws.
  public func load(
    from source: some TensorSource, isStrict: Bool = true, rename: (String) -> String? = { $0 }
  ) throws {
    var byParameter: [ByteKey: String] = [:]
    for name in source.names {
      guard let key = rename(name) else { continue }
      if let other = byParameter.updateValue(name, forKey: ByteKey(key)) {
        throw NNError.mismatch(
          .init(source.sourcePath, at: key, expected: "one tensor", found: "'\(other)' and '\(name)'"))
      }
    }
    var updates: [() -> Void] = []
    var missing: [String] = []
    func value(_ name: String, _ shape: Shape, _ dtype: DType) throws -> Tensor? {
      guard let key = byParameter.removeValue(forKey: ByteKey(name)) else {
        missing.append(name)
        return nil
      }
      return try Self.fitting(name, shape, dtype, source.tensor(key), source.sourcePath)
    }
    for (name, parameter) in namedParameters.map({ ($0.name, $0.parameter) }) {
      guard let value = try value(name, parameter.shape, parameter.dtype) else { continue }
      updates.append { parameter.update(to: value) }
    }
    for (name, buffer) in namedBuffers.map({ ($0.name, $0.buffer) }) {
      guard let value = try value(name, buffer.value.shape, buffer.value.dtype) else { continue }
      updates.append { buffer.update(to: value) }
    }
    guard missing.isEmpty else {
      throw NNError.missing(
        .init(
          source.sourcePath, at: "tensors", expected: list(missing), found: "\(source.names.count) others"))
    }
    guard !isStrict || byParameter.isEmpty else {
      throw NNError.unexpected(
        .init(
          source.sourcePath, at: "tensors", expected: "the model's parameters only",
          found: list(byParameter.values.sorted())))
    }
    for update in updates { update() }
  }

  private static func fitting(
    _ name: String, _ shape: Shape, _ dtype: DType, _ tensor: Tensor, _ path: String
  ) throws -> Tensor {
    let isConvertible =
      tensor.dtype == dtype || tensor.dtype.isFloatingPoint && tensor.dtype.byteCount < dtype.byteCount
    guard tensor.shape == shape && isConvertible else {
      throw NNError.mismatch(
        .init(path, at: name, expected: "\(dtype) \(shape)", found: "\(tensor.dtype) \(tensor.shape)"))
    }
    return tensor.converted(to: dtype)
  }

  /// Writes every parameter and buffer under its name to a safetensors file, in one step: the file is whole or not there.
  ///
  /// - Throws: what `SafetensorsWriter` throws.
  public func save(to url: URL, metadata: [String: String] = [:]) throws {
    try SafetensorsWriter.write(
      namedParameters.map { SafetensorsSource(name: $0.name, tensor: $0.parameter.detached) }
        + namedBuffers.map { SafetensorsSource(name: $0.name, tensor: $0.buffer.value) },
      metadata: metadata, to: url)
  }
}

/// The first names of a list that may be long.
func list(_ names: [String]) -> String {
  let shown = names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
  return names.count > 8 ? shown + " and \(names.count - 8) more" : shown
}
