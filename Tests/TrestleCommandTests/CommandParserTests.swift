import Foundation
import Testing
import TrestleCommand
import TrestleFormats

private enum Colour: String, CaseIterable { case red, green }

private struct Sample: ProgramCommand {
  static let name = "sample"
  static let summary = "Does nothing."
  static var options: [CommandOption<Self>] {
    [
      .file("FILE", "FILE", "what to read", \.file),
      .number("--count", "N", in: 1...100, "how many", \.count),
      .number("--rate", "X", in: 0...1, "how fast", \.rate),
      .texts("--likes", "TITLE", "what is liked", \.likes),
      .flag("--loud", "in capitals", \.isLoud), .choice("--colour", "C", "of what colour", \.colour),
      .text("--name", "TEXT", "of what name", \.label), .choices("--colours", "A,B", "several", \.colours),
      CommandOption<Part>.number("--seed", "N", in: 0...UInt64.max, "where numbers come from", \.seed).part(
        \.part),
    ]
  }
  struct Part { var seed: UInt64 = 0 }
  var file: URL?
  var count = 10
  var rate = 0.5
  var likes: [String] = []
  var isLoud = false
  var colour = Colour.red
  var colours = Colour.allCases
  var label: String?
  var part = Part()
  func run() {}
}

@Suite struct CommandParserTests {
  private func parse(_ words: String...) throws -> Sample {
    guard case .run(let sample) = try Sample.parse(words) else { throw UsageError("asked for a text") }
    return sample
  }

  private func message(_ words: String...) -> String {
    do {
      _ = try Sample.parse(words)
      return ""
    } catch { return "\(error)" }
  }

  @Test func readsOptionsOfEveryTypeInAnyOrder() throws {
    let sample = try parse(
      "--likes", "Toy Story", "Heat", "--count=7", "in.csv", "--loud", "--colour", "GREEN", "--likes", "-5",
      "--rate",
      "1", "--name", "a=b", "--colours", "green", "--seed", "18446744073709551615")
    #expect(sample.likes == ["Toy Story", "Heat", "-5"] && sample.count == 7 && sample.isLoud)
    #expect(sample.file?.relativePath == "in.csv" && sample.colour == .green && sample.rate == 1)
    #expect(sample.label == "a=b" && sample.colours == [.green] && sample.part.seed == .max)
    #expect(try parse().likes.isEmpty)
  }

