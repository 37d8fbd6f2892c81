import Foundation
import TrestleFormats

/// How a program ends.
package enum ExitCode: Int32, Sendable {
  /// All went well.
  case success = 0
  /// Something failed that neither the command line nor the data is to blame for.
  case failure = 1
  /// The command line cannot be understood, or names what is not there.
  case usage = 2
  /// A file does not hold what it should.
  case data = 3
  /// The user stopped the program.
  case interrupted = 130
}

/// An error that says how the program ends.
package protocol ExitCodeProviding: Error {
  /// The code.
  var exitCode: ExitCode { get }
}

extension UsageError: ExitCodeProviding {
  /// ``ExitCode/usage``.
  package var exitCode: ExitCode { .usage }
}

/// The user stopped the program; the text says what has been kept.
package struct Interruption: ExitCodeProviding, CustomStringConvertible {
  /// What has been kept, and how to go on.
  package let description: String
  /// ``ExitCode/interrupted``.
  package var exitCode: ExitCode { .interrupted }

  /// An interruption.
  package init(_ description: String) { self.description = description }
}

/// A command without its type, as one of several of a program.
package struct AnyCommand {
  /// What is typed to run it.
  package let name: String
  /// What it does, in one line.
  package let summary: String
  /// Its options with what may follow them.
  let options: [(name: String, values: OptionValues)]
  /// Reads the words and runs.
  let run: ([String], String) throws -> Void

  /// A command.
  package init<Command: ProgramCommand>(_ type: Command.Type) {
    name = Command.name
    summary = Command.summary
    options =
      Command.options.map { ($0.isOperand ? "" : $0.name, $0.values) }
      + [("--config", .path), ("--print-config", .none), ("--help", .none)]
    run = { words, program in
      switch try Command.parse(words, program: program) {
      case .print(let text): print(text)
      case .run(var command): try command.run()
      }
    }
  }
}

/// A program: reads its command line, runs, and turns an error into one line and an exit code.
package struct Program {
  /// Its name.
  package let name: String
  /// What it does, in one line.
  package let summary: String
  /// Its commands.
  package let commands: [AnyCommand]
  /// What the help says at the end.
  package let notes: String
  /// The version, where `--version` asks for it.
  package let version: String?
  private let exitCode: (any Error) -> ExitCode

  /// A program of several commands.
  ///
  /// - Parameter exitCode: the code for errors that do not say it themselves.
  package init(
    _ name: String, _ summary: String, _ commands: [AnyCommand], notes: String = "", version: String? = nil,
    exitCode: @escaping (any Error) -> ExitCode = { _ in .failure }
  ) {
    self.name = name
    self.summary = summary
    self.commands = commands
    self.notes = notes
    self.version = version
    self.exitCode = exitCode
  }

  /// Runs a program of one command with this process' command line, and ends the process if it fails.
  package static func run<Command: ProgramCommand>(
    _ type: Command.Type, exitCode: @escaping (any Error) -> ExitCode = { _ in .failure }
  ) {
    let program = Program(Command.name, Command.summary, [AnyCommand(type)], exitCode: exitCode)
    program.end(program.perform(Array(CommandLine.arguments.dropFirst())))
  }

  /// Runs the program with this process' command line, and ends the process if it fails.
  package func run() { end(perform(Array(CommandLine.arguments.dropFirst()))) }

  /// Runs the program; errors are printed.
  package func perform(_ words: [String]) -> ExitCode {
    do {
      try dispatch(words)
      return .success
    } catch {
      let code = (error as? any ExitCodeProviding)?.exitCode ?? Self.exitCode(error) ?? exitCode(error)
      FileHandle.standardError.write(Data((printable("\(name): \(error)") + "\n").utf8))
      return code
    }
  }

  /// The code for a file that is not what it should be; that it cannot be written is no fault of its contents.
  package static func exitCode(_ error: any Error) -> ExitCode? {
    guard let error = error as? FormatError else { return nil }
    if case .cannotWrite = error { return .failure }
    return .data
  }

  private func end(_ code: ExitCode) {
    if code != .success { exit(code.rawValue) }
  }

  private func dispatch(_ words: [String]) throws {
    if words.first == "--completion" {
      guard words.count == 2, let shell = Shell(rawValue: words[1]) else {
        let names = Shell.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError("--completion needs the name of a shell: \(names)")
      }
      print(completion(for: shell))
      return
    }
    if let version, words == ["--version"] { return print("\(name) \(version)") }
    if commands.count == 1 { return try commands[0].run(words, name) }
    guard let word = words.first, word != "--help", word != "-h", word != "help" else {
      print(help)
      if words.isEmpty {
        throw UsageError("expected a command: \(commands.map(\.name).joined(separator: ", "))")
      }
      return
    }
    guard let command = commands.first(where: { $0.name == word }) else {
      let names = commands.map(\.name)
      let hint = suggestion(word, names)
      throw UsageError(
        "unknown command '\(word)'\(hint.isEmpty ? "; there are \(names.joined(separator: ", "))" : hint)")
    }
    try command.run(Array(words.dropFirst()), "\(name) \(command.name)")
  }

  /// The commands, a line each.
  package var help: String {
    let width = (commands.map(\.name.count).max() ?? 0) + 4
    let rows = commands.map { command in
      "  " + command.name + String(repeating: " ", count: width - command.name.count) + command.summary
    }
    let lines =
      ["\(name) COMMAND [options]", "", summary, ""] + rows
      + [
        "",
        "\(name) COMMAND --help lists a command's options; \(name) --completion bash|zsh|fish prints what a shell "
          + "needs to complete them."
          + (version == nil ? "" : " \(name) --version says which version this is."),
        "Exit codes: 1 something failed, 2 the command line is wrong, 3 a file is not what it should be, "
          + "130 interrupted.",
      ]
    return (notes.isEmpty ? lines : lines + ["", notes]).joined(separator: "\n")
  }
}

/// The package's version.
package enum Release {
  /// The last version that has a heading in the changelog.
  package static let version = "0.1.0"
}

/// The text in one line that a terminal shows as it is: control codes, line ends and marks that turn the direction of
/// writing are escaped.
package func printable(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: result += scalar.escaped(asASCII: true)
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
