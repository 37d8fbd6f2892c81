// Times language models and recommenders. `model-benchmarks --help` lists the options.
import Foundation

#if DEBUG
  FileHandle.standardError.write(
    Data("model-benchmarks: this is a debug build; run it with: swift run -c release model-benchmarks\n".utf8)
  )
  exit(64)
#else
  do {
    let options = try Options(CommandLine.arguments.dropFirst())
    if options.showsHelp {
      print(Options.help)
    } else {
      try ModelBenchmarks(options).run(RecommenderCases.all)
    }
  } catch {
    FileHandle.standardError.write(Data("model-benchmarks: \(error)\n".utf8))
    exit(64)
  }
#endif
