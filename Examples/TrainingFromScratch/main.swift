import Foundation
import Trestle
import TrestleCommand

// Trains a small recurrent network on the film titles of MovieLens-100K, character by character, and lets it write
// titles of its own.

/// Characters become vectors, a GRU reads them, and every state says how likely each next character is.
final class TitleModel: Module {
  let characters: Embedding
  let recurrence: GRU
  let output: Linear

  init(alphabet: Int, width: Int, using generator: inout RandomGenerator) {
    characters = Embedding(count: alphabet, width: width, deviation: 0.1, using: &generator)
    recurrence = GRU(inputs: width, hidden: width, using: &generator)
    output = Linear(inputs: width, outputs: alphabet, using: &generator)
  }

  /// The states after each character: `indices` is `[batch, time]`, the result `[batch, time, width]`.
  func states(_ indices: Tensor, after state: Tensor? = nil) -> Tensor {
    recurrence(characters(indices), initial: state)
  }

  /// The mean cross-entropy of every character given those before it.
  func loss(_ titles: ArraySlice<[Int32]>) -> Tensor {
    let length = titles.map(\.count).max() ?? 0
    // Titles have different lengths: they are filled up, and a label below 0 is masked.
    let inputs = titles.flatMap { [0] + $0 + [Int32](repeating: 0, count: length - $0.count) }
    let labels = titles.flatMap { $0 + [0] + [Int32](repeating: -1, count: length - $0.count) }
    let logits = output(states(Tensor(inputs, shape: [titles.count, length + 1])))
    let count = labels.count { $0 >= 0 }
    return logits.crossEntropy(labels: Tensor(labels)).sum() / Double(count)
  }

  /// Draws a title, one character after the other; index 0 begins and ends it.
  func write(temperature: Double, using generator: inout RandomGenerator) -> [Int32] {
    var (title, last, state): ([Int32], Int32, Tensor?) = ([], 0, nil)
    while title.count < 60 {
      let states = states(Tensor([last], shape: [1, 1]), after: state)
      let probabilities = (output(states) / temperature).softmax().floats
      var rest = Float(generator.uniform())
      last = Int32(probabilities.firstIndex { (rest -= $0, rest < 0).1 } ?? 0)
      if last == 0 { break }
      title.append(last)
      state = states
    }
    return title
  }
}

/// The program, with what its command line asks for.
struct TrainingFromScratch: ProgramCommand {
  static let name = "training-from-scratch"
  static let summary = "Trains a network on film titles and lets it write titles of its own."
  static var options: [CommandOption<Self>] {
    [
      .number("--epochs", "N", in: 1...10_000, "how often every title is read", \.epochs),
      .number("--count", "N", in: 0...1000, "how many titles to write", \.count),
      .number("--seed", "N", in: 0...UInt64.max, "where random numbers come from", \.seed),
      .file("--output", "FILE", "where the trained network is saved", \.file),
      .file("--assets", "DIR", "where fetched data and models lie", \.assets.folder),
    ]
  }

  var epochs = 15
  var count = 10
  var seed: UInt64 = 0
  var file = URL(filePath: "title-model.safetensors")
  var assets = Assets()

  func run() throws {
    // The data: every title as indices into the alphabet; a tenth is kept for validation.
    let known = try Dataset.recBole(at: assets.movieLens100K).items.titles.filter { !$0.isEmpty }
    let alphabet = Set(known.joined()).sorted()
    let indices = Dictionary(uniqueKeysWithValues: zip(alphabet, Int32(1)...))
    var generator = RandomGenerator(seed: seed)
    var titles = known.map { $0.compactMap { indices[$0] } }
    generator.shuffle(&titles)
    let validation = titles.prefix(titles.count / 10)
    var training = Array(titles.dropFirst(validation.count))
    print(
      "\(training.count) titles to train on, \(validation.count) for validation, \(alphabet.count) characters"
    )

    // The network and its training.
    let model = TitleModel(alphabet: alphabet.count + 1, width: 128, using: &generator)
    print("\(model.parameters.map(\.shape.elementCount).reduce(0, +)) parameters")
    let optimizer = Adam(model.parameters, learningRate: 5e-3)
    let batchSize = 32
    let steps = (training.count + batchSize - 1) / batchSize
    optimizer.schedule = .cosine(warmup: 20, total: epochs * steps)
    optimizer.maximumNorm = 1
    var best = (loss: Double.infinity, epoch: 0)
    for epoch in 1...epochs {
      generator.shuffle(&training)
      var total = 0.0
      for start in stride(from: 0, to: training.count, by: batchSize) {
        let batch = training[start..<min(start + batchSize, training.count)]
        let (loss, gradients) = valueAndGradients(of: model.parameters) { model.loss(batch) }
        optimizer.update(with: gradients)
        total += loss.item
      }
      let validationLoss = model.loss(validation).item
      // The best state is kept on disk and taken back at the end.
      if validationLoss < best.loss {
        best = (validationLoss, epoch)
        try model.save(to: file)
      }
      if epoch == 1 || epoch % 5 == 0 || epoch == epochs {
        print(
          String(
            format: "epoch %d: loss %.3f, on validation %.3f", epoch, total / Double(steps), validationLoss))
      }
    }

    try model.load(from: SafetensorsFile(file))
    print(
      String(format: "best on validation: %.3f after epoch %d, saved as ", best.loss, best.epoch) + file.path)
    for _ in 0..<count {
      let title = String(model.write(temperature: 0.7, using: &generator).map { alphabet[Int($0) - 1] })
      print("  " + title + (known.contains(title) ? "  (exists)" : ""))
    }
  }
}

Program.run(TrainingFromScratch.self)
