// Trains recommenders on one data set and prints a leaderboard. `recommender-leaderboard --help` lists the options.
import Foundation
import Trestle

do {
  let options = try Options(CommandLine.arguments.dropFirst())
  if let threads = options.threads { ThreadPool.shared.setThreadCount(threads) }
  if options.showsHelp {
    print(Options.help)
  } else if let interactions = options.scale {
    try ScaleCheck(interactions: interactions).run()
  } else {
    try LeaderboardRun(options).run()
  }
} catch {
  FileHandle.standardError.write(Data("recommender-leaderboard: \(error)\n".utf8))
  exit(64)
}
