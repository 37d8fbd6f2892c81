import Foundation
import TrestleFormats

/// A tokenizer from a model's files, and the chat template that came with it.
public struct PretrainedTokenizer: Sendable {
  /// The tokenizer.
  public var tokenizer: any Tokenizer
  /// The model's chat template as its files have it (Jinja), see ``JinjaTemplate``.
  public var chatTemplate: String?

  /// Puts a tokenizer and a template together.
  public init(tokenizer: any Tokenizer, chatTemplate: String? = nil) {
    self.tokenizer = tokenizer
    self.chatTemplate = chatTemplate
  }

  /// Reads a model's tokenizer from whatever is there: a Hugging Face folder, a `.gguf` file, or else a
  /// `tokenizer.json`.
  ///
  /// - Throws: ``TextError/invalid(path:place:expected:found:)``.
  public init(contentsOf url: URL) throws(TextError) {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
      try self.init(folder: url)
    } else if url.pathExtension.lowercased() == "gguf" {
      try self.init(gguf: try TextError.converting { () throws(FormatError) in try GGUFFile(url) })
    } else {
      try self.init(tokenizerJSON: url)
    }
  }

  /// Reads a Hugging Face folder: `tokenizer.json`, and what `tokenizer_config.json` and `chat_template.jinja`
  /// say, if they are there, about roles of tokens and the chat template.
  ///
  /// - Throws: ``TextError/invalid(path:place:expected:found:)``.
  public init(folder: URL) throws(TextError) {
    let configURL = folder.appending(path: "tokenizer_config.json")
    let templateURL = folder.appending(path: "chat_template.jinja")
    var config: JSONValue?
    if FileManager.default.fileExists(atPath: configURL.path) {
      config = try TextError.converting { () throws(FormatError) in try JSONValue(contentsOf: configURL) }
    }
    try self.init(tokenizerJSON: folder.appending(path: "tokenizer.json"), config: config)
    if FileManager.default.fileExists(atPath: templateURL.path) {
      let data = try TextError.converting { () throws(FormatError) in
        try [UInt8](contentsOf: templateURL, limit: Self.maximumTemplateSize)
      }
      guard let text = String(validating: data, as: UTF8.self)?.streamSafe else {
        throw .invalid(
          path: templateURL.path, place: "the file", expected: "text in UTF-8", found: "other bytes")
      }
      chatTemplate = text
    } else if let template = config?["chat_template"], template.kind == .string {
      chatTemplate = try TextError.converting { () throws(FormatError) in try template.string() }
    }
  }

  /// Reads a `tokenizer.json` alone. Which tokens begin, end and pad a sequence, that file does not say.
  ///
  /// - Throws: ``TextError/invalid(path:place:expected:found:)``.
  public init(tokenizerJSON url: URL) throws(TextError) {
    try self.init(tokenizerJSON: url, config: nil)
  }

  private init(tokenizerJSON url: URL, config: JSONValue?) throws(TextError) {
    let json = try TextError.converting { () throws(FormatError) in try JSONValue(contentsOf: url) }
    try self.init(json: json, config: config, path: url.path)
  }

  /// Reads the contents of a `tokenizer.json`, and of a `tokenizer_config.json` if there is one.
  ///
  /// - Parameters:
  ///   - json: the contents of `tokenizer.json`.
  ///   - config: the contents of `tokenizer_config.json`; `nil` if there is none.
  ///   - path: what errors call the file.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)``.
  public init(json: JSONValue, config: JSONValue? = nil, path: String = "tokenizer.json") throws(TextError) {
    tokenizer = try TokenizerFile(json, config: config, source: Source(path: path)).tokenizer()
  }

  private static let maximumTemplateSize = 1 << 20
}
