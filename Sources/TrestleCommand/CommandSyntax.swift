import Foundation
import TrestleFormats

/// A program or a subcommand whose options are the properties of a value.
///
/// ```swift
/// struct Greeting: ProgramCommand {
///   static let name = "greet"
///   static let summary = "Says hello."
///   static var options: [CommandOption<Self>] {
///     [.text("--name", "TEXT", "whom to greet", \.name), .flag("--loud", "in capitals", \.isLoud)]
///   }
///   var name = "world"
///   var isLoud = false
///   mutating func run() throws { print(isLoud ? name.uppercased() : name) }
/// }
/// Program.run(Greeting.self)
/// ```
package protocol ProgramCommand {
  /// What is typed to run it.
  static var name: String { get }
  /// What it does, in one line.
  static var summary: String { get }
  /// What it reads from the command line, in the order in which the help lists it.
  static var options: [CommandOption<Self>] { get }
  /// What the help says below the options; empty for nothing.
  static var notes: String { get }
  /// The command with every option at its default.
  init()
  /// Does the work.
  ///
  /// - Throws: ``UsageError`` if the options do not fit together.
  mutating func run() throws
}

extension ProgramCommand {
  /// Nothing.
  package static var notes: String { "" }
}

/// What an option may be followed by: for the help and for completion.
package enum OptionValues: Sendable, Equatable {
  /// Nothing.
  case none
  /// A file or a folder.
  case path
  /// One of these words.
  case choices([String])
  /// Anything else.
  case other
}

/// One option of a command, bound to one of its properties.
package struct CommandOption<Command> {
  /// Its name, `--output`; the name of an operand has no dashes.
  package let name: String
  /// What stands for the value in the help.
  package let placeholder: String
  /// What it does.
  package let help: String
  /// What may follow it.
  package let values: OptionValues
  /// Whether it takes all words up to the next option.
  package let takesMany: Bool
  /// Sets the property from the words that follow.
  let set: ([String], inout Command) throws(UsageError) -> Void
  /// The property, as a configuration file writes it.
  let value: (Command) -> JSONLiteral

  /// Whether it is a word that stands alone, not an option with dashes.
  package var isOperand: Bool { !name.hasPrefix("-") }

  /// An option of any type.
  package init(
    _ name: String, _ placeholder: String, _ help: String, values: OptionValues = .other,
    takesMany: Bool = false,
    value: @escaping (Command) -> JSONLiteral,
    set: @escaping ([String], inout Command) throws(UsageError) -> Void
  ) {
    self.name = name
    self.placeholder = placeholder
    self.help = help
    self.values = values
    self.takesMany = takesMany
    self.set = set
    self.value = value
  }

  /// The same option of a command that has `Command` as a part.
  package func part<Whole>(_ path: WritableKeyPath<Whole, Command>) -> CommandOption<Whole> {
    let (set, value) = (set, value)
    return CommandOption<Whole>(
      name, placeholder, help, values: values, takesMany: takesMany, value: { value($0[keyPath: path]) }
    ) { (words, whole) throws(UsageError) in try set(words, &whole[keyPath: path]) }
  }
}

extension CommandOption {
  /// A switch that is off unless it is given.
  package static func flag(
    _ name: String, _ help: String, _ path: WritableKeyPath<Command, Bool>
  ) -> CommandOption {
    CommandOption(name, "", help, values: .none, value: { .bool($0[keyPath: path]) }) { words, command in
      command[keyPath: path] = words.first != "false"
    }
  }

  /// Text.
  package static func text(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, String>
  ) -> CommandOption {
    CommandOption(name, placeholder, help, value: { .string($0[keyPath: path]) }) { words, command in
      command[keyPath: path] = words[0]
    }
  }

  /// Text that may be absent.
  package static func text(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, String?>
  ) -> CommandOption {
    CommandOption(name, placeholder, help, value: { $0[keyPath: path].map { .string($0) } ?? .null }) {
      words, command in
      command[keyPath: path] = words[0]
    }
  }

  /// Any number of texts, in one option or in several.
  package static func texts(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, [String]>
  ) -> CommandOption {
    CommandOption(
      name, placeholder, help, takesMany: true, value: { .array($0[keyPath: path].map { .string($0) }) }
    ) { words, command in
      command[keyPath: path] += words
    }
  }

  /// Words with commas between them that may be absent.
  package static func list(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, [String]?>
  ) -> CommandOption {
    CommandOption(
      name, placeholder, help,
      value: { $0[keyPath: path].map { .string($0.joined(separator: ",")) } ?? .null }
    ) { words, command in
      command[keyPath: path] = words[0].split(separator: ",").map(String.init)
    }
  }

