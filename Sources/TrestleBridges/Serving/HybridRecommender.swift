import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

/// A trained hybrid, ready to serve: the domain side, the language side and their fusion, from one folder.
///
/// Known users are served from saved rows, without the language model's weights; each side loads alone. For someone new
/// the domain side uses the mean of the liked items' rows, and the language side a state that the language model computes
/// (``LanguageSide/state(liking:)``).
public struct HybridRecommender: Sendable {
  /// Which of the three recommends.
  public enum Part: String, Codable, Sendable, CaseIterable {
    /// The recommender alone.
    case domain
    /// The language model alone.
    case language
    /// Both together.
    case fused
  }

  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// The split that the hybrid was trained on.
  public let splitHash: String
  /// The domain side's rows; `nil` if only the other was loaded.
  public let domain: Representations?
  /// The language side's scoring rows; `nil` if only the other was loaded.
  public let language: Representations?
  /// The weights of the fusion.
  public let fusion: FusionWeights
  /// What each user has seen, and is not recommended again.
  public let seen: UserItemMatrix

  /// A hybrid of the given parts.
  public init(
    vocabulary: EntityVocabulary, splitHash: String, domain: Representations?, language: Representations?,
    fusion: FusionWeights, seen: UserItemMatrix
  ) {
    self.vocabulary = vocabulary
    self.splitHash = splitHash
    self.domain = domain
    self.language = language
    self.fusion = fusion
    self.seen = seen
  }

  /// The best items for a user whom the hybrid was trained on.
  ///
  /// - Returns: at most `count` items that the user has not seen, the best first; `nil` if the part was not loaded.
  public func recommend(user: Int, count: Int, by part: Part) -> [Recommendation]? {
    precondition(
      user >= 0 && user < vocabulary.userCount,
      "recommend(user:): user \(user) is outside 0..<\(vocabulary.userCount)")
    func scores(_ rows: Representations?) -> [Float]? {
      rows.map { $0.users.sliced(user..<user + 1, along: 0).matmul($0.items, transposingOther: true).floats }
    }
    let history = seen.items(of: user).map(Int.init)
    return best(
      domain: scores(domain), language: scores(language), by: part, without: history,
      alpha: fusion.alpha(interactions: history.count), count: count)
  }

  /// The best items for someone new who likes some items.
  ///
  /// - Parameters:
  ///   - items: the items liked, at least one.
  ///   - languageState: the scoring row of the language side for them, `[1, width]`; `nil` leaves that side out.
  ///   - count: how many items are wanted.
  ///   - part: which of the three recommenders answers.
  public func recommend(
    liking items: [Int], languageState: Tensor?, count: Int, by part: Part
  ) -> [Recommendation]? {
    precondition(!items.isEmpty, "recommend(liking:): no items")
    let domainScores = domain.map { rows -> [Float] in
      let liked = rows.items.gatheredRows(Tensor(items.map { Int32($0) })).unitNormalized()
      return liked.mean(along: [0], keepingDimensions: true).matmul(rows.items, transposingOther: true).floats
    }
    let languageScores = languageState.flatMap { state in
      language.map { state.matmul($0.items, transposingOther: true).floats }
    }
    return best(
      domain: domainScores, language: languageScores, by: part, without: items,
      alpha: fusion.alpha(interactions: items.count), count: count)
  }

  private func best(
    domain: [Float]?, language: [Float]?, by part: Part, without seen: [Int], alpha: Double, count: Int
  ) -> [Recommendation]? {
    var scores: [Float]
    switch part {
    case .domain:
      guard let domain else { return nil }
      scores = domain
    case .language:
      guard let language else { return nil }
      scores = language
    case .fused:
      guard let domain, let language else { return nil }
      scores = zip(Self.standardized(domain), Self.standardized(language)).map {
        Float(1 - alpha) * $0 + Float(alpha) * $1
      }
    }
    for item in seen { scores[item] = -.infinity }
    let available = scores.count { $0 > -.infinity }
    let (values, indices) = Tensor(scores).topK(min(count, available))
    return zip(indices.scalars(as: Int32.self), values.floats).map {
      Recommendation(item: Int($0), score: $1)
    }
  }

  private static func standardized(_ scores: [Float]) -> [Float] {
    let mean = scores.reduce(0, +) / Float(max(scores.count, 1))
    let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(max(scores.count, 1))
    let scale = variance > 1e-20 ? 1 / variance.squareRoot() : 0
    return scores.map { ($0 - mean) * scale }
  }
}

extension HybridRecommender {
  private struct Manifest: Codable {
    var format: Int
    var vocabulary: EntityVocabulary
    var splitHash: String
    var fusion: FusionWeights
    /// The SHA-256 of each file beside the manifest.
    var files: [String: String]
  }

