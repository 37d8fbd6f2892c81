import Foundation

/// The options of a program, read one by one from its command line.
///
/// ```swift
/// var options = CommandLineOptions(help: help)
/// while let option = options.next() {
///   switch option {
///   case "--epochs": epochs = try options.number(in: 1...1000)
///   default: throw options.unknown
///   }
/// }
/// ```
package struct CommandLineOptions {
  private let help: String
  private var rest: ArraySlice<String>
  private var option = ""

  /// The options of this process; `help` is what `--help` prints.
  package init(help: String, _ arguments: [String] = Array(CommandLine.arguments.dropFirst())) {
    self.help = help
    rest = arguments[...]
  }

  /// The next option, `nil` after the last; `--help` and `-h` print the help and end the program.
  package mutating func next() -> String? {
    guard let next = rest.popFirst() else { return nil }
    if next == "--help" || next == "-h" {
      print(help)
      exit(0)
    }
    option = next
    return next
  }

  /// What stands after the option.
  package mutating func value() throws(UsageError) -> String {
    guard let value = rest.popFirst() else { throw UsageError("\(option) needs a value") }
    return value
  }

  /// The file or folder that the option names.
  package mutating func file() throws(UsageError) -> URL { URL(filePath: try value()) }

  /// The number after the option.
  package mutating func number<Number: LosslessStringConvertible & Comparable>(
    in range: ClosedRange<Number>
  ) throws(UsageError) -> Number {
    let text = try value()
    guard let number = Number(text), range.contains(number) else {
      throw UsageError(
        "\(option): expected a number from \(range.lowerBound) to \(range.upperBound), found '\(text)'")
    }
    return number
  }

  /// The case that the option names.
  package mutating func choice<Choice: RawRepresentable & CaseIterable>(
    of type: Choice.Type = Choice.self
  ) throws(UsageError) -> Choice where Choice.RawValue == String {
    let text = try value()
    guard let choice = Choice(rawValue: text) else {
      let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("\(option): expected one of \(names), found '\(text)'")
    }
    return choice
  }

  /// The error for an option that the program does not have.
  package var unknown: UsageError { UsageError("unknown option '\(option)'; --help lists the options") }
}

/// A command line that cannot be understood, or something that the run needs and is not there.
package struct UsageError: Error, CustomStringConvertible {
  /// What is wrong, in one line.
  package let description: String

  /// An error that says what is wrong.
  package init(_ description: String) { self.description = description }
}

/// Runs a program; an error becomes one line on standard error, with exit code 64 if the command line is to blame.
package func run(_ program: String, _ body: () throws -> Void) {
  do {
    try body()
  } catch {
    FileHandle.standardError.write(Data("\(program): \(error)\n".utf8))
    exit(error is UsageError ? 64 : 1)
  }
}
