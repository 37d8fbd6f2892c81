// Times language models and recommenders. `model-benchmarks --help` lists the options.
import Foundation
import TrestleCommand

#if DEBUG
  FileHandle.standardError.write(
    Data("model-benchmarks: this is a debug build; run it with: swift run -c release model-benchmarks\n".utf8)
  )
  exit(64)
#else
  Program.run(ModelBenchmarks.self)
#endif
