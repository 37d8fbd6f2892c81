import Foundation
import Trestle
import TrestleCommand

/// `trestle recommend`: asks a saved recommender.
struct Recommend: ProgramCommand {
  static let name = "recommend"
  static let summary = "Recommends items to a user, or to someone new who likes some."
  static var options: [CommandOption<Self>] {
    [
      .file("--recommender", "DIR", "what train has saved", \.recommender),
      .text("--user", "ID", "to whom to recommend", \.user),
      .texts("--likes", "TITLE", "what someone new likes: titles, the beginnings of titles, or ids", \.likes),
      .number("--count", "N", in: 1...100_000, "how many items", \.count),
      .number(
        "--reasons", "N", in: 0...100, "how many items of the user's are named that speak for each", \.reasons
      ),
      .texts("--only", "ID", "the items that may be recommended", \.only),
      .texts("--without", "ID", "items that may not be recommended", \.without),
      .file(
        "--new-items", "FILE",
        "items that came after the training, with their texts: a hybrid's language model reads them, and they are recommended like any other",
        \.newItems),
    ] + ColumnChoices.itemOptions.map { $0.part(\.columns) } + [
      .flag("--only-new", "only items of --new-items are recommended", \.onlyNew),
      .file("--model", "PATH", "where the hybrid's language model is, if it has moved", \.model),
      .flag("--again", "items that the user has had may come again", \.includesKnown),
      .flag("--json", "prints JSON", \.isJSON),
    ]
  }

  static let notes = """
    Popularity and NeuMF know nobody new: --likes is answered by what is popular, which is said. Every item is scored.
    """

  var recommender = URL(filePath: "trestle-output")
  var user: String?
  var likes: [String] = []
  var count = 10
  var reasons = 0
  var only: [String] = []
  var without: [String] = []
  var newItems: URL?
  var columns = ColumnChoices()
  var onlyNew = false
  var model: URL?
  var includesKnown = false
  var isJSON = false

  func run() throws {
    guard user == nil || likes.isEmpty else {
      throw UsageError("--user and --likes both say for whom: give one of them")
    }
    guard user != nil || !likes.isEmpty else {
      throw UsageError("either --user ID or --likes TITLE … is needed")
    }
    if newItems == nil {
      let names = [onlyNew ? "--only-new" : nil, model == nil ? nil : "--model"].compactMap { $0 }
      if let name = names.first { throw UsageError("\(name) needs --new-items FILE") }
    }
    let saved = try savedRecommender(recommender)
    let (model, new) = try newItems.map { try adding($0, to: saved) } ?? (saved.servable, [])
    let filter = ItemFilter(
      allowed: onlyNew ? Set(new) : only.isEmpty ? nil : Set(only), excluded: Set(without),
      includesKnown: includesKnown)
    if let user {
      let heading = try naming(user) { try model.heading(for: user) }
      try show(model.recommend(for: user, count: count, filter: filter, reasons: reasons), heading)
    } else {
      let liked = try likes.map { try model.catalogue.item(titled: $0) }
      let list = try model.recommend(
        liking: liked.map { model.catalogue.itemIDs[$0] }, count: count, filter: filter, reasons: reasons)
      try show(list, model.heading(liking: liked))
    }
  }

  /// The recommender with the items of a file that it does not have, and their ids.
  private func adding(_ file: URL, to saved: SavedRecommender) throws -> (any ServableRecommender, [String]) {
    guard case .hybrid(let hybrid) = saved, let reading = hybrid.reading else {
      throw UsageError(
        "--new-items needs a recommender whose language model reads: train --bridge BDLM makes one")
    }
    let dataset: Dataset
    do throws(DataError) { dataset = try Dataset(items: file, columns: columns) } catch {
      throw CommandDataError(error)
    }
    let items = NewItem.all(of: dataset, noun: reading.reader.noun).filter {
      hybrid.catalogue.itemIDs.index(of: $0.id) == nil
    }
    guard !items.isEmpty else {
      throw UsageError("\(file.relativePath): the recommender has all its items already")
    }
    let reader: ItemTextReader
    do {
      reader = try ItemTextReader(reading, model: model)
    } catch let error as ServingError {
      throw UsageError("\(error); --model PATH says where it is")
    }
    return (try hybrid.adding(items, reading: reader), items.map(\.id))
  }

  private func show(_ list: RecommendationList, _ heading: String) throws {
    if isJSON {
      let items = list.map { item -> JSONLiteral in
        [
          "id": .string(item.id), "title": .string(item.title), "score": .double(Double(item.score)),
          "reasons": .array(item.reasons.map { .string($0) }),
        ]
      }
      let answer: JSONLiteral = [
        "source": .string(list.source.rawValue), "note": list.note.map { .string($0) } ?? .null,
        "items": .array(items),
      ]
      return say(String(decoding: try answer.serialized(pretty: true), as: UTF8.self))
    }
    say(heading)
    let none =
      "nothing is left: the filters leave no item, or none that is new to them; --again allows the others"
    for line in list.lines(orNone: none) { say(line) }
  }
}

/// An id that no user has is what someone new has: the hint says what serves them.
func naming<Value>(_ user: String, _ body: () throws -> Value) throws -> Value {
  do {
    return try body()
  } catch let error as ServingError {
    guard case .unknownUser = error else { throw error }
    throw UsageError("\(error); --likes TITLE … recommends to someone new")
  }
}
