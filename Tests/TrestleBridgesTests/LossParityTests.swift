import Foundation
import Testing
import TrestleBridges
import TrestleFormats
import TrestleTensor
import TrestleTestSupport

/// The mechanisms' losses against PyTorch's, element by element, in `Fixtures/bridges`.
@Suite struct LossParityTests {
  private let file: SafetensorsFile

  init() throws {
    file = try SafetensorsFile(TestAssets.fixtures.appending(path: "bridges/losses.safetensors"))
  }

  /// Compares a loss and the gradients of its trained inputs.
  private func check(
    _ name: String, trained: [String], _ formula: ([String: Tensor]) throws -> Tensor
  ) throws {
    let tolerance = Tolerance(absolute: 1e-12, relative: 1e-11)
    let parameters = try trained.map { Parameter(try file.tensor("\(name).\($0)")) }
    var inputs: [String: Tensor] = [:]
    for key in file.names where key.hasPrefix("\(name).") && !key.hasPrefix("\(name).d.") {
      inputs[String(key.dropFirst(name.count + 1))] = try file.tensor(key)
    }
    let (loss, gradients) = try valueAndGradients(of: parameters) {
      for (key, parameter) in zip(trained, parameters) { inputs[key] = parameter.value }
      return try formula(inputs)
    }
    let expected = try file.tensor("\(name).loss").item
    #expect(tolerance.accepts(loss.item, expected), "\(name): \(loss.item), PyTorch \(expected)")
    for (key, parameter) in zip(trained, parameters) {
      let found = gradients[parameter]?.dense() ?? .zeros(parameter.shape, dtype: .float64)
      let mismatch = Mismatch.between(
        found, try file.tensor("\(name).d.\(key)"), tolerance, in: "\(name), gradient of \(key)")
      #expect(mismatch == nil, "\(mismatch?.description ?? "")")
    }
  }

  private func need(_ inputs: [String: Tensor], _ key: String) throws -> Tensor { try #require(inputs[key]) }

  @Test func tokenRowsAreTiedAsInCLLM4Rec() throws {
    try check("tie", trained: ["own"]) { ExchangeLosses.tie(try need($0, "own"), try need($0, "peer")) }
    try check("multinomial", trained: ["logits"]) {
      ExchangeLosses.multinomial(try need($0, "logits"), counts: try need($0, "counts"))
    }
  }

  @Test func rowsAndTextsAreContrastedAsInRLMRec() throws {
    try check("contrast", trained: ["anchors", "positives", "rows"]) {
      ExchangeLosses.contrast(
        try need($0, "anchors"), try need($0, "positives"), among: try need($0, "rows"), temperature: 0.2)
    }
    try check("reconstruction", trained: ["anchors", "positives"]) {
      ExchangeLosses.contrast(
        try need($0, "anchors"), try need($0, "positives"), among: try need($0, "positives"),
        temperature: 0.2)
    }
  }

  @Test func answersAreLearntAsInCoLLM() throws {
    try check("answer", trained: ["states", "row"]) {
      let logits = try need($0, "states").matmul(try need($0, "row").expanded(at: 1)).flattened()
      return ExchangeLosses.answer(logits, labels: try need($0, "labels"))
    }
  }

  @Test func codesMeetAsInALLMRec() throws {
    try check("alignment", trained: ["items", "texts", "decoded_items", "decoded_texts"]) {
      ExchangeLosses.alignment(
        codes: (try need($0, "items"), try need($0, "texts")),
        items: (try need($0, "item_rows"), try need($0, "decoded_items")),
        texts: (try need($0, "text_rows"), try need($0, "decoded_texts")))
    }
  }

  @Test func listsAreDistilledAsInDLLM2Rec() throws {
    try check("distillation", trained: ["scores"]) {
      ExchangeLosses.listDistillation(try need($0, "scores"), weights: try need($0, "weights"))
    }
  }

  @Test func distributionsDivergeAsInLLMD4Rec() throws {
    try check("divergence", trained: ["student"]) {
      ExchangeLosses.divergence(
        teacher: try need($0, "teacher"), student: try need($0, "student"), weights: try need($0, "weights"),
        temperature: 2)
    }
  }

  @Test func residualsAreQuantisedAsInLCRec() throws {
    let books = try ["first", "second"].map { try file.tensor("quantizer.\($0)") }
    let quantizer = ResidualQuantizer(codebooks: books)
    let x = Parameter(try file.tensor("quantizer.x"))
    let tolerance = Tolerance(absolute: 1e-12, relative: 1e-11)
    let weights = try file.tensor("quantizer.weights")
    let (_, gradients) = try valueAndGradients(of: [x] + quantizer.codebooks) {
      let (codes, quantized, loss) = quantizer(x.value)
      let pairs = [
        (codes, "codes"), (quantized.detached, "output"), (loss.detached, "quantized_loss"),
      ]
      for (found, key) in pairs {
        let expected = try file.tensor("quantizer.\(key)")
        let mismatch = Mismatch.between(found.doubles, expected.doubles, tolerance, in: key)
        #expect(mismatch == nil, "\(mismatch?.description ?? "")")
      }
      return loss + (quantized * weights).sum()
    }
    for (parameter, key) in zip([x] + quantizer.codebooks, ["x", "first", "second"]) {
      let mismatch = Mismatch.between(
        try #require(gradients[parameter]?.dense()), try file.tensor("quantizer.d.\(key)"), tolerance, in: key
      )
      #expect(mismatch == nil, "\(mismatch?.description ?? "")")
    }
  }

  @Test func codesTellItemsApart() throws {
    var generator = RandomGenerator(seed: 2)
    let rows = Tensor.normal([60, 6], using: &generator)
    let quantizer = ResidualQuantizer(fitting: rows, levels: 3, codes: 4, using: &generator)
    let codes = quantizer.distinctCodes(of: rows)
    #expect(Set(codes).count == 60 && codes.allSatisfy { $0.count == 4 })
    // Each level leaves less over than the one before.
    let whole = rows.squared().sum().item
    let left = (rows - quantizer(rows).quantized).squared().sum().item
    #expect(left < 0.5 * whole, "\(left) of \(whole)")
  }
}
