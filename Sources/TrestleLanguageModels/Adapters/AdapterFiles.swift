import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Adapters on disk, in the layout of PEFT: a folder with `adapter_config.json` and `adapter_model.safetensors`.
extension LoRAAdapters {
  /// What PEFT puts before a model's own names.
  private static let prefix = "base_model.model."

  /// Saves the adapters alone, so that PEFT and ``load(from:into:)`` can read them.
  ///
  /// - Parameters:
  ///   - folder: made if it is not there.
  ///   - baseModel: what the adapters belong to, for readers.
  /// - Throws: ``LanguageModelError/format(_:)``, or what the file system throws.
  public func save(to folder: URL, baseModel: String = "") throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let sources = entries.flatMap { entry in
      entry.adapter.namedParameters.map {
        SafetensorsSource(name: "\(Self.prefix)\(entry.name).\($0.name)", tensor: $0.parameter.detached)
      }
    }
    try SafetensorsWriter.write(
      sources, metadata: ["format": "pt"], to: folder.appending(path: "adapter_model.safetensors"))
    let configuration: JSONLiteral = [
      "base_model_name_or_path": .string(baseModel), "bias": "none", "fan_in_fan_out": false,
      "inference_mode": true, "lora_alpha": .double(settings.alpha), "lora_dropout": 0.0,
      "peft_type": "LORA", "r": .int(settings.rank),
      "target_modules": .array(settings.targets.map { .string($0) }), "task_type": "CAUSAL_LM",
    ]
    try AtomicFile.write(
      try configuration.serialized(pretty: true), to: folder.appending(path: "adapter_config.json"))
  }

  /// Adds the adapters that a folder holds to a model, and freezes everything else in it.
  ///
  /// - Returns: the adapters, trainable.
  /// - Throws: ``LanguageModelError/adapter(_:)`` if a tensor is missing, unknown or of another shape, or the
  ///   configuration asks for a variant that this package does not have; ``LanguageModelError/format(_:)``.
  public static func load(
    from folder: URL, into model: some LanguageModel
  ) throws(LanguageModelError) -> LoRAAdapters {
    let settings = try readSettings(folder.appending(path: "adapter_config.json"))
    let file = try reading { () throws(FormatError) in
      try SafetensorsFile(folder.appending(path: "adapter_model.safetensors"))
    }
    var left = Set(file.names)
    func matrix(_ name: String, _ shape: Shape) throws(LanguageModelError) -> Tensor {
      let tensor = try reading { () throws(FormatError) in try file.tensor(name) }
      left.remove(name)
      guard tensor.shape == shape, tensor.dtype.isFloatingPoint else {
        throw .adapter(
          .init(
            file.path, at: "tensor \"\(name)\"", expected: "floating-point numbers of shape \(shape)",
            found: "\(tensor.dtype) \(tensor.shape)"))
      }
      return tensor.converted(to: .float32)
    }
    let adapters = try settings.load(into: model) { name, linear throws(LanguageModelError) in
      (
        try matrix("\(prefix)\(name).lora_A.weight", [settings.rank, linear.inputs]),
        try matrix("\(prefix)\(name).lora_B.weight", [linear.outputs, settings.rank])
      )
    }
    guard let unknown = left.min() else { return adapters }
    adapters.unload()
    throw .adapter(
      .init(file.path, expected: "tensors of the target layers alone", found: "\"\(unknown)\""))
  }

  private static func readSettings(_ url: URL) throws(LanguageModelError) -> LoRA {
    let json = try reading { () throws(FormatError) in try JSONValue(contentsOf: url) }
    let reader = ConfigurationReader(json: json, path: url.path)
    func expect(_ key: String, _ expected: String, _ isFine: Bool) throws(LanguageModelError) {
      guard isFine else {
        throw .adapter(.init(url.path, at: key, expected: expected, found: "something else"))
      }
    }
    try expect("peft_type", "\"LORA\"", try reader.string("peft_type") == "LORA")
    let bias = try reader.string("bias")
    try expect("bias", "\"none\"", (bias ?? "none") == "none")
    for key in ["use_dora", "use_rslora", "fan_in_fan_out", "lora_bias"] {
      let flag = try reader.bool(key)
      try expect(key, "false", flag != true)
    }
    let targets = try reading { () throws(FormatError) in
      var targets: [String] = []
      for target in try json.member("target_modules").array() { targets.append(try target.string()) }
      return targets
    }
    let rank = try reader.requiredInt("r")
    let alpha = try reader.double("lora_alpha")
    return LoRA(rank: rank, alpha: alpha ?? Double(rank), targets: targets.sorted())
  }
}
