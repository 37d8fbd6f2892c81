import CommandLineOptions
import Foundation
import Trestle

// Chat with a language model, or continue a text. What is generated goes to standard output, piece by piece; figures and
// errors go to standard error.

let help = """
  text-generation --prompt TEXT [options]

    --model PATH        a .gguf file, or a Hugging Face folder (SmolLM2-135M among the assets)
    --prompt TEXT       what to say; read from standard input if absent
    --max-tokens N      at most N new tokens (256)
    --temperature T     0 for the likeliest token always (0)
    --top-k N           choose among the N likeliest tokens (all)
    --top-p P           choose among the likeliest tokens of probability P together (1)
    --repetition-penalty R   (1)
    --seed N            where random choices come from (0)
    --arithmetic A      float32, bfloat16 or int8 (float32)
    --storage S         asStored, float32 or bfloat16 (asStored)
    --raw               the prompt as it is, without the chat template
    --quiet             the completion alone, no figures
    --assets DIR        where fetched models lie (.assets, or TRESTLE_ASSETS)
  """

/// What the command line asks for.
struct Request {
  var assets = Assets()
  var model: URL?
  var prompt: String?
  var options = GenerationOptions()
  var arithmetic = Arithmetic.float32
  var storage = WeightStorage.asStored
  var isRaw = false
  var isQuiet = false

  init() throws(UsageError) {
    var line = CommandLineOptions(help: help)
    while let option = line.next() {
      switch option {
      case "--model": model = try line.file()
      case "--prompt": prompt = try line.value()
      case "--max-tokens": options.maximumTokens = try line.number(in: 0...(.max))
      case "--temperature": options.sampling.temperature = try line.number(in: 0...100)
      case "--top-k": options.sampling.topK = try line.number(in: 0...(.max))
      case "--top-p": options.sampling.topP = try line.number(in: 0...1)
      case "--repetition-penalty": options.sampling.repetitionPenalty = try line.number(in: 0.01...100)
      case "--seed": options.seed = try line.number(in: 0...(.max))
      case "--arithmetic": arithmetic = try line.choice()
      case "--storage": storage = try line.choice()
      case "--raw": isRaw = true
      case "--quiet": isQuiet = true
      case "--assets": assets.folder = try line.file()
      default: throw line.unknown
      }
    }
  }
}

/// The prompt's tokens, and the tokens that end the answer.
func tokens(
  of prompt: String, _ pretrained: PretrainedTokenizer, isRaw: Bool
) throws -> (prompt: [Int32], stops: Set<Int32>) {
  let tokenizer = pretrained.tokenizer
  var stops = Set([tokenizer.specialTokens.end].compactMap { $0 })
  guard !isRaw, let text = pretrained.chatTemplate else {
    return (tokenizer.specialTokens.sequencePrefix + tokenizer.encode(prompt), stops)
  }
  let template = try ChatTemplate(recognizing: text)
  stops.formUnion(template.stopTokens.compactMap { tokenizer.specialTokens.id(named: $0) })
  return (try tokenizer.encode(template.prompt(for: [ChatMessage(role: .user, text: prompt)])), stops)
}

func generate(_ request: Request) throws {
  let clock = ContinuousClock()
  let start = clock.now
  let url = try request.model ?? request.assets.smolLM2
  let model = try LanguageModels.load(url, storage: request.storage)
  model.arithmetic = request.arithmetic
  let pretrained = try PretrainedTokenizer(contentsOf: url)
  let loaded = clock.now
  let prompt =
    request.prompt ?? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
  var options = request.options
  let (ids, stops) = try tokens(of: prompt, pretrained, isRaw: request.isRaw)
  options.stopTokens = stops

  var generator = try TextGenerator(model, tokenizer: pretrained.tokenizer, prompt: ids, options: options)
  let begun = clock.now
  var first: ContinuousClock.Instant?
  while let piece = generator.next() {
    if first == nil { first = clock.now }
    FileHandle.standardOutput.write(Data(piece.utf8))
  }
  FileHandle.standardOutput.write(Data("\n".utf8))
  guard !request.isQuiet else { return }
  let prefill = (first ?? clock.now) - begun
  let decode = clock.now - (first ?? clock.now)
  func rate(_ count: Int, _ time: Duration) -> String {
    let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
    return seconds > 0 ? String(format: "%.1f", Double(count) / seconds) : "-"
  }
  let figures =
    "load \((loaded - start).formatted(.units(allowed: [.milliseconds]))), "
    + "prompt \(ids.count) tokens at \(rate(ids.count, prefill)) tok/s, "
    + "answer \(generator.tokenCount) tokens at \(rate(max(generator.tokenCount - 1, 0), decode)) tok/s\n"
  FileHandle.standardError.write(Data(figures.utf8))
}

run("text-generation") { try generate(Request()) }
