import Foundation
import Trestle
import TrestleCommand

// Finds films that are alike by their texts, and recommends films that nobody has rated yet by nothing but their texts.

/// Prints the films whose texts are nearest to that of the film called `title`.
func printNeighbours(of title: String, _ items: ItemAttributes, _ vectors: Tensor) throws {
  let matches = items.titles.indices.filter { items.titles[$0].lowercased() == title.lowercased() }
  guard let item = matches.first else { throw UsageError("--title: no film is called '\(title)'") }
  // Unit vectors: inner products are cosines. The first is the film itself.
  let cosines = vectors[item].reshaped(to: [1, vectors.shape[1]]).matmul(vectors, transposingOther: true)
  let (values, indices) = cosines.topK(6)
  print("\nlike \(items.summary(of: item)):")
  for (cosine, other) in zip(values.floats, indices.scalars(as: Int32.self)) where Int(other) != item {
    print(String(format: "  %.2f  ", cosine) + items.summary(of: Int(other)))
  }
}

/// Ranks by the number of ratings in training. Cold items all have none: their order is drawn anew for every user, since
/// the order of the data set's numbers, by first appearance, would favour those that are often rated later.
func popularity(_ training: Interactions, seed: UInt64) -> some CatalogueScorer {
  let counts = training.itemCounts()
  return RowScorer(itemCount: counts.count) { user in
    var generator = RandomGenerator(seed: seed).split(UInt64(user))
    return counts.map { Float($0) + Float(generator.uniform()) / 2 }
  }
}

/// Each user's mean vector over the items in training, `[users, width]`: what the user's films are about.
func profiles(_ training: Interactions, _ vectors: Tensor) -> Tensor {
  let rows = vectors.gatheredRows(Tensor(training.items))
  return rows.scatterAddedRows(at: Tensor(training.users), rowCount: training.userCount).unitNormalized()
}

/// LightGCN's row for every item, guessed from its text by a map that is fitted on the items in training.
func mappedRows(_ recommender: Representations, _ training: Interactions, _ vectors: Tensor, _ seed: UInt64)
  -> Tensor
{
  let counts = training.itemCounts()
  let warm = Tensor(counts.indices.filter { counts[$0] > 0 }.map { Int32($0) })
  let (inputs, targets) = (vectors.gatheredRows(warm), recommender.items.gatheredRows(warm))
  var generator = RandomGenerator(seed: seed)
  let map = Linear(inputs: vectors.shape[1], outputs: targets.shape[1], using: &generator)
  let optimizer = AdamW(map.parameters, learningRate: 1e-2, weightDecay: 0.1)
  for _ in 0..<300 {
    let (_, gradients) = valueAndGradients(of: map.parameters) {
      Losses.meanSquaredError(map(inputs), targets)
    }
    optimizer.update(with: gradients)
  }
  return withoutGradients { map(vectors) }
}

/// The program, with what its command line asks for.
struct TextEmbeddings: ProgramCommand {
  static let name = "text-embeddings"
  static let summary =
    "Finds films that are alike by their texts, and recommends films that nobody has rated yet."
  static var options: [CommandOption<Self>] {
    [
      .texts("--title", "TEXT", "find films like this one (Toy Story if absent)", \.titles),
      .number(
        "--seed", "N", in: 0...UInt64.max, "which items are cold, and where random numbers come from", \.seed),
      .file("--assets", "DIR", "where fetched data and models lie", \.assets.folder),
    ]
  }

  var titles: [String] = []
  var seed: UInt64 = 0
  var assets = Assets()

  func run() throws {
    let data = try Dataset.recBole(at: assets.movieLens100K)
    let encoder = try SentenceEncoder(folder: assets.miniLM)
    let begun = ContinuousClock.now
    let vectors = encoder.encode((0..<data.itemCount).map { data.items.summary(of: $0) })
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    print(String(format: "%d texts encoded in %.1f s, vectors of %d", data.itemCount, seconds, encoder.width))
    for title in titles.isEmpty ? ["Toy Story"] : titles {
      try printNeighbours(of: title, data.items, vectors)
    }

    // A fifth of the items is taken out of training with all their interactions; half of them are the test.
    let split = try data.interactions.split(.coldItems(share: 0.2), seed: seed)
    let counts = split.test.itemCounts()
    let cold = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
    var generator = RandomGenerator(seed: seed)
    let recommender = LightGCN(training: split.training, using: &generator)
    var training = TrainingConfiguration()
    (training.epochs, training.learningRate, training.seed) = (60, 5e-3, seed)
    // Validation items are cold too, so there is nothing that could stop the training early.
    let trainer = try RecommenderTrainer(recommender, training: split.training, configuration: training)
    for _ in 0..<training.epochs { try trainer.trainEpoch() }
    let rows = recommender.embeddings()

    let scorers: [(String, any CatalogueScorer)] = [
      ("Popularity", popularity(split.training, seed: seed)),
      ("LightGCN", recommender.makeScorer()),
      (
        "text profiles",
        InnerProductScorer(Representations(users: profiles(split.training, vectors), items: vectors))
      ),
      (
        "LightGCN, rows from texts",
        InnerProductScorer(
          Representations(users: rows.users, items: mappedRows(rows, split.training, vectors, seed)))
      ),
    ]
    let users = UserItemMatrix(split.test).activeUsers()
    let shelf = CandidateLists(
      users: users, items: users.map { _ in cold }, description: "the cold items of the test")
    print(
      "\nranking \(cold.count) films without any rating in training, for \(users.count) users who rated some:"
    )
    print("                             NDCG@10  Hit@10")
    let evaluator = RankingEvaluator(split, candidates: shelf)
    for (name, scorer) in scorers {
      let result = try evaluator.evaluate(scorer)
      let values = [RankingMetric.ndcg(10), .hit(10)].map { String(format: "%.4f", result.mean($0) ?? 0) }
      print("  " + name.padding(toLength: 27, withPad: " ", startingAt: 0) + values.joined(separator: "   "))
    }
  }
}

Program.run(TextEmbeddings.self)
