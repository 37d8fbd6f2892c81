import Foundation
import Trestle
import TrestleLanguageModels
import TrestleNN
import TrestleTensor

func seconds(_ body: () -> Void) -> Double {
  let start = DispatchTime.now().uptimeNanoseconds
  body()
  return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
}
let path = CommandLine.arguments[1]
let storage = WeightStorage(rawValue: CommandLine.arguments[2])!
let start = DispatchTime.now().uptimeNanoseconds
let model = try LanguageModels.load(URL(filePath: path), storage: storage)
print("load", Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9)
let mode = CommandLine.arguments[3]
if mode == "logits" {
  let ids = CommandLine.arguments[4].split(separator: ",").map { Int32($0)! }
  let logits = model.logits(model.hiddenStates(tokens: [ids]))
  let last = logits.rows([ids.count - 1])
  let top = last.topK(5)
  print(top.indices, top.values)
} else {
  model.arithmetic = storage == .bfloat16 ? .bfloat16 : .float32
  var generator = RandomGenerator(seed: 1)
  let adapters = try LoRA().load(into: model, using: generator)
  let entities = EntityTokens(userCount: 943, itemCount: 1682, for: model, using: &generator)
  let head = ItemHead(itemCount: 1682)
  let whole = ItemSequenceModel(model: model, entities: entities, head: head)
  let optimizer = AdamW(adapters.parameters + entities.parameters + head.parameters, learningRate: 1e-3, weightDecay: 0)
  optimizer.maximumNorm = 1
  let parameters = adapters.parameters + entities.parameters + head.parameters
  var times: [Double] = []
  for step in 0..<Int(CommandLine.arguments[4])! {
    let batch = (0..<16).map { s in whole.sequence(items: (0..<96).map { ((s * 7 + $0 * 3 + 0 * step) * 31) % 1682 }) }
    let time = seconds {
      let (loss, gradients) = valueAndGradients(of: parameters) { whole.sequenceLoss(batch) }
      optimizer.update(with: gradients)
      print(step, loss.item)
    }
    times.append(time)
    print("tok/s", Double(16 * 95) / time)
  }
}
