import TrestleNN
import TrestleTensor

/// What a language model makes of texts: the mean of their tokens' states at a layer.
///
/// The blocks up to a base layer are run once and their states kept, since nothing trains there; the blocks from the base to
/// the layer that is read run anew each time, and gradients reach their adapters.
///
/// ```swift
/// let reader = TextReader(model: model, texts: tokens, layer: 20, base: 14)
/// let rows = reader.representations(of: [4, 7])  // [2, hidden]
/// ```
public final class TextReader {
  /// The language model.
  public let model: any LanguageModel
  /// The tokens of each text; an empty text has a representation of zeros.
  public let texts: [[Int32]]
  /// The layer that is read, counted as in ``LanguageModel/states(_:sequences:from:layers:)``.
  public let layer: Int
  /// The layer whose states are kept: adapters in the blocks below it are not heard.
  public let base: Int
  /// How the texts are put before the model.
  public let style: ReadingStyle
  /// The most tokens of a pass.
  public let tokensPerPass: Int
  private let prompts: [ReadingStyle.Prompt]
  /// The base layer's states of all prompts, one after the other, `[tokens, hidden]`.
  private let baseStates: Tensor
  private let starts: [Int]

  /// Reads all texts up to the base layer.
  ///
  /// - Parameters:
  ///   - model: the language model.
  ///   - texts: the tokens of each text.
  ///   - layer: the layer that is read, in `1...model.layerCount`.
  ///   - base: the layer whose states are kept, below `layer`.
  ///   - style: how the texts are put before the model, and which of their tokens count.
  ///   - tokensPerPass: the most tokens of a pass.
  public init(
    model: any LanguageModel, texts: [[Int32]], layer: Int, base: Int, style: ReadingStyle = .plain,
    tokensPerPass: Int = 2048
  ) {
    precondition(
      base >= 0 && base < layer && layer <= model.layerCount,
      "TextReader: base \(base), layer \(layer) of a model of \(model.layerCount) layers")
    self.model = model
    self.texts = texts
    self.layer = layer
    self.base = base
    self.style = style
    self.tokensPerPass = tokensPerPass
    let prompts = texts.map(style.prompt)
    self.prompts = prompts
    var starts = [0]
    for prompt in prompts { starts.append(starts[starts.count - 1] + prompt.tokens.count) }
    self.starts = starts
    var parts: [Tensor] = []
    for pass in Self.passes(texts.indices.filter { !texts[$0].isEmpty }, prompts, tokensPerPass) {
      let tokens = pass.map { prompts[$0].tokens }
      parts.append(
        withoutGradients {
          model.states(
            model.embed(Array(tokens.joined())), sequences: PackedSequences(lengths: tokens.map(\.count)),
            from: 0,
            layers: [base])[0].detached
        })
    }
    baseStates = parts.isEmpty ? .zeros([0, model.hiddenSize]) : Tensor.concatenated(parts, along: 0)
  }

  /// The mean states of some texts, `[ids, hidden]`; tracked while gradients are taken.
  public func representations(of ids: [Int32]) -> Tensor { representations(of: ids, gating: nil, by: nil) }

  /// The mean states of some texts, each read through a mix of the adapters' ranks of its own.
  ///
  /// - Parameters:
  ///   - ids: which texts.
  ///   - adapters: those on the model; `nil` for no mix.
  ///   - gates: what each rank counts for each text, `[ids, rank]`; `nil` for 1.
  /// - Returns: `[ids, hidden]`; tracked while gradients are taken.
  public func representations(of ids: [Int32], gating adapters: LoRAAdapters?, by gates: Tensor?) -> Tensor {
    let known = ids.indices.filter { !texts[Int(ids[$0])].isEmpty }
    if known.isEmpty { return .zeros([ids.count, model.hiddenSize]) }
    let parts = Self.passes(known, ids.map { prompts[Int($0)] }, tokensPerPass).map { pass in
      let chosen = pass.map { Int(ids[$0]) }
      let rows = chosen.flatMap { (starts[$0]..<starts[$0 + 1]).map { Int32($0) } }
      let sequences = PackedSequences(lengths: chosen.map { prompts[$0].tokens.count })
      func read() -> [Tensor] {
        model.states(
          baseStates.gatheredRows(Tensor(rows)), sequences: sequences, from: base, layers: [layer])
      }
      let owners = pass.flatMap { place in
        [Int32](repeating: Int32(place), count: prompts[Int(ids[place])].tokens.count)
      }
      let states =
        adapters?.gated(by: gates.map { $0.gatheredRows(Tensor(owners)) }, read) ?? read()
      return style.pooled(states[0], sequences, chosen.map { prompts[$0] })
    }
    let read = parts.count == 1 ? parts[0] : Tensor.concatenated(parts, along: 0)
    if known.count == ids.count { return read }
    return read.scatterAddedRows(at: Tensor(known.map { Int32($0) }), rowCount: ids.count)
  }

  /// The mean states of all texts, `[texts, hidden]`, not tracked.
  public func allRepresentations() -> Tensor {
    withoutGradients { representations(of: texts.indices.map { Int32($0) }).detached }
  }

  /// The mean states of texts at several layers, in one pass without gradients: `[texts, hidden]` for each layer.
  ///
  /// - Parameters:
  ///   - model: the language model.
  ///   - texts: the tokens of each text; an empty text has zeros.
  ///   - layers: counted as in ``LanguageModel/states(_:sequences:from:layers:)``.
  ///   - style: how the texts are put before the model, and which of their tokens count.
  ///   - tokensPerPass: the most tokens of a pass.
  public static func meanStates(
    of texts: [[Int32]], by model: any LanguageModel, layers: [Int], style: ReadingStyle = .plain,
    tokensPerPass: Int = 2048
  ) -> [Tensor] {
    let results = layers.map { _ in Tensor.zeros([texts.count, model.hiddenSize]) }
    let prompts = texts.map(style.prompt)
    for pass in passes(texts.indices.filter { !texts[$0].isEmpty }, prompts, tokensPerPass) {
      let chosen = pass.map { prompts[$0] }
      let sequences = PackedSequences(lengths: chosen.map(\.tokens.count))
      withoutGradients {
        let states = model.states(
          model.embed(chosen.flatMap(\.tokens)), sequences: sequences, from: 0, layers: layers)
        for (result, state) in zip(results, states) {
          result.scatterAddInPlace(
            style.pooled(state.converted(to: .float32), sequences, chosen).detached,
            at: Tensor(pass.map { Int32($0) }))
        }
      }
    }
    return results
  }

  /// Cuts places, in their order, into passes of at most `limit` tokens (a longer text has a pass of its own).
  private static func passes(_ places: [Int], _ prompts: [ReadingStyle.Prompt], _ limit: Int) -> [[Int]] {
    var result: [[Int]] = []
    var tokens = 0
    for place in places {
      if result.isEmpty || tokens + prompts[place].tokens.count > limit {
        result.append([])
        tokens = 0
      }
      result[result.count - 1].append(place)
      tokens += prompts[place].tokens.count
    }
    return result
  }
}
