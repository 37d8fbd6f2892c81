/// The shells that options are completed in.
package enum Shell: String, Sendable, CaseIterable {
  case bash
  case zsh
  case fish
}

extension Program {
  /// A script that completes the program's commands and options.
  ///
  ///     source <(trestle --completion bash)
  ///     trestle --completion fish | source
  package func completion(for shell: Shell) -> String {
    switch shell {
    case .bash: bashCompletion
    case .zsh: "autoload -U +X bashcompinit && bashcompinit\n" + bashCompletion
    case .fish: fishCompletion
    }
  }

  private var bashCompletion: String {
    let function = "_" + name.replacing("-", with: "_")
    var lines = ["\(function)() {", "  local word=\"${COMP_WORDS[COMP_CWORD]}\""]
    lines.append("  local before=\"${COMP_WORDS[COMP_CWORD-1]}\"")
    if commands.count > 1 {
      let names = commands.map(\.name).joined(separator: " ")
      lines.append(
        "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W \"\(names)\" -- \"$word\")); return; fi")
    }
    lines.append("  case \"\(commands.count > 1 ? "${COMP_WORDS[1]}" : name)\" in")
    for command in commands {
      lines.append("  \(command.name))")
      lines.append("    case \"$before\" in")
      for option in command.options where !option.name.isEmpty {
        switch option.values {
        case .none, .other: continue
        case .path: lines.append("    \(option.name)) COMPREPLY=($(compgen -f -- \"$word\")); return ;;")
        case .choices(let names):
          let words = names.joined(separator: " ")
          lines.append("    \(option.name)) COMPREPLY=($(compgen -W \"\(words)\" -- \"$word\")); return ;;")
        }
      }
      lines.append("    esac")
      let names = command.options.map(\.name).filter { !$0.isEmpty }.joined(separator: " ")
      let files =
        command.options.contains { $0.name.isEmpty && $0.values == .path }
        ? " $(compgen -f -- \"$word\")" : ""
      lines.append("    COMPREPLY=($(compgen -W \"\(names)\" -- \"$word\")\(files)) ;;")
    }
    lines += ["  esac", "}", "complete -o filenames -F \(function) \(name)"]
    return lines.joined(separator: "\n")
  }

  private var fishCompletion: String {
    var lines = ["complete -c \(name) -f"]
    for command in commands {
      var condition = ""
      if commands.count > 1 {
        let summary = command.summary.replacing("'", with: "\\'")
        lines.append("complete -c \(name) -n __fish_use_subcommand -a \(command.name) -d '\(summary)'")
        condition = " -n '__fish_seen_subcommand_from \(command.name)'"
      }
      for option in command.options where !option.name.isEmpty {
        let long = option.name.drop { $0 == "-" }
        let values =
          switch option.values {
          case .none: ""
          case .path: " -r -F"
          case .choices(let names): " -x -a '\(names.joined(separator: " "))'"
          case .other: " -x"
          }
        lines.append("complete -c \(name)\(condition) -l \(long)\(values)")
      }
      if command.options.contains(where: { $0.name.isEmpty && $0.values == .path }) {
        lines.append("complete -c \(name)\(condition) -F")
      }
    }
    return lines.joined(separator: "\n")
  }
}
