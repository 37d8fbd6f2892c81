import Testing
import TrestleFormats

/// The error that `body` throws; the test fails if it throws none.
func formatError(
  _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> FormatError? {
  do {
    try body()
    Issue.record("no error was thrown", sourceLocation: sourceLocation)
  } catch let error as FormatError {
    return error
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
  return nil
}
