import Foundation
import Trestle
import TrestleCommand

/// `trestle generate`: a language model's answer, piece by piece.
struct Generate: ProgramCommand {
  static let name = "generate"
  static let summary = "Lets a language model answer a message or continue a text."
  static var options: [CommandOption<Self>] {
    [
      .file("--model", "PATH", "a GGUF file or a Hugging Face folder (SmolLM2 if absent)", \.model),
      .text("--prompt", "TEXT", "what to say; read from standard input if absent", \.prompt),
      .number("--max-tokens", "N", in: 0...Int.max, "the most new tokens", \.generation.maximumTokens),
      .number(
        "--temperature", "T", in: 0...100, "0 for the likeliest token always",
        \.generation.sampling.temperature),
      .number(
        "--top-k", "N", in: 0...Int.max, "choose among the N likeliest tokens; 0 for all",
        \.generation.sampling.topK),
      .number(
        "--top-p", "P", in: 0...1, "choose among the likeliest tokens of probability P together",
        \.generation.sampling.topP),
      .number(
        "--repetition-penalty", "R", in: 0.01...100, "above 1 makes tokens that came before less likely",
        \.generation.sampling.repetitionPenalty),
      .number("--seed", "N", in: 0...UInt64.max, "where random choices come from", \.generation.seed),
      .number(
        "--prompt-lookup", "N", in: 0...64,
        "guesses N tokens ahead from what stands before, for texts that repeat themselves",
        \.generation.promptLookup),
      .choice("--arithmetic", "A", "the arithmetic of products", \.arithmetic),
      .choice("--storage", "S", "how weights are held", \.storage),
      .flag("--raw", "the prompt as it is, without the chat template", \.isRaw),
      .flag("--quiet", "the answer alone, no figures", \.isQuiet),
    ]
  }

  var model: URL?
  var prompt: String?
  var generation = GenerationOptions()
  var arithmetic = Arithmetic.float32
  var storage = WeightStorage.asStored
  var isRaw = false
  var isQuiet = false

  func run() throws {
    var figures = GenerationFigures()
    let loaded = try LoadedModel(contentsOf: languageModel(model), storage: storage)
    loaded.model.arithmetic = arithmetic
    figures.noteLoaded()
    let text = prompt ?? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    let chat = try loaded.pretrainedTokenizer.chat(text, isRaw: isRaw)
    var options = generation
    options.stopTokens = chat.stopTokens
    var generator = try TextGenerator(
      loaded.model, tokenizer: loaded.tokenizer, prompt: chat.prompt, options: options)
    figures.noteBegun()
    while let piece = generator.next() {
      figures.notePiece()
      FileHandle.standardOutput.write(Data(piece.utf8))
    }
    FileHandle.standardOutput.write(Data("\n".utf8))
    if !isQuiet { figures.report(promptCount: chat.prompt.count, tokenCount: generator.tokenCount) }
  }
}
