import Foundation
import TrestleFormats

extension Dataset {
  /// Reads Amazon reviews in JSON Lines, with the products' metadata.
  ///
  /// Both published forms are known: of 2018 (`reviewerID`, `asin`, `overall`, `unixReviewTime`; metadata by `asin`)
  /// and of 2023 (`user_id`, `parent_asin` or else `asin`, `rating`, `timestamp` in milliseconds, kept in seconds;
  /// metadata by `parent_asin`). The files of 2014 are not JSON and are refused.
  ///
  /// Of the metadata, title, categories (without the first, which all products of a file share) and description are
  /// kept, for products that have a review; of a product that is described twice, the first line counts.
  ///
  /// - Parameters:
  ///   - reviews: the file of reviews.
  ///   - metadata: the file of products.
  ///   - options: progress, and what to do with bad lines.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func amazon(reviews: URL, metadata: URL? = nil, options: ReadOptions = ReadOptions())
    throws(DataError) -> Dataset
  {
    var builder = InteractionBuilder()
    var report = ReadReport()
    var reader = try RecordReader(reviews, separator: ",", quotes: false, encoding: .utf8, options: options)
    try readRecords(&reader, options, &report, isJSON: true) {
      (reader: inout RecordReader) throws(DataError) in
      let review = try JSONLine(reader)
      let user = try review.text(["user_id", "reviewerID"])
      let item = try review.text(["parent_asin", "asin"])
      let rating = try review.number(["rating", "overall"])
      let isMilliseconds = review.has("timestamp")
      let time = try review.number(["timestamp", "unixReviewTime"])
      guard Float(rating).isFinite, abs(time) < 9e15 else {
        throw review.malformed("a rating and a time in range")
      }
      try builder.append(
        from: reader, user: user, item: item, rating: Float(rating),
        time: Int64((isMilliseconds ? time / 1000 : time).rounded(.down)))
    }
    var attributes = ItemAttributes(count: builder.itemIDs.count)
    if let metadata { try readProducts(metadata, options, builder.itemIDs, &attributes, &report) }
    return Dataset(
      name: reviews.deletingPathExtension().lastPathComponent, interactions: builder.build(),
      userIDs: builder.userIDs, itemIDs: builder.itemIDs, items: attributes, report: report)
  }

  private static func readProducts(
    _ file: URL, _ options: ReadOptions, _ ids: IDMap, _ attributes: inout ItemAttributes,
    _ report: inout ReadReport
  ) throws(DataError) {
    var reader = try RecordReader(file, separator: ",", quotes: false, encoding: .utf8, options: options)
    var seen = [Bool](repeating: false, count: ids.count)
    try readRecords(&reader, options, &report, isJSON: true) {
      (reader: inout RecordReader) throws(DataError) in
      let product = try JSONLine(reader)
      let id = try product.text(["parent_asin", "asin"])
      guard let item = ids.index(of: id), !seen[item] else { return }
      seen[item] = true
      attributes.titles[item] = try product.strings("title").joined(separator: " ")
      let categories = try product.strings("categories") + product.strings("category")
      attributes.genres[item] = Array(categories.dropFirst())
      attributes.texts[item] = try product.strings("description").joined(separator: " ")
    }
  }
}

/// The JSON object of a line.
private struct JSONLine {
  private let object: JSONValue
  private let path: String
  private let line: Int

  init(_ reader: RecordReader) throws(DataError) {
    path = reader.path
    line = reader.line
    do {
      object = try reader.withRecordBytes { (bytes) throws(FormatError) in
        try JSONValue(parsing: bytes, source: reader.path)
      }
    } catch {
      let details = error.details
      throw .malformed(
        path: reader.path, line: reader.line, column: 1, expected: details.expected,
        found: "\(details.found) (\(details.place))")
    }
    guard object.kind == .object else {
      throw malformed("a JSON object", found: "a JSON \(object.kind.rawValue)")
    }
  }

  func has(_ name: String) -> Bool { object[name].map { !$0.isNull } ?? false }

  /// The first of these members that exists, a string that is not empty.
  func text(_ names: [String]) throws(DataError) -> String {
    let text = try value(names) { (value) throws(FormatError) in try value.string() }
    guard !text.isEmpty else {
      throw malformed("text in \(names.joined(separator: " or "))", found: "nothing")
    }
    return text
  }

  /// The first of these members that exists, a number.
  func number(_ names: [String]) throws(DataError) -> Double {
    try value(names) { (value) throws(FormatError) in try value.double() }
  }

  /// A member that is a string, a list of strings, a list of lists of strings, null or missing.
  func strings(_ name: String) throws(DataError) -> [String] {
    guard let value = object[name] else { return [] }
    do {
      return try Self.flatten(value)
    } catch {
      throw malformed(error.details.expected + " in \(name)", found: error.details.found)
    }
  }

  func malformed(_ expected: String, found: String = "other values") -> DataError {
    .malformed(path: path, line: line, column: 1, expected: expected, found: found)
  }

  private static func flatten(_ value: JSONValue) throws(FormatError) -> [String] {
    switch value.kind {
    case .null: return []
    case .array:
      var strings: [String] = []
      for element in try value.array() { strings += try flatten(element) }
      return strings
    default: return [try value.string()]
    }
  }

  private func value<Value>(_ names: [String], _ read: (JSONValue) throws(FormatError) -> Value)
    throws(DataError)
    -> Value
  {
    for name in names {
      guard let member = object[name], !member.isNull else { continue }
      do {
        return try read(member)
      } catch {
        throw malformed(error.details.expected + " in \(name)", found: error.details.found)
      }
    }
    throw malformed("a member \(names.joined(separator: " or "))", found: "none")
  }
}