  /// A file or a folder.
  package static func file(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, URL>
  ) -> CommandOption {
    CommandOption(name, placeholder, help, values: .path, value: { .string($0[keyPath: path].relativePath) })
    { (words, command) throws(UsageError) in
      command[keyPath: path] = try place(words[0], name)
    }
  }

  /// A file or a folder that may be absent.
  package static func file(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, URL?>
  ) -> CommandOption {
    CommandOption(
      name, placeholder, help, values: .path,
      value: { $0[keyPath: path].map { .string($0.relativePath) } ?? .null }
    ) { (words, command) throws(UsageError) in
      command[keyPath: path] = try place(words[0], name)
    }
  }

  /// A number within a range.
  package static func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, _ placeholder: String, in range: ClosedRange<Number>, _ help: String,
    _ path: WritableKeyPath<Command, Number>
  ) -> CommandOption {
    CommandOption(name, placeholder, help, value: { .number($0[keyPath: path]) }) {
      (words, command) throws(UsageError) in
      command[keyPath: path] = try parse(words[0], name, in: range)
    }
  }

  /// A number within a range that may be absent.
  package static func number<Number: LosslessStringConvertible & Comparable>(
    _ name: String, _ placeholder: String, in range: ClosedRange<Number>, _ help: String,
    _ path: WritableKeyPath<Command, Number?>
  ) -> CommandOption {
    CommandOption(name, placeholder, help, value: { $0[keyPath: path].map { .number($0) } ?? .null }) {
      (words, command) throws(UsageError) in
      command[keyPath: path] = try parse(words[0], name, in: range)
    }
  }

  /// One of the cases of a type.
  package static func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, Choice>
  ) -> CommandOption where Choice.RawValue == String {
    CommandOption(
      name, placeholder, help, values: .choices(Choice.allCases.map(\.rawValue)),
      value: { .string($0[keyPath: path].rawValue) }
    ) { (words, command) throws(UsageError) in
      command[keyPath: path] = try parse(words[0], name)
    }
  }

  /// Several cases of a type, with commas between them.
  package static func choices<Choice: RawRepresentable & CaseIterable>(
    _ name: String, _ placeholder: String, _ help: String, _ path: WritableKeyPath<Command, [Choice]>
  ) -> CommandOption where Choice.RawValue == String {
    CommandOption(
      name, placeholder, help, values: .choices(Choice.allCases.map(\.rawValue)),
      value: { .string($0[keyPath: path].map(\.rawValue).joined(separator: ",")) }
    ) { (words, command) throws(UsageError) in
      var found: [Choice] = []
      for word in words[0].split(separator: ",") { found.append(try parse(String(word), name)) }
      guard !found.isEmpty else {
        throw UsageError("\(name): expected names with commas between them, found none")
      }
      command[keyPath: path] = found
    }
  }

  /// A path; an empty one would be the current folder, and comes from a shell's variable that is not set.
  private static func place(_ text: String, _ name: String) throws(UsageError) -> URL {
    guard !text.isEmpty else { throw UsageError("\(name): expected a path, found an empty one") }
    return URL(filePath: text)
  }

  private static func parse<Number: LosslessStringConvertible & Comparable>(
    _ text: String, _ name: String, in range: ClosedRange<Number>
  ) throws(UsageError) -> Number {
    guard let number = Number(text), range.contains(number) else {
      throw UsageError(
        "\(name): expected a number from \(range.lowerBound) to \(range.upperBound), found '\(text)'")
    }
    return number
  }

  private static func parse<Choice: RawRepresentable & CaseIterable>(
    _ text: String, _ name: String
  ) throws(UsageError) -> Choice where Choice.RawValue == String {
    if let exact = Choice(rawValue: text) { return exact }
    guard let choice = Choice.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) else {
      let names = Choice.allCases.map(\.rawValue)
      throw UsageError(
        "\(name): expected one of \(names.joined(separator: ", ")), found '\(text)'\(suggestion(text, names))"
      )
    }
    return choice
  }
}

extension JSONLiteral {
  /// A number of any type; what JSON cannot hold exactly becomes text.
  static func number<Number: LosslessStringConvertible>(_ value: Number) -> JSONLiteral {
    if let whole = Int(value.description) { return .int(whole) }
    return Double(value.description).map { .double($0) } ?? .string(value.description)
  }
}
