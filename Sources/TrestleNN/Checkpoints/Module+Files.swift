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
  /// Reads the value of every parameter; nothing is changed if anything does not fit.
  ///
  /// Values of a narrower floating-point type are converted to the parameter's. Others are views over the file until an
  /// optimizer first moves them.
  ///
  /// - Parameters:
  ///   - source: a safetensors file, say.
  ///   - isStrict: whether tensors of the source that no parameter has the name of are an error.
  ///   - rename: the parameter's name for a tensor of the source; `nil` passes over it.
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
    var updates: [(Parameter, Tensor)] = []
    var missing: [String] = []
    for named in namedParameters {
      guard let name = byParameter.removeValue(forKey: ByteKey(named.name)) else {
        missing.append(named.name)
        continue
      }
      updates.append((named.parameter, try Self.fitting(named, source.tensor(name), source.sourcePath)))
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
    for (parameter, value) in updates { parameter.update(to: value) }
  }

  private static func fitting(_ named: NamedParameter, _ tensor: Tensor, _ path: String) throws -> Tensor {
    let parameter = named.parameter
    let isConvertible =
      tensor.dtype == parameter.dtype
      || tensor.dtype.isFloatingPoint && tensor.dtype.byteCount < parameter.dtype.byteCount
    guard tensor.shape == parameter.shape && isConvertible else {
      throw NNError.mismatch(
        .init(
          path, at: named.name, expected: "\(parameter.dtype) \(parameter.shape)",
          found: "\(tensor.dtype) \(tensor.shape)"))
    }
    return tensor.converted(to: parameter.dtype)
  }

  /// Writes every parameter under its name to a safetensors file, in one step: the file is whole or not there.
  ///
  /// - Throws: what `SafetensorsWriter` throws.
  public func save(to url: URL, metadata: [String: String] = [:]) throws {
    try SafetensorsWriter.write(
      namedParameters.map { SafetensorsSource(name: $0.name, tensor: $0.parameter.detached) },
      metadata: metadata, to: url)
  }
}

/// The first names of a list that may be long.
func list(_ names: [String]) -> String {
  let shown = names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
  return names.count > 8 ? shown + " and \(names.count - 8) more" : shown
}