  @Test func saysWhatIsWrongAndWhatIsNear() {
    #expect(message("--cuont", "3") == "unknown option '--cuont'; did you mean --count?")
    #expect(message("--zzzzzzzz") == "unknown option '--zzzzzzzz'; --help lists the options")
    #expect(message("--count", "0") == "--count: expected a number from 1 to 100, found '0'")
    #expect(message("--count", "--loud") == "--count needs a value (N)")
    #expect(message("--count") == "--count needs a value (N)")
    #expect(message("--rate", "nan") == "--rate: expected a number from 0.0 to 1.0, found 'nan'")
    #expect(
      message("--colour", "gren") == "--colour: expected one of red, green, found 'gren'; did you mean green?"
    )
    #expect(message("--loud=yes") == "--loud takes no value, found 'yes'")
    #expect(message("") == "FILE: expected a path, found an empty one")
    #expect(message("--config", "/none.json").hasPrefix("--config /none.json: no such file"))
    #expect(message("a", "b") == "unexpected 'b'; --help says what there is")
  }

  @Test func theConfigurationHoldsEveryOptionAndReadsBack() throws {
    let words = [
      "--likes", "x", "--count", "3", "--loud", "--name", "n", "--rate", "0.25", "--seed", "5", "f",
    ]
    guard case .print(let text) = try Sample.parse(words + ["--print-config"]) else {
      throw UsageError("no text")
    }
    let file = FileManager.default.temporaryDirectory.appending(path: "trestle-\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(text.utf8).write(to: file)
    let sample = try parse("--config", file.path, "--count", "4")
    #expect(sample.count == 4 && sample.likes == ["x"] && sample.isLoud && sample.label == "n")
    #expect(sample.rate == 0.25 && sample.part.seed == 5 && sample.file?.relativePath == "f")
    #expect(try parse("--likes", "y", "--config", file.path).likes == ["y"])
    for (json, expected) in [
      (#"{"cuont": 1}"#, "no option is called 'cuont'; did you mean count?"),
      (#"{"count": [1]}"#, "'count': expected a value, found a JSON array"),
      (#"{"count": 0}"#, "--count: expected a number from 1 to 100, found '0'"),
      (#"{"loud": "no"}"#, "'loud': expected true or false, found a JSON string"), ("{", "malformed"),
    ] {
      try Data(json.utf8).write(to: file)
      #expect(message("--config", file.path).contains(expected))
    }
  }

  @Test func helpNamesEveryOptionItsChoicesAndItsDefault() throws {
    guard case .print(let help) = try Sample.parse(["--help"]) else { throw UsageError("no text") }
    for part in [
      "sample FILE [options]", "--count N", "default 10", "red, green; default red", "--likes TITLE …",
    ] {
      #expect(help.contains(part), "\(help)")
    }
  }
}

private struct Failing: ProgramCommand {
  static let name = "fail"
  static let summary = "Fails."
  static var options: [CommandOption<Self>] { [.text("--how", "WORD", "how", \.how)] }
  var how = ""
  func run() throws {
    switch how {
    case "data": throw FormatError.malformed(.init("f", expected: "a", found: "b"))
    case "disk": throw FormatError.cannotWrite(.init("f", expected: "a", found: "b"))
    case "stop": throw Interruption("kept")
    case "other": throw CocoaError(.fileNoSuchFile)
    default: break
    }
  }
}

@Suite struct ProgramTests {
  private let program = Program("tool", "A tool.", [AnyCommand(Failing.self), AnyCommand(Sample.self)])

  @Test func exitCodesTellUsageDataAndFailureApart() {
    #expect(program.perform(["fail"]) == .success)
    #expect(program.perform(["fail", "--how", "data"]) == .data)
    #expect(program.perform(["fail", "--how", "disk"]) == .failure)
    #expect(program.perform(["fail", "--how", "other"]) == .failure)
    #expect(program.perform(["fail", "--how", "stop"]) == .interrupted)
    #expect(program.perform(["fail", "--what"]) == .usage && program.perform(["fial"]) == .usage)
    #expect(program.perform([]) == .usage && program.perform(["--help"]) == .success)
  }

  @Test func theVersionIsThatOfTheChangelog() throws {
    let versioned = Program("tool", "A tool.", program.commands, version: Release.version)
    #expect(versioned.perform(["--version"]) == .success && program.perform(["--version"]) == .usage)
    #expect(versioned.help.contains("tool --version") && !program.help.contains("--version"))
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let changes = try String(contentsOf: root.appending(path: "CHANGELOG.md"), encoding: .utf8)
    let headings = changes.split(separator: "\n").filter { $0.hasPrefix("## ") && $0 != "## Unreleased" }
    #expect(headings.first?.hasPrefix("## \(Release.version) ") == true, "\(headings.first ?? "")")
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    #expect(readme.contains("from: \"\(Release.version)\""))
  }

  @Test func controlCodesAreEscaped() {
    #expect(printable("a\u{1B}[31m\n\u{202E}é") == #"a\u{1B}[31m\n\u{202E}é"#)
  }

  @Test(arguments: Shell.allCases) func completionKnowsEveryCommandAndOption(_ shell: Shell) throws {
    let script = program.completion(for: shell)
    for word in ["fail", "sample", "how", "colour", "red green", "config"] { #expect(script.contains(word)) }
    guard shell == .bash else { return }
    let process = Process()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = [
      "-c",
      script + "\nCOMP_WORDS=(tool sample --co); COMP_CWORD=2; _tool; echo ${COMPREPLY[@]}"
        + "\nCOMP_WORDS=(tool sample --colour g); COMP_CWORD=3; _tool; echo ${COMPREPLY[@]}",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(text == "--count --colour --colours --config\ngreen\n")
  }
}
