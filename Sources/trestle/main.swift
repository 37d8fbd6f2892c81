// The command `trestle`: from files of data to recommendations. Each subcommand has a file.
import Foundation
import Trestle
import TrestleCommand

/// How the program ends at an error of the library.
func exitCodeOfLibrary(_ error: any Error) -> ExitCode {
  switch error {
  case is DataError, is TextError, is LanguageModelError, ServingError.invalidState, ServingError.otherData:
    .data
  case is ServingError: .usage
  default: .failure
  }
}

let program = Program(
  "trestle", "Trains, measures and serves recommenders from files of who did what.",
  [
    AnyCommand(Train.self), AnyCommand(Evaluate.self), AnyCommand(Recommend.self), AnyCommand(Compare.self),
    AnyCommand(Study.self), AnyCommand(StudyPages.self), AnyCommand(Export.self), AnyCommand(Inspect.self),
    AnyCommand(Generate.self),
  ], version: Release.version, exitCode: exitCodeOfLibrary)
Ranks.end(program.perform(Array(CommandLine.arguments.dropFirst())))
