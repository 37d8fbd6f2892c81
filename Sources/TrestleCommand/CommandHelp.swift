import TrestleFormats

extension ProgramCommand {
  /// The help: how to call the command, and a line or more for every option with its default.
  package static func help(_ program: String = name) -> String {
    let options = options
    let operands = options.filter(\.isOperand).map { $0.takesMany ? "\($0.placeholder) …" : $0.placeholder }
    var lines = [([program] + operands + ["[options]"]).joined(separator: " "), "", summary, ""]
    let defaults = Self()
    var rows = options.map { option in
      (Self.head(option), option.help + Self.described(option, defaults))
    }
    rows.append(("--config FILE", "reads options from a JSON file; the command line goes before it"))
    rows.append(("--print-config", "prints all options as such a file, and ends"))
    rows.append(("--help", "prints this text"))
    let width = min(rows.map(\.0.count).max() ?? 0, 26) + 4
    for (head, text) in rows {
      let start = "  " + head
      var padded = start.padding(to: width + 2)
      if start.count > width {
        lines.append(start)
        padded = "".padding(to: width + 2)
      }
      for line in wrapped(text, to: 110 - width) {
        lines.append(padded + line)
        padded = "".padding(to: width + 2)
      }
    }
    if !notes.isEmpty { lines += ["", notes] }
    return lines.joined(separator: "\n")
  }

  private static func head(_ option: CommandOption<Self>) -> String {
    if option.isOperand { return option.placeholder }
    let value = option.placeholder.isEmpty ? "" : " " + option.placeholder
    return option.name + value + (option.takesMany ? " …" : "")
  }

  /// The choices and the default, in parentheses.
  private static func described(_ option: CommandOption<Self>, _ defaults: Self) -> String {
    var parts: [String] = []
    if case .choices(let names) = option.values { parts.append(names.joined(separator: ", ")) }
    switch option.value(defaults) {
    case .string(let text) where !text.isEmpty: parts.append("default \(text)")
    case .int(let number): parts.append("default \(number)")
    case .double(let number): parts.append("default \(number)")
    default: break
    }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: "; ")))"
  }
}

extension String {
  fileprivate func padding(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}

/// The text in lines of at most so many characters, cut between words.
private func wrapped(_ text: String, to width: Int) -> [String] {
  var lines = [""]
  for word in text.split(separator: " ") {
    let last = lines[lines.count - 1]
    if last.isEmpty {
      lines[lines.count - 1] = String(word)
    } else if last.count + 1 + word.count <= width {
      lines[lines.count - 1] = last + " " + word
    } else {
      lines.append(String(word))
    }
  }
  return lines
}
