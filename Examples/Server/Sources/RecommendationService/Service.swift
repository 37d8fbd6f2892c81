import Foundation
import Synchronization
import Trestle

/// A request without its transport.
public struct Request: Sendable {
  /// GET or POST.
  public var method: String
  /// The path, such as `/recommend`.
  public var path: String
  /// What follows the question mark.
  public var query: [String: String]
  /// The body.
  public var body: [UInt8]

  /// A request.
  public init(_ method: String, _ path: String, query: [String: String] = [:], body: [UInt8] = []) {
    (self.method, self.path, self.query, self.body) = (method, path, query, body)
  }
}

/// An answer without its transport.
public struct Response: Sendable {
  /// The HTTP status.
  public var status: Int
  /// The media type.
  public var type: String
  /// The body.
  public var body: [UInt8]

  init(_ status: Int, _ type: String, _ body: [UInt8]) {
    (self.status, self.type, self.body) = (status, type, body)
  }

  /// JSON.
  init(_ value: JSONLiteral, status: Int = 200) {
    let bytes = (try? value.serialized(pretty: false)).map(Array.init) ?? Array("{}".utf8)
    self.init(status, "application/json", bytes)
  }

  /// What is wrong, as JSON.
  init(error: String, status: Int) { self.init(["error": .string(error)], status: status) }
}

/// Answers requests from a saved recommender, which may be exchanged at any time.
///
/// A request works on the recommender that there was when it came: reloading waits for nobody, and nobody for it.
public final class Service: Sendable {
  /// What answers, with the file that says which it is.
  private struct Served: Sendable {
    let recommender: SavedRecommender
    /// By which it is asked; `nil` if it looks at every item.
    let index: ServedIndex?
    let mark: FileMark
    let since: Date
  }

  private let folder: URL
  private let modelPath: URL?
  /// The cells of the index that are looked into; `nil` without an index.
  private let probes: Int?
  private let served: Mutex<Served>
  private let reader = Mutex<ItemTextReader?>(nil)
  /// Held while an update is made, so that of two none is lost.
  private let updating = Mutex<Void>(())
  /// What has been asked and how long it took.
  public let metrics = Metrics()

  /// Loads a recommender.
  ///
  /// - Parameters:
  ///   - folder: what `trestle train` has saved.
  ///   - model: where a hybrid's language model is, if it has moved.
  ///   - probes: looks into so many cells of an index of the items, which is made when the recommender is loaded, rather than at
  ///     every item; `nil` looks at all, as does a model whose scores are not inner products.
  public init(_ folder: URL, model: URL? = nil, probes: Int? = nil) throws {
    self.folder = folder
    (modelPath, self.probes) = (model, probes)
    served = Mutex(try Self.load(folder, isIndexed: probes != nil))
  }

  /// The recommender that answers at present.
  public var recommender: SavedRecommender { served.withLock { $0.recommender } }

  private static func load(_ folder: URL, isIndexed: Bool) throws -> Served {
    let mark = FileMark(folder.appending(path: "manifest.json"))
    let recommender = try SavedRecommender(contentsOf: folder)
    return Served(
      recommender: recommender, index: isIndexed ? try ServedIndex(recommender) : nil, mark: mark,
      since: Date())
  }

  /// Takes over the folder's recommender if it is another one than before; if it cannot be read, the old one stays.
  ///
  /// - Returns: whether another one answers now.
  @discardableResult
  public func reloadIfExchanged() -> Bool {
    let known = served.withLock { $0.mark }
    guard FileMark(folder.appending(path: "manifest.json")) != known else { return false }
    do {
      let fresh = try Self.load(folder, isIndexed: probes != nil)
      updating.withLock { _ in served.withLock { $0 = fresh } }
      reader.withLock { $0 = nil }
      metrics.count("reloads")
      return true
    } catch {
      metrics.count("failed_reloads")
      return false
    }
  }

  // MARK: Requests

  /// Answers a request.
  public func answer(_ request: Request) -> Response {
    let start = ContinuousClock.now
    let response = route(request)
    let path = Self.paths.contains(request.path) ? request.path : "other"
    metrics.record(path, status: response.status, time: ContinuousClock.now - start)
    return response
  }

  private static let paths: Set<String> = [
    "/", "/health", "/metrics", "/recommend", "/titles", "/items", "/interactions",
  ]

