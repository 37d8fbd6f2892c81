import Foundation
import Trestle
import TrestleCommand

/// `trestle inspect`: what a file or folder holds.
struct Inspect: ProgramCommand {
  static let name = "inspect"
  static let summary = "Says what a GGUF, safetensors, tokenizer or data file, or a saved recommender, holds."
  static var options: [CommandOption<Self>] {
    [
      .file("FILE", "FILE", "the file or folder", \.file),
      .number("--tensors", "N", in: 0...1_000_000, "how many tensors are listed", \.tensors),
    ] + ColumnChoices.options.map { $0.part(\.columns) }
  }

  var file: URL?
  var tensors = 20
  var columns = ColumnChoices()

  func run() throws {
    guard let file else { throw UsageError("expected a file or folder; inspect --help says which") }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder) else {
      throw UsageError("\(file.relativePath): no such file")
    }
    if isFolder.boolValue { return try inspect(folder: file) }
    if try Self.beginning(of: file) == Data("GGUF".utf8) {
      try inspect(GGUFFile(file))
    } else if file.pathExtension == "safetensors" {
      try inspect(SafetensorsFile(file))
    } else if file.lastPathComponent == "tokenizer.json" {
      try inspect(PretrainedTokenizer(tokenizerJSON: file))
    } else {
      try inspect(data: file)
    }
  }

  /// The first four bytes of a file, which is no pipe: that would be waited for.
  private static func beginning(of file: URL) throws -> Data {
    switch openRegularFile(file.path) {
    case .refused(let reason):
      throw FormatError.cannotRead(.init(file.path, expected: "a readable regular file", found: reason))
    case .opened(let descriptor, _):
      return try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).read(upToCount: 4) ?? Data()
    }
  }

  private func inspect(folder: URL) throws {
    func has(_ name: String) -> Bool {
      FileManager.default.fileExists(atPath: folder.appending(path: name).path)
    }
    // A folder with a part of a recommender is one, and is told what it lacks.
    if has("manifest.json") || has("catalogue.json") {
      switch try SavedRecommender(contentsOf: folder) {
      case .fitted(let model): show(model)
      case .hybrid(let hybrid): show(hybrid)
      }
    } else if has("config.json") {
      let configuration = try JSONValue(contentsOf: folder.appending(path: "config.json"))
      show([("language model", "a Hugging Face folder")])
      for key in ["model_type", "hidden_size", "num_hidden_layers", "vocab_size"] {
        if let value = configuration[key],
          let text = (try? value.string()) ?? (try? value.int()).map({ "\($0)" })
        {
          show([(key, text)])
        }
      }
    } else {
      try inspect(data: folder)
    }
  }

  private func show(_ model: FittedRecommender) {
    show(
      [
        ("recommender", model.card.model), ("data set", model.card.dataset),
        ("users", "\(model.userCount)"),
        ("items", "\(model.itemCount)"), ("fitted on", "\(model.card.trainingCount) interactions"),
        ("vocabulary", model.card.vocabularyHash),
      ] + sorted(model.card.settings))
  }

  private func show(_ hybrid: HybridRecommender) {
    let sides = [hybrid.domain == nil ? nil : "domain", hybrid.language == nil ? nil : "language"]
    show([
      ("hybrid", sides.compactMap { $0 }.joined(separator: " and ")),
      ("users", "\(hybrid.vocabulary.userCount)"),
      ("items", "\(hybrid.vocabulary.itemCount)"), ("vocabulary", hybrid.vocabulary.hash),
      ("split", hybrid.splitHash),
    ])
    if let reader = hybrid.reading?.reader {
      show([
        ("language model", reader.name), ("its file", reader.path), ("layer", "\(reader.layer)"),
        ("noun", reader.noun.isEmpty ? "none" : reader.noun),
      ])
    }
    guard let card = hybrid.card else { return }
    show([("data set", card.dataset)] + sorted(card.settings))
    guard let domain = card.domain else { return }
    show([("recommender", domain.model), ("fitted on", "\(domain.trainingCount) interactions")])
    show(sorted(domain.settings))
  }

  private func inspect(data: URL) throws {
    do throws(DataError) {
      let dataset = try Dataset(contentsOf: data, columns: columns)
      for finding in dataset.report?.findings ?? [] { say(printable(finding)) }
      let rows = dataset.interactions
      show([
        ("users", "\(rows.userCount)"), ("items", "\(rows.itemCount)"), ("interactions", "\(rows.count)"),
      ])
      if rows.count > 1 && rows.userCount == rows.count {
        say("no user occurs twice: if the file describes items, train takes it as --items")
      }
    } catch {
      throw CommandDataError(error)
    }
  }

  private func inspect(_ file: GGUFFile) {
    show([
      ("format", "GGUF \(file.version)"), ("tensors", "\(file.names.count)"),
      ("keys", "\(file.metadata.count)"),
    ])
    for key in file.metadata.keys {
      if let text = try? file.metadata.string(key) {
        show([(key, String(text.prefix(80)))])
      } else if let number = try? file.metadata.int(key) {
        show([(key, "\(number)")])
      }
    }
    for name in file.names.prefix(tensors) {
      if let tensor = file.tensors[name] { show([(name, "\(tensor.type) \(tensor.shape)")]) }
    }
    sayMore(file.names.count)
  }

  private func inspect(_ file: SafetensorsFile) {
    show([("format", "safetensors"), ("tensors", "\(file.names.count)")])
    show(file.metadata.sorted { $0.key < $1.key }.map { ($0.key, String($0.value.prefix(80))) })
    for name in file.names.prefix(tensors) {
      if let entry = file.entries[name] { show([(name, "\(entry.type) \(entry.shape)")]) }
    }
    sayMore(file.names.count)
  }

  private func inspect(_ pretrained: PretrainedTokenizer) {
    let tokenizer = pretrained.tokenizer
    show([
      ("format", "a tokenizer"), ("tokens", "\(tokenizer.vocabularySize)"),
      ("special tokens", "\(tokenizer.specialTokens.ids.count)"),
      ("chat template", pretrained.chatTemplate == nil ? "none" : "there is one"),
    ])
  }

  private func sorted(_ settings: [String: String]) -> [(String, String)] {
    settings.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private func show(_ rows: [(String, String)]) {
    for (key, value) in rows { say(printable("\(key): \(value)")) }
  }

  private func sayMore(_ count: Int) {
    if count > tensors { say("… and \(count - tensors) more; --tensors N lists more") }
  }
}
