import Foundation
import Trestle
import TrestleCommand

// Teaches SmolLM2-135M to name a film's genres in MovieLens' words, by LoRA, and saves the adapters as PEFT does.

/// A question with its answer, both as tokens.
struct Example {
  let question: [Int32]
  let answer: [Int32]
  let genres: [String]
  let title: String

  init(_ items: ItemAttributes, _ item: Int, _ tokenizer: any Tokenizer) {
    title = items.years[item].map { "\(items.titles[item]) (\($0))" } ?? items.titles[item]
    genres = items.genres[item]
    question = tokenizer.encode("Film: \(title)\nGenres:")
    answer = tokenizer.encode(" " + genres.joined(separator: ", ") + "\n", at: .afterText)
  }
}

extension LanguageModel {
  /// The mean cross-entropy of the answers' tokens alone; the questions are only read.
  func answerLoss(_ examples: some Collection<Example>) -> Tensor {
    var rows: [Int] = []
    var start = 0
    for example in examples {
      // The state at each token says what comes next: the last of the question is the first that counts.
      rows +=
        (start + example.question.count - 1)..<(start + example.question.count + example.answer.count - 1)
      start += example.question.count + example.answer.count - 1
    }
    let states = hiddenStates(tokens: examples.map { $0.question + $0.answer.dropLast() })
    return logits(states.rows(rows)).crossEntropy(labels: Tensor(examples.flatMap(\.answer))).mean()
  }
}

/// The model with its tokenizer; products are in bfloat16 where its weights are.
func load(_ url: URL, _ storage: WeightStorage) throws -> LoadedModel {
  let loaded = try LoadedModel(contentsOf: url, storage: storage)
  if storage == .bfloat16 { loaded.model.arithmetic = .bfloat16 }
  return loaded
}

/// What the model answers: its likeliest tokens up to the end of the line.
func answer(_ example: Example, _ model: any LanguageModel, _ tokenizer: any Tokenizer) throws -> String {
  var options = GenerationOptions(maximumTokens: 16)
  options.stopSequences = ["\n"]
  var text = try TextGenerator(model, tokenizer: tokenizer, prompt: example.question, options: options)
  var answer = ""
  while let piece = text.next() { answer += piece }
  return answer.trimmingCharacters(in: .whitespacesAndNewlines)
}

/// Prints how well the model names the genres of films that it was not trained on; the overlap is the number of genres
/// in both sets over that in either.
func report(
  _ label: String, _ examples: ArraySlice<Example>, _ model: any LanguageModel, _ tokenizer: any Tokenizer
) throws {
  let answers = try examples.map { try answer($0, model, tokenizer) }
  let overlaps = zip(examples, answers).map { example, answer in
    let named = Set(answer.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
    return Double(named.intersection(example.genres).count) / Double(named.union(example.genres).count)
  }
  let loss = withoutGradients { model.answerLoss(examples).item }
  print(
    String(
      format: "\n%@: on %d films it has not seen, loss %.3f; its genres and the film's overlap by %.2f",
      label,
      examples.count, loss, overlaps.reduce(0, +) / Double(max(1, examples.count))))
  for (example, answer) in zip(examples, answers).prefix(5) {
    print("  \(example.title)\n    says \(answer)\n    is   \(example.genres.joined(separator: ", "))")
  }
}

/// The program, with what its command line asks for.
struct LoRAFineTuning: ProgramCommand {
  static let name = "lora-fine-tuning"
  static let summary = "Teaches a language model to name a film's genres, by LoRA."
  static var options: [CommandOption<Self>] {
    [
      .number(
        "--films", "N", in: 1...Int.max, "at most N films to train on, and to test on (all, and 100)", \.limit
      ),
      .number("--epochs", "N", in: 1...1000, "how often every film is read", \.epochs),
      .number("--rank", "N", in: 1...512, "the rank of the adapters", \.rank),
      .number("--seed", "N", in: 0...UInt64.max, "where random numbers come from", \.seed),
      .file("--output", "DIR", "the folder of the adapters", \.output),
      .file(
        "--model", "PATH", "a GGUF file or a Hugging Face folder (SmolLM2-135M among the assets)", \.file),
      .choice("--storage", "S", "how weights are held; asStored leaves a file's blocks quantised", \.storage),
      .file("--assets", "DIR", "where fetched data and models lie", \.assets.folder),
    ]
  }

  var limit: Int?
  var epochs = 1
  var rank = 8
  var seed: UInt64 = 0
  var output = URL(filePath: "film-genres-adapter")
  var file: URL?
  var storage = WeightStorage.bfloat16
  var assets = Assets()

  func run() throws {
    let films = limit ?? .max
    // Frozen weights in bfloat16 take half the memory, a file's blocks less; the adapters are float32.
    let url = try file ?? assets.smolLM2
    let items = try Dataset.recBole(at: assets.movieLens100K).items
    let loaded = try load(url, storage)
    let (model, tokenizer) = (loaded.model, loaded.tokenizer)
    var generator = RandomGenerator(seed: seed)
    let known = (0..<items.count).filter { !items.titles[$0].isEmpty && !items.genres[$0].isEmpty }
    var examples = known.map { Example(items, $0, tokenizer) }
    generator.shuffle(&examples)
    let heldOut = examples.prefix(min(100, films))
    var training = Array(examples.dropFirst(100).prefix(films))
    try report("Before", heldOut, model, tokenizer)

    let adapters = try LoRA(rank: rank, alpha: Double(2 * rank)).load(into: model, using: generator)
    let count = adapters.parameters.map(\.shape.elementCount).reduce(0, +)
    print("\ntraining \(count) parameters on \(training.count) films")
    let batchSize = 16
    let steps = (training.count + batchSize - 1) / batchSize
    let optimizer = AdamW(adapters.parameters, learningRate: 2e-3)
    optimizer.schedule = .cosine(warmup: 10, total: epochs * steps)
    optimizer.maximumNorm = 1
    for epoch in 1...epochs {
      generator.shuffle(&training)
      var total = 0.0
      let begun = ContinuousClock.now
      for start in stride(from: 0, to: training.count, by: batchSize) {
        let batch = training[start..<min(start + batchSize, training.count)]
        let (loss, gradients) = valueAndGradients(of: adapters.parameters) { model.answerLoss(batch) }
        optimizer.update(with: gradients)
        total += loss.item
      }
      let seconds = (ContinuousClock.now - begun) / .seconds(1)
      print(String(format: "epoch %d: loss %.3f, %.0f s", epoch, total / Double(steps), seconds))
    }
    try report("After", heldOut, model, tokenizer)

    // What was saved is read back into a fresh model: it answers as the one that was trained.
    try adapters.save(to: output, baseModel: url.lastPathComponent)
    let fresh = try load(url, storage).model
    _ = try LoRAAdapters.load(from: output, into: fresh)
    let same = try heldOut.prefix(20).allSatisfy {
      try answer($0, fresh, tokenizer) == answer($0, model, tokenizer)
    }
    print(
      "\nadapters saved in \(output.path); read into a fresh model, they give "
        + (same ? "the same answers" : "other answers"))
  }
}

Program.run(LoRAFineTuning.self)