  private func route(_ request: Request) -> Response {
    do {
      switch (request.method, request.path) {
      case ("GET", "/"): return Response(200, "text/html; charset=utf-8", Array(page.utf8))
      case ("GET", "/health"): return health()
      case ("GET", "/metrics"): return Response(200, "text/plain; version=0.0.4", Array(metrics.text.utf8))
      case ("GET", "/titles"): return titles(request.query["q"] ?? "")
      case ("GET", "/recommend"): return try recommend(Question(query: request.query))
      case ("POST", "/recommend"): return try recommend(Question(json: parsed(request.body)))
      case ("POST", "/items"): return try add(items: parsed(request.body))
      case ("POST", "/interactions"): return try add(interactions: parsed(request.body))
      case (_, let path) where Self.paths.contains(path):
        return Response(error: "\(request.method) is not for \(path)", status: 405)
      default: return Response(error: "there is no \(request.path)", status: 404)
      }
    } catch let error as ServingError {
      switch error {
      case .unknownUser, .unknownItem: return Response(error: "\(error)", status: 404)
      case .invalidRequest: return Response(error: "\(error)", status: 400)
      default: return Response(error: "\(error)", status: 500)
      }
    } catch let error as FormatError {
      return Response(error: "\(error)", status: 400)
    } catch {
      return Response(error: "\(error)", status: 500)
    }
  }

  private func parsed(_ body: [UInt8]) throws -> JSONValue {
    try body.withUnsafeBytes { try JSONValue(parsing: $0, source: "request") }
  }

  private func health() -> Response {
    let now = served.withLock { $0 }
    let catalogue = now.recommender.servable.catalogue
    var kind = "recommender"
    if case .hybrid = now.recommender { kind = "hybrid" }
    return Response([
      "status": "ok", "kind": .string(kind), "users": .int(catalogue.userIDs.count),
      "items": .int(catalogue.itemIDs.count),
      "since": .string(now.since.formatted(.iso8601)), "indexed": .bool(now.index != nil),
    ])
  }

  private func titles(_ text: String) -> Response {
    let wanted = text.lowercased()
    let titles = recommender.servable.catalogue.titles.lazy.filter { $0.lowercased().contains(wanted) }
    return Response(["titles": .array(titles.prefix(20).map { .string($0) })])
  }

  private func recommend(_ question: Question) throws -> Response {
    let (recommender, index) = served.withLock { ($0.recommender, $0.index) }
    let probes = probes ?? 0
    let list: RecommendationList
    if let user = question.user {
      list = try question.answer(recommender, by: index, probes: probes, user: user)
    } else {
      let catalogue = recommender.servable.catalogue
      let titled = try question.titles.map { catalogue.itemIDs[try catalogue.item(titled: $0)] }
      list = try question.answer(
        recommender, by: index, probes: probes, likes: question.likes + titled)
    }
    let items = list.map { item -> JSONLiteral in
      [
        "id": .string(item.id), "title": .string(item.title), "score": .double(Double(item.score)),
        "reasons": .array(item.reasons.map { .string($0) }),
      ]
    }
    return Response([
      "source": .string(list.source.rawValue), "note": list.note.map { .string($0) } ?? .null,
      "items": .array(items),
    ])
  }

  // MARK: Updates

  private func add(items json: JSONValue) throws -> Response {
    try updating.withLock { _ in
      guard case .hybrid(let hybrid) = recommender, let reading = hybrid.reading else {
        throw ServingError.invalidRequest(
          expected: "a hybrid whose language model reads the items' texts", found: "another recommender")
      }
      let items = try json.array().map { item in
        let title = try item.member("title").string()
        return NewItem(
          id: try item.member("id").string(), title: title,
          text: try item.optionalMember("text")?.string()
            ?? (reading.reader.noun.isEmpty ? title : "\(reading.reader.noun): \(title)"))
      }
      let reader = try self.reader.withLock { kept in
        if let kept, kept.reader == reading.reader { return kept }
        let loaded = try ItemTextReader(reading, model: modelPath)
        kept = loaded
        return loaded
      }
      let extended = try hybrid.adding(items, reading: reader)
      let index = try served.withLock { $0.index }?.adding(itemsOf: extended)
      replace(.hybrid(extended), index)
      return Response(["added": .int(items.count)])
    }
  }

  private func add(interactions json: JSONValue) throws -> Response {
    try updating.withLock { _ in
      let pairs = try json.array().map {
        UserItemPair(user: try $0.member("user").string(), item: try $0.member("item").string())
      }
      switch recommender {
      // The items' rows stay, and so does their index.
      case .fitted(let model): replace(.fitted(try model.adding(pairs)), served.withLock { $0.index })
      case .hybrid(let hybrid): replace(.hybrid(try hybrid.adding(pairs)), served.withLock { $0.index })
      }
      return Response(["added": .int(pairs.count)])
    }
  }

  private func replace(_ recommender: SavedRecommender, _ index: ServedIndex?) {
    served.withLock {
      $0 = Served(recommender: recommender, index: index, mark: $0.mark, since: $0.since)
    }
  }
}

/// What tells a file from the one that took its place.
struct FileMark: Sendable, Equatable {
  private let number: UInt64?
  private let date: Date?

  init(_ url: URL) {
    let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
    number = (attributes?[.systemFileNumber] as? NSNumber)?.uint64Value
    date = attributes?[.modificationDate] as? Date
  }
}
