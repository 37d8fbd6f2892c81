import TrestleNN
import TrestleText

extension FeatureTable {
  /// Adds a column of texts: a text counts as the mean of its words' vectors.
  ///
  /// Words are in lower case and without accents, as BERT's uncased models read them, and end at whatever is neither letter nor digit;
  /// Chinese characters are words of their own. A word has one of `buckets` rows by its hash, so that nothing is learnt
  /// of the vocabulary, and words of later texts have rows, too. Few words share one where there are several times as many rows.
  ///
  /// Source: Weinberger et al., *Feature Hashing for Large Scale Multitask Learning* (2009).
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - texts: one text a row, which may be empty.
  ///   - buckets: the number of rows; a given schema has its own.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the values do not fit, the schema has no such column, or
  ///   there is no bucket or more than 2³¹ − 1.
  public mutating func addTexts(
    _ name: String, _ texts: [String], buckets: Int = 4096
  ) throws(DataError) {
    try requireRows(texts.count, name)
    guard TextWords.isBucketCount(buckets) else {
      throw Self.fault(name, "from 1 to 2³¹ − 1 buckets", "\(buckets)")
    }
    try add(name, found: "texts") {
      .text(buckets: buckets)
    } column: { kind in
      guard case .text(let buckets) = kind else { return nil }
      let words = TextWords(buckets: buckets)
      var (entries, starts) = ([Int32](), [0])
      for text in texts {
        entries += words.rows(of: text)
        starts.append(entries.count)
      }
      return .lists(entries: entries, starts: starts)
    }
  }
}

/// The words of texts, as rows of a table.
struct TextWords {
  private let hash: KeyHash
  private let normalizer = BertNormalizer()

  init(buckets: Int) { hash = KeyHash(rowCount: buckets) }

  static func isBucketCount(_ count: Int) -> Bool { (1...Int(Int32.max)).contains(count) }

  /// The rows of a text's words, in their order.
  func rows(of text: String) -> [Int32] {
    normalizer.normalized(text).split { !$0.isLetter && !$0.isNumber }.map { word in
      var key = StableHash()
      key.combine(bytes: Array(word.utf8))
      return hash.row(of: Int64(bitPattern: key.firstHalf))
    }
  }
}
