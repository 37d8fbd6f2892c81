import Foundation
import Trestle
import TrestleCommand

// Chat with a language model, or continue a text. What is generated goes to standard output, piece by piece; figures and
// errors go to standard error.

/// The program, with what its command line asks for.
struct TextGeneration: ProgramCommand {
  static let name = "text-generation"
  static let summary = "Chats with a language model, or continues a text."
  static var options: [CommandOption<Self>] {
    [
      .file(
        "--model", "PATH", "a GGUF file or a Hugging Face folder (SmolLM2-135M among the assets)", \.file),
      .text("--prompt", "TEXT", "what to say; read from standard input if absent", \.prompt),
      .number("--max-tokens", "N", in: 0...Int.max, "at most N new tokens", \.generation.maximumTokens),
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
      .choice("--arithmetic", "A", "the arithmetic of products", \.arithmetic),
      .choice("--storage", "S", "how weights are held", \.storage),
      .flag("--raw", "the prompt as it is, without the chat template", \.isRaw),
      .flag("--quiet", "the completion alone, no figures", \.isQuiet),
      .file("--assets", "DIR", "where fetched models lie", \.assets.folder),
    ]
  }

  var file: URL?
  var prompt: String?
  var generation = GenerationOptions()
  var arithmetic = Arithmetic.float32
  var storage = WeightStorage.asStored
  var isRaw = false
  var isQuiet = false
  var assets = Assets()

  func run() throws {
    let clock = ContinuousClock()
    let start = clock.now
    let url = try file ?? assets.smolLM2
    let model = try LanguageModels.load(url, storage: storage)
    model.arithmetic = arithmetic
    let pretrained = try PretrainedTokenizer(contentsOf: url)
    let loaded = clock.now
    let message = prompt ?? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    var options = generation
    let (ids, stops) = try pretrained.chat(message, isRaw: isRaw)
    options.stopTokens = stops

    var generator = try TextGenerator(model, tokenizer: pretrained.tokenizer, prompt: ids, options: options)
    let begun = clock.now
    var first: ContinuousClock.Instant?
    while let piece = generator.next() {
      if first == nil { first = clock.now }
      FileHandle.standardOutput.write(Data(piece.utf8))
    }
    FileHandle.standardOutput.write(Data("\n".utf8))
    guard !isQuiet else { return }
    let prefill = (first ?? clock.now) - begun
    let decode = clock.now - (first ?? clock.now)
    func rate(_ count: Int, _ time: Duration) -> String {
      let seconds = time / .seconds(1)
      return seconds > 0 ? String(format: "%.1f", Double(count) / seconds) : "-"
    }
    let figures =
      "load \((loaded - start).formatted(.units(allowed: [.milliseconds]))), "
      + "prompt \(ids.count) tokens at \(rate(ids.count, prefill)) tok/s, "
      + "answer \(generator.tokenCount) tokens at \(rate(max(generator.tokenCount - 1, 0), decode)) tok/s\n"
    FileHandle.standardError.write(Data(figures.utf8))
  }
}

Program.run(TextGeneration.self)
