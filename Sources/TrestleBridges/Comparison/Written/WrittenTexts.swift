import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// What a language model is asked to write about each of some subjects.
public struct WritingRequest: Codable, Sendable, Hashable {
  /// What stands before a subject.
  public var opening: String
  /// What stands after it, and is gone on from.
  public var closing: String
  /// The most tokens of what is written.
  public var tokens: Int

  /// A request.
  public init(opening: String, closing: String, tokens: Int = 24) {
    (self.opening, self.closing, self.tokens) = (opening, closing, tokens)
  }

  /// What an item is like, after its text.
  public static let item = WritingRequest(opening: "", closing: "\nDescription:")
  /// What a user likes, after the names of some items.
  public static let user = WritingRequest(
    opening: "Someone likes these: ", closing: "\nTheir taste in a few words:")
}

/// A language model that writes: how it spells, and who it is.
public struct TextWriter {
  /// The model.
  public let model: any LanguageModel
  /// Tells the model from others: a hash of its weights.
  public let identity: String
  /// The model's tokens of a text.
  public let encode: (String) -> [Int32]
  /// The text of tokens.
  public let decode: ([Int32]) -> String
  /// Whether a token ends what is written; a line end does in any case.
  public let isEnd: (Int32) -> Bool
  /// How many texts are written at a time.
  public var batchSize = 32

  /// A writer.
  public init(
    _ model: any LanguageModel, identity: String, encode: @escaping (String) -> [Int32],
    decode: @escaping ([Int32]) -> String, isEnd: @escaping (Int32) -> Bool
  ) {
    self.model = model
    self.identity = identity
    self.encode = encode
    self.decode = decode
    self.isEnd = isEnd
  }

  /// What the model writes after prompts, each its likeliest next token again and again, up to a line end.
  ///
  /// - Parameters:
  ///   - prompts: tokens, at least one of each.
  ///   - tokens: the most that are written after each.
  public func continuations(of prompts: [[Int32]], tokens: Int) -> [[Int32]] {
    guard !prompts.isEmpty && tokens > 0 else { return prompts.map { _ in [] } }
    precondition(prompts.allSatisfy { !$0.isEmpty }, "TextWriter: a prompt is empty")
    let lineEnds = Set(encode("\n").prefix(1))
    return withoutGradients {
      let cache = KeyValueCache(layerCount: model.layerCount, sequenceCount: prompts.count)
      let whole = PackedSequences(lengths: prompts.map(\.count))
      var states = model.hiddenStates(model.embed(prompts.flatMap { $0 }), sequences: whole, cache: cache)
        .rows(whole.lastRows)
      var written = prompts.map { _ in [Int32]() }
      var hasEnded = prompts.map { _ in false }
      for step in 1...tokens {
        let next: [Int32] = model.logits(states).argmax().scalars()
        for (place, token) in next.enumerated() where !hasEnded[place] {
          if lineEnds.contains(token) || isEnd(token) {
            hasEnded[place] = true
          } else {
            written[place].append(token)
          }
        }
        if step == tokens || hasEnded.allSatisfy({ $0 }) { break }
        states = model.hiddenStates(
          model.embed(next), sequences: PackedSequences(lengths: next.map { _ in 1 }), cache: cache)
      }
      return written
    }
  }
}

/// Texts that a language model has written, one for each subject, kept in a file so that each is written once.
///
/// The file is JSON lines: what the texts are of, then one text a line. It carries the hashes of the split, the model and the
/// subjects, and the request; a file of others is refused.
public struct WrittenTexts: Sendable, Equatable {
  /// What was written about each subject.
  public let texts: [String]

  private struct Header: Codable, Equatable {
    var format = 1
    var split: String
    var model: String
    var subjects: String
    var request: WritingRequest
  }

  private struct Line: Codable {
    var place: Int
    var text: String
  }

  /// Writes what is not in the file yet.
  ///
  /// - Parameters:
  ///   - subjects: what is written about.
  ///   - request: how the model is asked.
  ///   - writer: who writes.
  ///   - splitHash: of the data that the subjects are of.
  ///   - file: where the texts are kept, batch by batch; `nil` keeps nothing.
  ///   - shouldStop: asked before each batch; what is written is kept.
  /// - Throws: ``BridgeError/interrupted(checkpoint:)`` if it was stopped;
  ///   ``BridgeError/invalidState(path:place:expected:found:)`` for a file of other texts or a damaged one; what writing throws.
  public init(
    about subjects: [String], _ request: WritingRequest, by writer: TextWriter, splitHash: String, file: URL?,
    shouldStop: () -> Bool = { false }
  ) throws {
    var hash = StableHash()
    for subject in subjects { hash.combine(subject) }
    let header = Header(
      split: splitHash, model: writer.identity, subjects: hash.hexadecimal, request: request)
    var texts = try file.map { try Self.read($0, header, subjects.count) } ?? []
    while texts.count < subjects.count {
      if shouldStop() { throw BridgeError.interrupted(checkpoint: file?.path ?? "memory only") }
      let part = subjects[texts.count..<Swift.min(texts.count + writer.batchSize, subjects.count)]
      let prompts = part.map { writer.encode(request.opening + $0 + request.closing) }
      texts += writer.continuations(of: prompts, tokens: request.tokens).map {
        writer.decode($0).trimmingCharacters(in: .whitespacesAndNewlines)
      }
      if let file { try Self.write(texts, header, to: file) }
    }
    self.texts = texts
  }

  private static func write(_ texts: [String], _ header: Header, to file: URL) throws {
    let encoder = RecordCoding.encoder()
    var bytes = Array(try encoder.encode(header)) + [UInt8(ascii: "\n")]
    for (place, text) in texts.enumerated() {
      bytes += Array(try encoder.encode(Line(place: place, text: text))) + [UInt8(ascii: "\n")]
    }
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFile.write(bytes, to: file)
  }

  /// The texts in a file; none if there is no file.
  private static func read(_ file: URL, _ header: Header, _ count: Int) throws -> [String] {
    guard FileManager.default.fileExists(atPath: file.path) else { return [] }
    let lines = JSONLines(try [UInt8](contentsOf: file, limit: 4 << 30))
    func invalid(_ place: Int, _ expected: String, _ found: String) -> BridgeError {
      .invalidState(path: file.path, place: "line \(place)", expected: expected, found: found)
    }
    guard lines.count > 0 else { throw invalid(1, "what the texts are of", "an empty file") }
    let found = try lines.value(Header.self, at: 0) { invalid($0, "what the texts are of", $1) }
    guard found == header else {
      throw invalid(
        1, "texts of the same split, model, subjects and request: \(header)", "\(found)")
    }
    guard lines.count - 1 <= count else { throw invalid(count + 2, "\(count) texts", "\(lines.count - 1)") }
    return try (1..<lines.count).map { place in
      let line = try lines.value(Line.self, at: place) { invalid($0, "a text with its place", $1) }
      guard line.place == place - 1 else { throw invalid(place + 1, "place \(place - 1)", "\(line.place)") }
      return line.text
    }
  }
}
