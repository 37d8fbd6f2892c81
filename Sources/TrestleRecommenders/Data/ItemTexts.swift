/// A part of an item's text.
public enum ItemTextField: Sendable, Hashable, Codable {
  /// ``ItemAttributes/titles``.
  case title
  /// ``ItemAttributes/creators``, as "by …".
  case creator
  /// ``ItemAttributes/years``, in parentheses.
  case year
  /// ``ItemAttributes/genres``, as "Genres: …".
  case genres
  /// ``ItemAttributes/texts``.
  case text
  /// The column of ``ItemAttributes/details`` with this name, as "Name: …".
  case detail(String)
}

/// What a data set says of its items in words, one text per item.
///
/// A text reads "Noun: title by creator (year). Genres: a, b. Text. Publisher: c", without the parts that are unknown;
/// an item of which nothing is known has the empty text.
///
/// ```swift
/// let texts = ItemTexts(dataset: books, noun: "Book", fields: [.title, .creator, .year])
/// texts[0]  // "Book: Decision in Normandy by Carlo D'Este (1991)"
/// ```
public struct ItemTexts: Sendable, Equatable {
  /// The text of each item, `[itemCount]`.
  public let texts: [String]
  /// The hash of the texts in order: what was made of texts carries it, and is refused for others.
  public let hash: String
  /// What the items are called, "Movie"; empty if the texts do not say.
  public let noun: String
  /// The parts that were asked for.
  public let fields: [ItemTextField]

  /// Writes the texts of all items.
  ///
  /// - Parameters:
  ///   - dataset: the data set whose items are described.
  ///   - noun: what the items are called, in front of each text; empty for nothing.
  ///   - fields: what goes in, by default everything that is known. Title, creator and year come first whatever the
  ///     order here; the others follow in theirs. A detail that the data set does not have is left out.
  public init(dataset: Dataset, noun: String = "", fields: [ItemTextField]? = nil) {
    let items = dataset.items
    let fields =
      fields ?? [.title, .creator, .year, .genres, .text] + items.details.map { .detail($0.name) }
    let details = Dictionary(items.details.map { ($0.name, $0.values) }) { first, _ in first }
    self.init(
      texts: (0..<items.count).map { Self.text(of: $0, items, details, noun, fields) }, noun: noun,
      fields: fields)
  }

  /// Takes texts as they are, one per item.
  public init(texts: [String]) { self.init(texts: texts, noun: "", fields: []) }

  private init(texts: [String], noun: String, fields: [ItemTextField]) {
    self.texts = texts
    self.noun = noun
    self.fields = fields
    var hash = StableHash()
    hash.combine(texts.count)
    for text in texts { hash.combine(text) }
    self.hash = hash.hexadecimal
  }

  /// The number of items.
  public var count: Int { texts.count }

  /// The text of an item.
  ///
  /// - Precondition: `item` is in `0..<count`.
  public subscript(item: Int) -> String { texts[item] }

  private static func text(
    of item: Int, _ items: ItemAttributes, _ details: [String: [String]], _ noun: String,
    _ fields: [ItemTextField]
  ) -> String {
    var head: [String] = []
    if fields.contains(.title), !items.titles[item].isEmpty { head.append(items.titles[item]) }
    if fields.contains(.creator), !items.creators[item].isEmpty { head.append("by " + items.creators[item]) }
    if fields.contains(.year), let year = items.years[item] { head.append("(\(year))") }
    var sentences = head.isEmpty ? [] : [head.joined(separator: " ")]
    for field in fields {
      switch field {
      case .title, .creator, .year: continue
      case .genres where !items.genres[item].isEmpty:
        sentences.append("Genres: " + items.genres[item].joined(separator: ", "))
      case .text where !items.texts[item].isEmpty: sentences.append(items.texts[item])
      case .detail(let name):
        guard let value = details[name]?[item], !value.isEmpty else { continue }
        let label = name.replacing("_", with: " ")
        sentences.append(label.prefix(1).uppercased() + label.dropFirst() + ": " + value)
      case .genres, .text: continue
      }
    }
    guard !sentences.isEmpty else { return "" }
    return (noun.isEmpty ? "" : noun + ": ") + joined(sentences)
  }

  /// The sentences with one full stop between each two.
  private static func joined(_ sentences: [String]) -> String {
    sentences.dropFirst().reduce(sentences[0]) { text, sentence in
      text + (text.last.map { ".!?".contains($0) } == true ? " " : ". ") + sentence
    }
  }
}
