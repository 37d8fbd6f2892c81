import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

/// How layers are compared with PyTorch's results in files of `Fixtures/nn`.
enum LayerParity {
  /// The type that both compute in.
  struct Precision: Sendable, CustomStringConvertible {
    /// What stands before the names of its cases.
    let prefix: String
    let dtype: DType
    let tolerance: Tolerance
    var description: String { "\(dtype)" }
  }

  static let precisions = [
    Precision(prefix: "", dtype: .float64, tolerance: Tolerance(absolute: 1e-10, relative: 1e-10)),
    Precision(prefix: "float32.", dtype: .float32, tolerance: Tolerance(absolute: 2e-5, relative: 1e-4)),
  ]

  /// The tensors of one case, under their names without the case's.
  private struct Source: TensorSource {
    let file: SafetensorsFile
    let prefix: String
    var sourcePath: String { file.file.path + prefix }
    var names: [String] {
      file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
    func tensor(_ name: String) throws(FormatError) -> Tensor { try file.tensor(prefix + name) }
  }

  /// Records an issue unless the values agree; a tensor that is missing counts as zeros.
  static func expect(_ actual: Tensor?, _ expected: Tensor, _ tolerance: Tolerance, _ name: String) {
    let value = actual ?? .zeros(expected.shape, dtype: expected.dtype)
    let mismatch = Mismatch.between(value.detached, expected, tolerance, in: name)
    #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
  }

  /// Loads a case's parameters, runs `body` on its inputs, and compares the output and all gradients.
  static func check(
    _ name: String, of fixture: String, _ module: some Module, _ precision: Precision, inputs: [String],
    _ body: ([Tensor]) -> Tensor
  ) throws {
    let file = try SafetensorsFile(TestAssets.fixtures.appending(path: "nn").appending(path: fixture))
    let source = Source(file: file, prefix: precision.prefix + name + ".")
    try module.load(from: source, isStrict: false)
    let values = try inputs.map { try source.tensor($0) }
    let variables = values.map { Parameter($0, isTrainable: $0.dtype.isFloatingPoint) }
    let upstream = try source.tensor("dy")
    let (_, gradients) = try valueAndGradients(of: module.parameters + variables) {
      let y = body(variables.map(\.value))
      expect(y, try source.tensor("y"), precision.tolerance, "\(name), \(precision)")
      return (y * upstream).sum()
    }
    for item in module.namedParameters {
      expect(
        gradients[item.parameter]?.dense(), try source.tensor("d." + item.name), precision.tolerance,
        "\(name), gradient of \(item.name), \(precision)")
    }
    for (key, variable) in zip(inputs, variables) where variable.isTrainable {
      expect(
        gradients[variable]?.dense(), try source.tensor("d" + key), precision.tolerance,
        "\(name), gradient of \(key), \(precision)")
    }
  }
}
