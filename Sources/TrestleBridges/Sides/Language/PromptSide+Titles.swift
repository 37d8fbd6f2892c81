import Foundation
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// An item that a language model names.
public struct NamedItem: Sendable, Hashable {
  /// The item.
  public let item: Int32
  /// The logarithm of the probability of its title; of a title that several items have, each has an equal part.
  public let logProbability: Double
}

extension PromptSide {
  /// The titles as they are said: their tokens, then the one that ends a title. An item without a title is never said.
  private func said(_ item: Int) -> [Int32] { titles[item].isEmpty ? [] : titles[item] + [naming.end] }

  /// The items that the model names after what a user liked, the likeliest first: a beam search over the titles of the
  /// catalogue, so that nothing else can be said.
  ///
  /// A title that begins another one is told apart from it by its end. Titles are cut to ``Configuration/titleTokens``: those
  /// that agree so far are one title.
  ///
  /// - Parameters:
  ///   - user: whom the slots are of, if a bridge fills them.
  ///   - history: what the user liked, the latest last.
  ///   - count: the most items.
  ///   - beams: how many beginnings of titles are followed at a time. The result is exact if there are never more.
  ///   - excluded: items that are not named.
  public func namedItems(
    for user: Int32, after history: [Int32], count: Int, beams: Int = 16, excluding excluded: Set<Int32> = []
  ) -> [NamedItem] {
    precondition(count >= 0 && beams > 0, "PromptSide.namedItems: \(count) items by \(beams) beams")
    let trie = TokenTrie(titles.indices.map { excluded.contains(Int32($0)) ? [] : said($0) })
    let example = PromptExample(user: user, item: 0, label: 1, history: history)
    return withoutGradients {
      let cache = KeyValueCache(layerCount: model.layerCount)
      var states = read(example, into: cache)
      var open = [TitleBeam(place: trie.root)]
      var found: [NamedItem] = []
      while !open.isEmpty {
        let (named, next) = extended(open, by: model.logits(states).logSoftmax().floats, trie)
        found = Array((found + named).sorted(by: Self.isLikelier).prefix(count))
        open = Array(next.sorted { ($0.score, $1.order) > ($1.score, $0.order) }.prefix(beams))
        // A title only gets less likely as it goes on.
        if found.count == count, let worst = found.last, let best = open.first,
          best.score < worst.logProbability
        {
          break
        }
        guard let length = open.first?.tokens.count else { break }
        states = continued(open, length, example, cache)
      }
      return found
    }
  }

  private static func isLikelier(_ first: NamedItem, _ second: NamedItem) -> Bool {
    (first.logProbability, second.item) > (second.logProbability, first.item)
  }

  /// Beginnings of titles with one token more, and the items whose titles are complete.
  private func extended(
    _ open: [TitleBeam], by logs: [Float], _ trie: TokenTrie
  ) -> (named: [NamedItem], next: [TitleBeam]) {
    var named: [NamedItem] = []
    var next: [TitleBeam] = []
    for (row, beam) in open.enumerated() {
      for token in trie.allowed(at: beam.place) {
        guard let place = trie.position(after: token, from: beam.place) else { continue }
        let score = beam.score + Double(logs[row * model.vocabularySize + Int(token)])
        let items = trie.sequences(endingAt: place)
        named += items.map {
          NamedItem(item: Int32($0), logProbability: score - log(Double(items.count)))
        }
        guard !trie.allowed(at: place).isEmpty else { continue }
        next.append(
          TitleBeam(tokens: beam.tokens + [token], place: place, score: score, order: next.count))
      }
    }
    return (named, next)
  }

  /// The state after the prompt, `[1, hidden]`, which is kept in `cache`.
  private func read(_ example: PromptExample, into cache: KeyValueCache) -> Tensor {
    var prompt = Prompts()
    prompt.add(opening(of: example) + [.words(naming.words)], of: 0, after: nil)
    let length = prompt.lengths[0]
    return adapted(example, length) {
      model.hiddenStates(
        inputs(of: prompt), sequences: PackedSequences(lengths: [length]), cache: cache)
    }.rows([length - 1])
  }

  /// The states after some beginnings, all of one length, `[beams, hidden]`. The prompt is shared; what has been said of each
  /// title is read anew.
  private func continued(
    _ open: [TitleBeam], _ length: Int, _ example: PromptExample, _ cache: KeyValueCache
  ) -> Tensor {
    adapted(example, open.count * length) {
      model.hiddenStates(
        model.embed(open.flatMap(\.tokens)), sequences: PackedSequences(lengths: open.map { _ in length }),
        cache: cache.forked(into: open.count))
    }.rows(open.indices.map { ($0 + 1) * length - 1 })
  }

  private func adapted(_ example: PromptExample, _ rows: Int, _ pass: () -> Tensor) -> Tensor {
    adapters?.gated(by: gates([example], [rows]), pass) ?? pass()
  }

  /// The states after some users' histories and the words before a title, `[examples, hidden]`; tracked while gradients are taken.
  func namingStates(_ examples: [PromptExample]) -> Tensor {
    var prompts = Prompts()
    for (place, example) in examples.enumerated() {
      prompts.add(opening(of: example) + [.words(naming.words)], of: place, after: nil)
    }
    var end = -1
    let last = prompts.lengths.map { length in
      end += length
      return end
    }
    return states(of: prompts, examples).rows(last)
  }

  /// The mean cross-entropy, over tokens, of the titles of the items asked about after what their users liked; tracked while
  /// gradients are taken. It is what naming learns from: the examples should be liked ones.
  ///
  /// - Precondition: some item has a title, and something is said before titles.
  public func titleLoss(_ examples: [PromptExample]) -> Tensor {
    var prompts = Prompts()
    var places: [Int] = []
    var labels: [Int32] = []
    var shared: Int?
    let known = examples.filter { !titles[Int($0.item)].isEmpty }
    precondition(
      !known.isEmpty && !naming.words.isEmpty,
      "PromptSide.titleLoss: \(known.count) of \(examples.count) items have titles, \(naming.words.count) words before them"
    )
    for (place, example) in known.enumerated() {
      if place == 0 || !example.hasContext(of: known[place - 1]) {
        shared = prompts.begin(opening(of: example), of: place)
      }
      let title = said(Int(example.item))
      prompts.add([.words(naming.words + title.dropLast())], of: place, after: shared)
      places += prompts.places.count - title.count..<prompts.places.count
      labels += title
    }
    let states = states(of: prompts, known).rows(places)
    return model.logits(states).crossEntropy(labels: Tensor(labels)).mean()
  }
}

/// A beginning of titles.
private struct TitleBeam {
  var tokens: [Int32] = []
  var place: TokenTrie.Position
  var score = 0.0
  /// Its place among those found in the same step.
  var order = 0
}
