// Times the operations of TrestleTensor on the shapes that matter to small language models and recommenders.
// `kernel-benchmarks --help` lists the options.
import BenchmarkSupport
import Foundation

#if DEBUG
  FileHandle.standardError.write(
    Data(
      "kernel-benchmarks: this is a debug build; run it with: swift run -c release kernel-benchmarks\n".utf8))
  exit(64)
#else
  do {
    let options = try Options(CommandLine.arguments.dropFirst())
    if options.showsHelp {
      print(KernelBenchmarks.help)
    } else {
      try KernelBenchmarks.run(options)
    }
  } catch {
    FileHandle.standardError.write(Data("kernel-benchmarks: \(error)\n".utf8))
    exit(64)
  }
#endif
