import Foundation
import Trestle
import TrestleCommand

/// `trestle generate`: a language model's answer, piece by piece.
struct Generate: ProgramCommand {
  static let name = "generate"
  static let summary = "Lets a language model answer a message or continue a text."
  static var options: [CommandOption<Self>] {
    [
      .file("--model", "PATH", "a GGUF file or a Hugging Face folder", \.model),
      .text("--prompt", "TEXT", "what to say; read from standard input if absent", \.prompt),
      .number("--max-tokens", "N", in: 0...Int.max, "the most new tokens", \.generation.maximumTokens),
      .number(
        "--temperature", "T", in: 0...100, "0 for the likeliest token always",
        \.generation.sampling.temperature),
      .number(
        "--top-p", "P", in: 0...1, "choose among the likeliest tokens of probability P",
        \.generation.sampling.topP),
      .number("--seed", "N", in: 0...UInt64.max, "where random choices come from", \.generation.seed),
      .number(
        "--prompt-lookup", "N", in: 0...64,
        "guesses N tokens ahead from what stands before, for texts that repeat themselves",
        \.generation.promptLookup),
      .flag("--raw", "the prompt as it is, without the chat template", \.isRaw),
    ]
  }

  var model: URL?
  var prompt: String?
  var generation = GenerationOptions()
  var isRaw = false

  func run() throws {
    guard let model else { throw UsageError("--model PATH is needed: a GGUF file or a Hugging Face folder") }
    let loaded = try LoadedModel(contentsOf: languageModel(model))
    let text = prompt ?? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    let chat = try loaded.pretrainedTokenizer.chat(text, isRaw: isRaw)
    var options = generation
    options.stopTokens = chat.stopTokens
    var generator = try TextGenerator(
      loaded.model, tokenizer: loaded.tokenizer, prompt: chat.prompt, options: options)
    while let piece = generator.next() { FileHandle.standardOutput.write(Data(piece.utf8)) }
    FileHandle.standardOutput.write(Data("\n".utf8))
  }
}
