// Times the operations of TrestleTensor on the shapes that matter to small language models and recommenders.
// `kernel-benchmarks --help` lists the options.
import Foundation
import TrestleCommand

#if DEBUG
  FileHandle.standardError.write(
    Data(
      "kernel-benchmarks: this is a debug build; run it with: swift run -c release kernel-benchmarks\n".utf8)
  )
  exit(64)
#else
  Program.run(KernelBenchmarks.self)
#endif
