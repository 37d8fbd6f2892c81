import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Adapters on disk, in the layout of PEFT: a folder with `adapter_config.json` and `adapter_model.safetensors`.
extension LoRAAdapters {
  /// What PEFT puts before a model's own names.
  private static let prefix = "base_model.model."

  /// Saves the adapters alone, so that PEFT and ``load(from:into:)`` can read them; both files are replaced in one step.
  ///
  /// - Parameters:
  ///   - folder: made if it is not there; other files in it stay.
  ///   - baseModel: what the adapters belong to, for readers.
  /// - Throws: ``LanguageModelError/format(_:)``, or what the file system throws.
  public func save(to folder: URL, baseModel: String = "") throws {
    let sources = entries.flatMap { entry in
      entry.adapter.namedParameters.map {
        SafetensorsSource(name: "\(Self.prefix)\(entry.name).\($0.name)", tensor: $0.parameter.detached)
      }
    }
    var alphas: [(key: String, value: JSONLiteral)] = []
    var ranks: [(key: String, value: JSONLiteral)] = []
    for entry in entries {
      let rank = entry.adapter.a.shape[0]
      let alpha = entry.adapter.scale * Double(rank)
      if rank != settings.rank { ranks.append((entry.name, .int(rank))) }
      if abs(alpha - settings.alpha) > 1e-9 * settings.alpha { alphas.append((entry.name, .double(alpha))) }
    }
    let configuration: JSONLiteral = [
      "alpha_pattern": .object(alphas), "base_model_name_or_path": .string(baseModel), "bias": "none",
      "fan_in_fan_out": false, "inference_mode": true, "lora_alpha": .double(settings.alpha),
      "lora_dropout": 0.0, "peft_type": "LORA", "r": .int(settings.rank), "rank_pattern": .object(ranks),
      "target_modules": .array(settings.targets.map { .string($0) }), "task_type": "CAUSAL_LM",
    ]
    try AtomicFolder.write(to: folder, keepingOthers: true) { new in
      try SafetensorsWriter.write(
        sources, metadata: ["format": "pt"], to: new.appending(path: "adapter_model.safetensors"))
      try AtomicFile.write(
        try configuration.serialized(pretty: true), to: new.appending(path: "adapter_config.json"))
    }
  }

  /// Adds the adapters that a folder holds to a model, and freezes everything else in it. A folder that is refused
  /// changes nothing.
  ///
  /// - Returns: the adapters, trainable.
  /// - Throws: ``LanguageModelError/adapter(_:)`` if a tensor is missing, unknown or of another shape, or the
  ///   configuration asks for a variant that this package does not have; ``LanguageModelError/format(_:)``.
  public static func load(
    from folder: URL, into model: some LanguageModel
  ) throws(LanguageModelError) -> LoRAAdapters {
    let (settings, patterns) = try readSettings(folder.appending(path: "adapter_config.json"))
    let file = try reading { () throws(FormatError) in
      try SafetensorsFile(folder.appending(path: "adapter_model.safetensors"), access: .copied)
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
    let adapters = try settings.adapters(for: model) { name, linear throws(LanguageModelError) in
      let rank = patterns.rank(of: name) ?? settings.rank
      let alpha = patterns.alpha(of: name) ?? settings.alpha
      return LoRAAdapter(
        a: try matrix("\(prefix)\(name).lora_A.weight", [rank, linear.inputs]),
        b: try matrix("\(prefix)\(name).lora_B.weight", [linear.outputs, rank]),
        scale: alpha / Double(rank))
    }
    if let unknown = left.min() {
      throw .adapter(
        .init(file.path, expected: "tensors of the target layers alone", found: "\"\(unknown)\""))
    }
    adapters.attach(to: model)
    return adapters
  }

  private static func readSettings(_ url: URL) throws(LanguageModelError) -> (LoRA, LoRAPatterns) {
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
    let settings = LoRA(rank: rank, alpha: alpha ?? Double(rank), targets: targets.sorted())
    return (settings, try LoRAPatterns(reader))
  }
}

/// Ranks and alphas of single layers (`rank_pattern`, `alpha_pattern`), by the ends of their names.
private struct LoRAPatterns {
  private var ranks: [(name: String, value: Double)] = []
  private var alphas: [(name: String, value: Double)] = []

  init(_ reader: ConfigurationReader) throws(LanguageModelError) {
    let check = RangeCheck(path: reader.path)
    ranks = try Self.read("rank_pattern", reader)
    for (name, rank) in ranks {
      try check("rank_pattern.\(name)", rank, in: 1...4096)
      guard rank == rank.rounded() else {
        throw check.failure("rank_pattern.\(name)", "a whole number", "\(rank)")
      }
    }
    alphas = try Self.read("alpha_pattern", reader)
    for (name, alpha) in alphas { try check("alpha_pattern.\(name)", alpha, in: 1e-6...1e6) }
  }

  func rank(of layer: String) -> Int? { ranks.first { LoRA.matches(layer, $0.name) }.map { Int($0.value) } }

  func alpha(of layer: String) -> Double? { alphas.first { LoRA.matches(layer, $0.name) }?.value }

  /// PEFT takes the keys for regular expressions. Names of layers, the usual case, mean the same; others are refused.
  private static func read(
    _ key: String, _ reader: ConfigurationReader
  ) throws(LanguageModelError) -> [(name: String, value: Double)] {
    guard let object = try reader.object(key) else { return [] }
    var result: [(name: String, value: Double)] = []
    let members = try reading { () throws(FormatError) in try object.json.object() }
    for (name, value) in members {
      let isPlain = name.utf8.allSatisfy { byte in
        byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber)
          || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
      }
      guard isPlain, !name.isEmpty else {
        throw .adapter(
          .init(reader.path, at: key, expected: "names of layers, no other patterns", found: "\"\(name)\""))
      }
      result.append((name, try reading { () throws(FormatError) in try value.double() }))
    }
    return result
  }
}
