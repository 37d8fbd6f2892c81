import Foundation
import Trestle

// Chat with a language model, or continue a text. What is generated goes to standard output, piece by piece; figures and
// errors go to standard error.

let usage = """
  text-generation --model PATH --prompt TEXT [options]

    --model PATH        a .gguf file, or a Hugging Face folder
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
  """

/// What the command line asks for.
struct Request {
  var model = ""
  var prompt: String?
  var options = GenerationOptions()
  var arithmetic = Arithmetic.float32
  var storage = WeightStorage.asStored
  var isRaw = false
  var isQuiet = false

  init(_ arguments: [String]) throws(RequestError) {
    var rest = arguments[...]
    func value(of option: String) throws(RequestError) -> String {
      guard let value = rest.popFirst() else { throw RequestError("\(option) needs a value") }
      return value
    }
    func number<Number: LosslessStringConvertible>(
      _ option: String, _ type: Number.Type
    ) throws(RequestError) -> Number {
      let text = try value(of: option)
      guard let number = Number(text) else { throw RequestError("\(option): \"\(text)\" is no number") }
      return number
    }
    func choice<Choice: RawRepresentable & CaseIterable>(
      _ option: String, _ type: Choice.Type
    ) throws(RequestError) -> Choice where Choice.RawValue == String {
      let text = try value(of: option)
      guard let choice = Choice(rawValue: text) else {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        throw RequestError("\(option): \"\(text)\" is none of \(names)")
      }
      return choice
    }
    while let option = rest.popFirst() {
      switch option {
      case "--model": model = try value(of: option)
      case "--prompt": prompt = try value(of: option)
      case "--max-tokens":
        options.maximumTokens = try number(option, Int.self)
        guard options.maximumTokens >= 0 else { throw RequestError("--max-tokens: a negative number") }
      case "--temperature": options.sampling.temperature = try number(option, Double.self)
      case "--top-k": options.sampling.topK = try number(option, Int.self)
      case "--top-p": options.sampling.topP = try number(option, Double.self)
      case "--repetition-penalty": options.sampling.repetitionPenalty = try number(option, Double.self)
      case "--seed": options.seed = try number(option, UInt64.self)
      case "--arithmetic": arithmetic = try choice(option, Arithmetic.self)
      case "--storage": storage = try choice(option, WeightStorage.self)
      case "--raw": isRaw = true
      case "--quiet": isQuiet = true
      case "--help", "-h":
        print(usage)
        exit(0)
      default: throw RequestError("unknown option \"\(option)\"; --help lists them")
      }
    }
    if model.isEmpty { throw RequestError("--model is missing; --help lists the options") }
  }
}

/// A command line that makes no sense.
struct RequestError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
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

func run(_ request: Request) async throws {
  let clock = ContinuousClock()
  let start = clock.now
  let url = URL(filePath: request.model)
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

do {
  try await run(try Request(Array(CommandLine.arguments.dropFirst())))
} catch {
  FileHandle.standardError.write(Data("text-generation: \(error)\n".utf8))
  exit(1)
}
