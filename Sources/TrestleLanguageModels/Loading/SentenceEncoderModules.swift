import Foundation
import TrestleFormats

/// What the files of a sentence encoder say about pooling, what follows it, length and prompts.
///
/// `modules.json` lists the parts in order: a transformer, a pooling, and any number of linear layers and of divisions by the
/// length. Any other part would change the vectors and is refused. Without that file the folder is read as the first
/// releases were: with `1_Pooling/config.json` if it is there, and vectors of length 1.
struct SentenceEncoderModules {
  /// What follows the pooling.
  enum Stage {
    case dense(DenseModule)
    case normalization
  }

  /// More parts than any model has: each may stand for a matrix.
  private static let maximumCount = 32
  /// The longest sequence that a file may name.
  private static let longest = 1 << 24

  var pooling = SentenceEncoder.Pooling.mean
  var stages = [Stage.normalization]
  var maximumLength: Int?
  /// The file that says that text is turned to lower case, if one does.
  var lowercasingPath: String?
  var prompts: [String: String] = [:]
  private let folder: URL

  init(folder: URL) throws(LanguageModelError) {
    self.folder = folder
    var poolingPath = "1_Pooling"
    if let modules = try json("modules.json") { poolingPath = try read(modules) }
    if let settings = try json(poolingPath + "/config.json") { try readPooling(settings) }
    if let settings = try json("sentence_bert_config.json") { try readTransformer(settings) }
    if maximumLength == nil, let settings = try json("tokenizer_config.json") { try readLength(settings) }
    if let settings = try json("config_sentence_transformers.json") { try readPrompts(settings) }
  }

  private func json(_ path: String) throws(LanguageModelError) -> ConfigurationReader? {
    let url = folder.appending(path: path)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let value = try reading { () throws(FormatError) in try JSONValue(contentsOf: url) }
    return ConfigurationReader(json: value, path: url.path)
  }

  /// What follows the pooling, with its weights.
  ///
  /// - Parameter width: that of the encoder's states.
  func layers(
    after width: Int, storage: WeightStorage
  ) throws(LanguageModelError) -> [SentenceEncoder.Layer] {
    var width = width
    var layers: [SentenceEncoder.Layer] = []
    for stage in stages {
      switch stage {
      case .normalization: layers.append(.normalization)
      case .dense(let module):
        layers.append(try module.layer(after: width, storage: storage))
        width = module.outputs
      }
    }
    return layers
  }

  private mutating func readTransformer(_ settings: ConfigurationReader) throws(LanguageModelError) {
    try settings.expect("transformer_task", "feature-extraction")
    if try settings.bool("do_lower_case") == true { lowercasingPath = settings.path }
    guard let length = try settings.int("max_seq_length") else { return }
    try RangeCheck(path: settings.path)("max_seq_length", length, in: 1...Self.longest)
    maximumLength = length
  }

  /// The tokenizer's own limit, which files without one write as 10³⁰.
  private mutating func readLength(_ settings: ConfigurationReader) throws(LanguageModelError) {
    guard let length = try settings.double("model_max_length"), length <= Double(Self.longest) else { return }
    guard length >= 1, let whole = Int(exactly: length) else {
      throw settings.failure("model_max_length", "a whole number of at least 1", "\(length)")
    }
    maximumLength = whole
  }

  private mutating func readPrompts(_ settings: ConfigurationReader) throws(LanguageModelError) {
    guard let list = try settings.object("prompts") else { return }
    let names = try reading { () throws(FormatError) in Array(try list.json.object().keys.prefix(64)) }
    for name in names { prompts[name] = try list.string(name) }
  }

  /// Checks the list of parts; the path of the pooling's folder.
  private mutating func read(_ modules: ConfigurationReader) throws(LanguageModelError) -> String {
    let list = try reading { () throws(FormatError) in Array(try modules.json.array()) }
    guard (2...Self.maximumCount).contains(list.count) else {
      throw .unsupported(
        .init(
          modules.path,
          expected: "a list of 2 to \(Self.maximumCount) modules, Transformer and Pooling first",
          found: "\(list.count)"))
    }
    var poolingPath = ""
    stages = []
    for (index, module) in list.enumerated() {
      let reader = ConfigurationReader(json: module, path: modules.path)
      let full = try reader.string("type") ?? ""
      let path = try reader.string("path") ?? ""
      switch (index, full.split(separator: ".").last) {
      case (0, "Transformer") where path.isEmpty: break
      case (1, "Pooling") where isPlainPath(path): poolingPath = path
      case (2..., "Dense") where isPlainPath(path): stages.append(.dense(try dense(path)))
      case (2..., "Normalize") where isPlainPath(path):
        let settings = try json(path + "/config.json")
        for key in ["module_input_name", "module_output_name"] {
          try settings?.expect(key, "sentence_embedding")
        }
        stages.append(.normalization)
      default:
        throw .unsupported(
          .init(
            modules.path, at: "module \(index)",
            expected: "Transformer in this folder, then Pooling, then Dense and Normalize in folders below",
            found: "\"\(full)\" in \"\(path)\""))
      }
    }
    return poolingPath
  }

  private func dense(_ path: String) throws(LanguageModelError) -> DenseModule {
    let folder = folder.appending(path: path)
    guard let settings = try json(path + "/config.json") else {
      throw .noModel(.init(folder.path, expected: "config.json of a Dense module", found: "none in it"))
    }
    return try DenseModule(folder: folder, configuration: settings)
  }

  /// The names that earlier releases have for the modes, as flags.
  private static let flags = [
    ("pooling_mode_cls_token", "cls"), ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"), ("pooling_mode_lasttoken", "lasttoken"),
  ]

  private mutating func readPooling(_ settings: ConfigurationReader) throws(LanguageModelError) {
    try settings.expect("include_prompt", true)
    var modes: [String] = []
    if let named = settings.json["pooling_mode"], !named.isNull {
      modes =
        try named.kind == .array
        ? settings.strings("pooling_mode") ?? [] : [settings.string("pooling_mode") ?? ""]
    } else {
      for (flag, mode) in Self.flags where try settings.bool(flag) == true { modes.append(mode) }
    }
    switch modes {
    case ["cls"]: pooling = .first
    case ["mean"]: pooling = .mean
    case ["lasttoken"]: pooling = .last
    default:
      throw .unsupported(
        .init(
          settings.path, expected: "pooling by the mean, the first or the last token alone",
          found: modes.isEmpty ? "none of the known modes" : modes.prefix(8).joined(separator: ", ")))
    }
  }
}
