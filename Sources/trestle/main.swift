// The command `trestle`: from files of data to recommendations. Each subcommand has a file.
import Trestle
import TrestleCommand

Program(
  "trestle", "Trains, measures and serves recommenders from files of who did what.",
  [
    AnyCommand(Train.self), AnyCommand(Evaluate.self), AnyCommand(Recommend.self), AnyCommand(Compare.self),
    AnyCommand(Study.self), AnyCommand(StudyPages.self), AnyCommand(Export.self), AnyCommand(Inspect.self),
    AnyCommand(Generate.self),
  ]
) { error in
  switch error {
  case is DataError, is TextError, is LanguageModelError, ServingError.invalidState, ServingError.otherData:
    .data
  case is ServingError: .usage
  default: .failure
  }
}.run()