  /// Which sides to load.
  public struct Sides: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int
    /// Sides from bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// The domain side.
    public static let domain = Sides(rawValue: 1)
    /// The language side.
    public static let language = Sides(rawValue: 2)
    /// Both.
    public static let both: Sides = [.domain, .language]
  }

  /// Saves the hybrid as `manifest.json`, `domain.safetensors`, `language.safetensors` and `seen.safetensors`.
  ///
  /// The manifest is written last: a folder with one is complete.
  public func save(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    var files: [String: String] = [:]
    func write(_ name: String, _ tensors: [(String, Tensor)]) throws {
      let url = folder.appending(path: name)
      try SafetensorsWriter.write(tensors.map { SafetensorsSource(name: $0.0, tensor: $0.1) }, to: url)
      files[name] = try Self.hash(url)
    }
    if let domain { try write("domain.safetensors", [("users", domain.users), ("items", domain.items)]) }
    if let language {
      try write("language.safetensors", [("users", language.users), ("items", language.items)])
    }
    try write(
      "seen.safetensors",
      [("offsets", Tensor(seen.offsets.map { Int32($0) })), ("items", Tensor(seen.items))])
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    let manifest = Manifest(
      format: 1, vocabulary: vocabulary, splitHash: splitHash, fusion: fusion, files: files)
    try AtomicFile.write(Array(try encoder.encode(manifest)), to: folder.appending(path: "manifest.json"))
  }

  /// Loads a hybrid.
  ///
  /// - Parameters:
  ///   - folder: the folder that the hybrid was saved in.
  ///   - sides: the sides to load; the files of others need not be there.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if a file is not the one that was saved, and
  ///   `FormatError` if one cannot be read.
  public init(contentsOf folder: URL, sides: Sides = .both) throws {
    let manifestURL = folder.appending(path: "manifest.json")
    let bytes = try MappedFile(manifestURL)
    guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(bytes.bytes)),
      manifest.format == 1
    else {
      throw BridgeError.invalidState(
        path: manifestURL.path, place: "", expected: "the manifest of a saved hybrid", found: "something else"
      )
    }
    func open(_ name: String) throws -> SafetensorsFile {
      let url = folder.appending(path: name)
      let found = try Self.hash(url)
      guard let expected = manifest.files[name], expected == found else {
        throw BridgeError.invalidState(
          path: url.path, place: "SHA-256", expected: manifest.files[name] ?? "no such file", found: found)
      }
      return try SafetensorsFile(url)
    }
    func rows(_ name: String) throws -> Representations {
      let file = try open(name)
      let (users, items) = (try file.tensor("users"), try file.tensor("items"))
      guard users.rank == 2, items.rank == 2, users.shape[1] == items.shape[1], users.dtype == .float32,
        items.dtype == .float32, users.shape[0] == manifest.vocabulary.userCount,
        items.shape[0] == manifest.vocabulary.itemCount
      else {
        throw BridgeError.invalidState(
          path: file.file.path, place: "users, items",
          expected:
            "float32 rows of \(manifest.vocabulary.userCount) users and \(manifest.vocabulary.itemCount) items",
          found: "\(users.dtype) \(users.shape), \(items.dtype) \(items.shape)")
      }
      return Representations(users: users, items: items)
    }
    let history = try open("seen.safetensors")
    let offsets = try history.tensor("offsets").scalars(as: Int32.self)
    let items = try history.tensor("items").scalars(as: Int32.self)
    guard offsets.count == manifest.vocabulary.userCount + 1, offsets.first == 0,
      offsets.last == Int32(items.count), zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 }),
      items.allSatisfy({ $0 >= 0 && Int($0) < manifest.vocabulary.itemCount })
    else {
      throw BridgeError.invalidState(
        path: history.file.path, place: "offsets, items", expected: "the items of each user",
        found: "other numbers")
    }
    let users = (0..<manifest.vocabulary.userCount).flatMap { user in
      Array(repeating: Int32(user), count: Int(offsets[user + 1] - offsets[user]))
    }
    self.init(
      vocabulary: manifest.vocabulary, splitHash: manifest.splitHash,
      domain: sides.contains(.domain) ? try rows("domain.safetensors") : nil,
      language: sides.contains(.language) ? try rows("language.safetensors") : nil, fusion: manifest.fusion,
      seen: UserItemMatrix(
        Interactions(
          users: users, items: items, userCount: manifest.vocabulary.userCount,
          itemCount: manifest.vocabulary.itemCount)))
  }

  private static func hash(_ url: URL) throws -> String {
    let file = try MappedFile(url)
    var hash = SHA256()
    hash.update(file.bytes)
    return hash.hexadecimal()
  }
}
