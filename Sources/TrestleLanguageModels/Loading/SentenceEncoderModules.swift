import Foundation
import TrestleFormats

/// What the files of a sentence encoder say about pooling, normalisation and length.
///
/// `modules.json` lists the parts in order: a transformer, a pooling and, maybe, a division by the length. Any other part
/// would change the vectors and is refused. Without that file the folder is read as the first releases were: with
/// `1_Pooling/config.json` if it is there, and vectors of length 1.
struct SentenceEncoderModules {
  var pooling = SentenceEncoder.Pooling.mean
  var isNormalized = true
  var maximumLength: Int?
  var prompts: [String: String] = [:]

  init(folder: URL) throws(LanguageModelError) {
    func json(_ path: String) throws(LanguageModelError) -> ConfigurationReader? {
      let url = folder.appending(path: path)
      guard FileManager.default.fileExists(atPath: url.path) else { return nil }
      let value = try reading { () throws(FormatError) in try JSONValue(contentsOf: url) }
      return ConfigurationReader(json: value, path: url.path)
    }
    var poolingPath = "1_Pooling"
    if let modules = try json("modules.json") { poolingPath = try read(modules) }
    if let settings = try json(poolingPath + "/config.json") { try readPooling(settings) }
    if let settings = try json("sentence_bert_config.json"), let length = try settings.int("max_seq_length") {
      try RangeCheck(path: settings.path)("max_seq_length", length, in: 1...(1 << 24))
      maximumLength = length
    }
    if let settings = try json("config_sentence_transformers.json") { try readPrompts(settings) }
  }

  private mutating func readPrompts(_ settings: ConfigurationReader) throws(LanguageModelError) {
    guard let list = try settings.object("prompts") else { return }
    let names = try reading { () throws(FormatError) in Array(try list.json.object().keys.prefix(64)) }
    for name in names { prompts[name] = try list.string(name) }
  }

  /// Checks the list of parts; the path of the pooling's folder.
  private mutating func read(_ modules: ConfigurationReader) throws(LanguageModelError) -> String {
    var types: [String] = []
    var poolingPath = ""
    let list = try reading { () throws(FormatError) in Array(try modules.json.array()) }
    for (index, module) in list.enumerated() {
      let reader = ConfigurationReader(json: module, path: modules.path)
      let full = try reader.string("type") ?? ""
      let type = full.split(separator: ".").last.map(String.init) ?? ""
      let path = try reader.string("path") ?? ""
      let isKnown =
        switch index {
        case 0: type == "Transformer" && path.isEmpty
        case 1: type == "Pooling" && isPlainPath(path)
        case 2: type == "Normalize"
        default: false
        }
      guard isKnown else {
        throw .unsupported(
          .init(
            modules.path, at: "module \(index)",
            expected: "Transformer in this folder, Pooling and, maybe, Normalize",
            found: "\"\(full)\" in \"\(path)\""))
      }
      if index == 1 { poolingPath = path }
      types.append(type)
    }
    guard types.count >= 2 else {
      throw .unsupported(
        .init(
          modules.path, expected: "Transformer, Pooling and, maybe, Normalize",
          found: types.isEmpty ? "nothing" : types.joined(separator: ", ")))
    }
    isNormalized = types.count == 3
    return poolingPath
  }

  private mutating func readPooling(_ settings: ConfigurationReader) throws(LanguageModelError) {
    let modes = [
      "pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens",
      "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
    ]
    var chosen: [String] = []
    for mode in modes where try settings.bool(mode) == true { chosen.append(mode) }
    switch chosen {
    case ["pooling_mode_cls_token"]: pooling = .first
    case ["pooling_mode_mean_tokens"]: pooling = .mean
    case ["pooling_mode_lasttoken"]: pooling = .last
    default:
      throw .unsupported(
        .init(
          settings.path, expected: "pooling by the mean, the first or the last token alone",
          found: chosen.isEmpty ? "none of the known modes" : chosen.joined(separator: ", ")))
    }
  }
}
