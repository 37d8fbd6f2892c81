import Foundation
import TrestleFormats

/// A command line that cannot be understood, or something that the run needs and is not there.
package struct UsageError: Error, CustomStringConvertible {
  /// What is wrong, in one line.
  package let description: String

  /// An error that says what is wrong.
  package init(_ description: String) { self.description = description }
}

/// What a command line asks for.
package enum ParsedCommand<Command> {
  /// To run the command.
  case run(Command)
  /// To print a text: the help, or the configuration.
  case print(String)
}

extension ProgramCommand {
  /// Reads a command line.
  ///
  /// Options come in any order, as `--name value` or `--name=value`; those of a configuration file (`--config FILE`)
  /// count where the command line says nothing. `--help` and `--print-config` ask for a text.
  ///
  /// - Parameters:
  ///   - words: the words after the command's name.
  ///   - program: what is typed before the options, for the help.
  /// - Throws: ``UsageError``, and `FormatError` for a configuration file that is no JSON.
  package static func parse(_ words: [String], program: String = name) throws -> ParsedCommand<Self> {
    let options = options
    let found = try collect(words, options)
    if found.asksForHelp { return .print(help(program)) }
    var command = Self()
    if let file = found.configuration {
      let given = Set(found.values.map(\.name))
      try command.apply(configuration: file, options.filter { !given.contains($0.name) }, all: options)
    }
    for (name, words) in found.values {
      for option in options where option.name == name { try option.set(words, &command) }
    }
    return found.asksForConfiguration ? .print(command.configuration) : .run(command)
  }

  /// All options with their values, as a configuration file.
  package var configuration: String {
    let members = Self.options.map { ($0.key, $0.value(self)) }
    let bytes = (try? JSONLiteral.object(members).serialized(pretty: true)) ?? []
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func collect(
    _ words: [String], _ options: [CommandOption<Self>]
  ) throws(UsageError) -> CollectedWords {
    var found = CollectedWords()
    var rest = words[...]
    var operands = options.filter(\.isOperand)[...]
    while var word = rest.popFirst() {
      if word == "--help" || word == "-h" {
        found.asksForHelp = true
        continue
      }
      if word == "--print-config" {
        found.asksForConfiguration = true
        continue
      }
      var attached: String?
      if word.hasPrefix("--"), let sign = word.firstIndex(of: "=") {
        attached = String(word[word.index(after: sign)...])
        word = String(word[..<sign])
      }
      if word == "--config" {
        guard let file = attached ?? rest.popFirst() else { throw UsageError("--config needs a file") }
        guard FileManager.default.fileExists(atPath: file) else {
          throw UsageError("--config \(file): no such file; --print-config prints one to begin with")
        }
        found.configuration = URL(filePath: file)
        continue
      }
      guard let option = options.first(where: { $0.name == word && !$0.isOperand }) else {
        guard !word.hasPrefix("-"), let operand = operands.first else { throw unknown(word, options) }
        found.values.append((operand.name, [word]))
        if !operand.takesMany { operands = operands.dropFirst() }
        continue
      }
      found.values.append((option.name, try values(of: option, attached, &rest)))
    }
    return found
  }

  private static func values(
    of option: CommandOption<Self>, _ attached: String?, _ rest: inout ArraySlice<String>
  ) throws(UsageError) -> [String] {
    if option.values == .none {
      if let attached { throw UsageError("\(option.name) takes no value, found '\(attached)'") }
      return []
    }
    if let attached { return [attached] }
    guard let first = rest.first, !first.hasPrefix("--") else {
      throw UsageError("\(option.name) needs a value (\(option.placeholder))")
    }
    rest = rest.dropFirst()
    var words = [first]
    while option.takesMany, let next = rest.first, !next.hasPrefix("--") {
      words.append(next)
      rest = rest.dropFirst()
    }
    return words
  }

  private static func unknown(_ word: String, _ options: [CommandOption<Self>]) -> UsageError {
    guard word.hasPrefix("-") else {
      return UsageError("unexpected '\(word)'; --help says what there is")
    }
    let names = options.filter { !$0.isOperand }.map(\.name) + ["--help", "--config", "--print-config"]
    let hint = suggestion(word, names)
    return UsageError("unknown option '\(word)'\(hint.isEmpty ? "; --help lists the options" : hint)")
  }

  private mutating func apply(
    configuration file: URL, _ options: [CommandOption<Self>], all: [CommandOption<Self>]
  ) throws {
    let root = try JSONValue(contentsOf: file)
    for (key, value) in try root.object() {
      guard all.contains(where: { $0.key == key }) else {
        throw UsageError(
          "\(file.relativePath): no option is called '\(key)'\(suggestion(key, all.map(\.key)))")
      }
      guard let option = options.first(where: { $0.key == key }), !value.isNull else { continue }
      do {
        let words = try Self.words(value, option)
        if !words.isEmpty { try option.set(words, &self) }
      } catch let error as UsageError {
        throw UsageError("\(file.relativePath): \(error.description)")
      }
    }
  }

  private static func words(_ value: JSONValue, _ option: CommandOption<Self>) throws -> [String] {
    switch (value.kind, option.values == .none) {
    case (.bool, true): return [try value.bool() ? "true" : "false"]
    case (.string, false): return [try value.string()]
    case (.number, false):
      let number = try value.double()
      return [(try? value.int()).map { "\($0)" } ?? "\(number)"]
    case (.array, false) where option.takesMany: return try value.array().map { try $0.string() }
    default:
      let expected =
        option.values == .none ? "true or false" : option.takesMany ? "a list of texts" : "a value"
      throw UsageError("'\(option.key)': expected \(expected), found a JSON \(value.kind.rawValue)")
    }
  }
}

/// The words of a command line, sorted by what they belong to.
private struct CollectedWords {
  var values: [(name: String, words: [String])] = []
  var asksForHelp = false
  var asksForConfiguration = false
  var configuration: URL?
}

extension CommandOption {
  /// The option's name in a configuration file.
  var key: String { String(name.drop { $0 == "-" }) }
}

/// "; did you mean X?" for the nearest of some names, empty if none is near.
package func suggestion(_ word: String, _ names: [String]) -> String {
  let wanted = Array(word.lowercased().unicodeScalars.prefix(100))
  let distances = names.map { ($0, editDistance(wanted, Array($0.lowercased().unicodeScalars))) }
  guard let best = distances.min(by: { $0.1 < $1.1 }),
    best.1 <= (wanted.count < 4 ? 1 : max(2, wanted.count / 3))
  else { return "" }
  return "; did you mean \(best.0)?"
}

/// Levenshtein's distance.
private func editDistance(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
  var row = Array(0...second.count)
  for (i, scalar) in first.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in second.enumerated() {
      let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (scalar == other ? 0 : 1))
      diagonal = row[j + 1]
      row[j + 1] = next
    }
  }
  return row[second.count]
}
