import Foundation
import RecommendationService
import Synchronization
import Testing
import Trestle

/// What the service answers, without HTTP.
@Suite struct ServiceTests {
  /// A folder with a recommender, removed at the end.
  private final class Saved: Sendable {
    let folder = FileManager.default.temporaryDirectory.appending(path: "service-\(UUID().uuidString)")

    init(_ kind: ModelKind = .ease) throws { try save(kind) }

    func save(_ kind: ModelKind) throws {
      var configuration = SyntheticWorld.Configuration()
      (configuration.users, configuration.items, configuration.interactions) = (80, 60, 1500)
      try SyntheticWorld(configuration, seed: 2).dataset().fit(kind).save(to: folder)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
  }

  private func body(_ response: Response) throws -> JSONValue {
    try JSONValue(parsing: String(decoding: response.body, as: UTF8.self))
  }

  private func post(_ service: Service, _ path: String, _ text: String) -> Response {
    service.answer(Request("POST", path, body: Array(text.utf8)))
  }

  @Test func knownUsersLikesAndTitlesAreAnswered() throws {
    let saved = try Saved()
    let service = try Service(saved.folder)
    let user = service.answer(
      Request("GET", "/recommend", query: ["user": "7", "count": "4", "reasons": "2"]))
    #expect(user.status == 200)
    let items = try body(user).member("items").array()
    let reasons = try items[0].member("reasons").array()
    #expect(items.count == 4 && !reasons.isEmpty)
    let title = service.recommender.servable.catalogue.titles[3]
    let titled = post(service, "/recommend", #"{"titles": ["\#(title)"], "count": 3}"#)
    let liked = post(service, "/recommend", #"{"likes": ["3"], "count": 3}"#)
    #expect(titled.status == 200 && titled.body == liked.body)
    #expect(try body(service.answer(Request("GET", "/health"))).member("items").int() == 60)
    #expect(service.metrics.text.contains(#"trestle_requests_total{path="/recommend",status="200"} 3"#))
  }

  @Test func mistakesAreSaidAndDoNoHarm() throws {
    let saved = try Saved()
    let service = try Service(saved.folder)
    let cases: [(String, Int)] = [
      (#"{"user": "nobody"}"#, 404), (#"{"titles": ["No Such Thing At All"]}"#, 404), ("{}", 400), ("{", 400),
      (#"{"user": "1", "likes": ["2"]}"#, 400), (#"{"user": "1", "count": -1}"#, 400),
      (#"{"user": "1", "by": "magic"}"#, 400), (#"{"user": 1}"#, 400), ("", 400),
    ]
    for (text, status) in cases {
      let response = post(service, "/recommend", text)
      #expect(response.status == status, "\(text)")
      #expect(try !body(response).member("error").string().isEmpty)
    }
    #expect(service.answer(Request("GET", "/nothing")).status == 404)
    #expect(service.answer(Request("DELETE", "/recommend")).status == 405)
    #expect(post(service, "/items", #"[{"id": "n", "title": "T"}]"#).status == 400)
  }

  @Test func interactionsCountAtOnce() throws {
    let saved = try Saved()
    let service = try Service(saved.folder)
    #expect(post(service, "/interactions", #"[{"user": "new", "item": "3"}]"#).status == 200)
    let new = service.answer(Request("GET", "/recommend", query: ["user": "new", "count": "3"]))
    let liking = service.answer(Request("GET", "/recommend", query: ["likes": "3", "count": "3"]))
    #expect(new.status == 200 && new.body == liking.body)
    #expect(post(service, "/interactions", #"[{"user": "new", "item": "nothing"}]"#).status == 404)
  }

  /// By an index: looking into all cells gives the lists of looking at every item, for known users, likes, and users who are
  /// added; a model without rows looks at every item.
  @Test(arguments: [ModelKind.implicitALS, .lightGCN, .ease])
  func byAnIndexItAnswersTheSameWhereItLooksEverywhere(_ kind: ModelKind) throws {
    let saved = try Saved(kind)
    let (whole, indexed) = (try Service(saved.folder), try Service(saved.folder, probes: 1000))
    let isIndexed = try body(indexed.answer(Request("GET", "/health"))).member("indexed").bool()
    #expect(isIndexed == (kind != .ease))
    let queries: [[String: String]] = [
      ["user": "7", "count": "4", "reasons": "2"], ["likes": "3,9", "count": "5"],
      ["user": "new", "count": "3"],
    ]
    for service in [whole, indexed] {
      #expect(post(service, "/interactions", #"[{"user": "new", "item": "3"}]"#).status == 200)
    }
    for query in queries {
      func items(_ service: Service) throws -> [String] {
        let list = try body(service.answer(Request("GET", "/recommend", query: query))).member("items")
        return try list.array().flatMap { item in
          [try item.member("id").string()] + (try item.member("reasons").array().map { try $0.string() })
        }
      }
      let (list, expected) = (try items(indexed), try items(whole))
      #expect(list == expected && !list.isEmpty, "\(query)")
    }
    #expect(indexed.answer(Request("GET", "/recommend", query: ["user": "nobody"])).status == 404)
    try saved.save(.itemKNN)
    #expect(indexed.reloadIfExchanged())
    #expect(indexed.answer(Request("GET", "/recommend", query: ["user": "7"])).status == 200)
  }

  @Test func anExchangedFolderIsTakenOverAndABrokenOneIsNot() throws {
    let saved = try Saved(.ease)
    let service = try Service(saved.folder)
    #expect(!service.reloadIfExchanged())
    try saved.save(.itemKNN)
    #expect(service.reloadIfExchanged())
    guard case .fitted(let model) = service.recommender else {
      throw ServingError.invalidRequest(expected: "", found: "")
    }
    #expect(model.card.model == "ItemKNN")
    try FileManager.default.removeItem(at: saved.folder.appending(path: "manifest.json"))
    #expect(!service.reloadIfExchanged())
    #expect(service.answer(Request("GET", "/recommend", query: ["user": "7"])).status == 200)
    #expect(service.metrics.text.contains("trestle_failed_reloads_total 1"))
  }

  @Test func manyAskWhileItIsExchangedAndAddedTo() throws {
    let saved = try Saved(.ease)
    let service = try Service(saved.folder)
    let failures = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: 64) { number in
      if number % 16 == 7 { service.reloadIfExchanged() }
      if number == 20 { try? saved.save(.implicitALS) }
      for user in 0..<5 {
        let added = Request(
          "POST", "/interactions", body: Array(#"[{"user": "n\#(number)", "item": "3"}]"#.utf8))
        let request =
          user == 4
          ? added : Request("GET", "/recommend", query: ["user": "\(number + user)", "reasons": "1"])
        if service.answer(request).status != 200 { failures.withLock { $0 += 1 } }
      }
    }
    #expect(failures.withLock { $0 } == 0)
    #expect(service.metrics.text.contains("trestle_request_seconds_count 320"))
  }
}
