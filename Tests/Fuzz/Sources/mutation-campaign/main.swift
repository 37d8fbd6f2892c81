import Foundation
import FuzzTargets

#if canImport(Glibc)
  import Glibc
#endif

// Damages the inputs of every reader and saved state and counts what happens.
//
//   mutation-campaign [--inputs N] [--seed S] [--targets a,b] [--corpus FOLDER] [--list] [--kills N]
//
// N inputs are shared out among the targets. Each target runs in processes of its own, so that a signal in one is counted
// and the next input goes on. An input that takes more than a second of processor time or ten on the clock, or whose process
// takes more than 64 MB + 20 times the input beyond what it had, is counted too. With --kills, processes that train and save
// are killed N times instead.

struct Options {
  var inputs = 30_000
  var seed: UInt64 = 1
  var targets: [String] = []
  var corpus: String?
  var kills: Int?
  var saving: (task: KillTask, folder: URL)?
  var worker: (name: String, first: Int, count: Int)?

  init(_ arguments: [String]) {
    var rest = arguments.dropFirst()
    while let option = rest.popFirst() {
      switch option {
      case "--inputs": inputs = rest.popFirst().flatMap { Int($0) } ?? inputs
      case "--seed": seed = rest.popFirst().flatMap { UInt64($0) } ?? seed
      case "--targets": targets = rest.popFirst()?.split(separator: ",").map(String.init) ?? []
      case "--corpus": corpus = rest.popFirst()
      case "--kills": kills = rest.popFirst().flatMap { Int($0) }
      case "--save":
        guard let task = rest.popFirst().flatMap({ KillTask(rawValue: $0) }), let place = rest.popFirst()
        else {
          fatalError("--save TASK FOLDER")
        }
        saving = (task, URL(filePath: place))
      case "--list":
        for target in FuzzTarget.all { print(target.name) }
        exit(0)
      case "--worker":
        guard let name = rest.popFirst(), let first = rest.popFirst().flatMap({ Int($0) }),
          let count = rest.popFirst().flatMap({ Int($0) })
        else { fatalError("--worker NAME FIRST COUNT") }
        worker = (name, first, count)
      default:
        print("unknown option \(option)")
        exit(2)
      }
    }
  }
}

let options = Options(CommandLine.arguments)
if let corpus = options.corpus {
  try writeCorpus(to: URL(filePath: corpus))
} else if let worker = options.worker {
  try work(worker.name, from: worker.first, count: worker.count, seed: options.seed)
} else if let saving = options.saving {
  try saving.task.run(in: saving.folder)
} else if let kills = options.kills {
  exit(try KillCampaign(count: kills, seed: options.seed).run() ? 0 : 1)
} else {
  exit(try Campaign(options).run() ? 0 : 1)
}
