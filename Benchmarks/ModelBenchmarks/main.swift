// Times language models and recommenders. `model-benchmarks --help` lists the options.
import Foundation

#if DEBUG
  FileHandle.standardError.write(
    Data("model-benchmarks: this is a debug build; run it with: swift run -c release model-benchmarks\n".utf8)
  )
  exit(64)
#else
  do {
    try ModelBenchmarks.run(CommandLine.arguments.dropFirst())
  } catch {
    FileHandle.standardError.write(Data("model-benchmarks: \(error)\n".utf8))
    exit(64)
  }
#endif
