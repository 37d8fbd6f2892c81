// Serves what `trestle train` has saved: JSON, metrics, and a page to try it. See README.md.
import Foundation
import RecommendationService

struct Usage: Error, CustomStringConvertible { let description: String }

/// The command line: a folder and options.
struct Options {
  static let help = """
    trestle-server FOLDER [options]

    Serves the recommender that trestle train has saved in FOLDER, as JSON and on a page; a folder that is exchanged is reloaded.

      --address A     the address to listen on (127.0.0.1: this machine alone)
      --port N        the port; 0 for any that is free (8080)
      --threads N     how many requests are answered at a time (as many as there are cores, at least 2)
      --model PATH    where a hybrid's language model is, if it has moved
      --probes N      looks into N cells of an index of the items, for large catalogues, rather than at every item
      --help          this text

    GET /recommend?user=ID&count=N&reasons=N, POST /recommend with {"titles": [...]}, POST /interactions, GET /health, /metrics and /.
    Exit codes: 2 the command line is wrong or the port is taken, 3 the folder does not hold what it should.
    """
  var asksForHelp = false
  var folder: URL?
  var address = "127.0.0.1"
  var port: UInt16 = 8080
  var threads = max(2, ProcessInfo.processInfo.activeProcessorCount)
  var model: URL?
  var probes: Int?

  init(_ words: ArraySlice<String>) throws {
    var rest = words
    while let word = rest.popFirst() {
      func value() throws -> String {
        guard let value = rest.popFirst() else { throw Usage(description: "\(word) needs a value") }
        return value
      }
      func number<Number: FixedWidthInteger>(_ range: ClosedRange<Number>) throws -> Number {
        let text = try value()
        guard let number = Number(text), range.contains(number) else {
          throw Usage(
            description:
              "\(word): expected a number from \(range.lowerBound) to \(range.upperBound), found '\(text)'")
        }
        return number
      }
      switch word {
      case "--help", "-h": asksForHelp = true
      case "--address": address = try value()
      case "--port": port = try number(0...UInt16.max)
      case "--threads": threads = try number(1...256)
      case "--probes": probes = try number(1...1_000_000)
      case "--model": model = URL(filePath: try value())
      case _ where !word.hasPrefix("-") && folder == nil: folder = URL(filePath: word)
      default:
        throw Usage(
          description:
            "unknown '\(word)'; trestle-server FOLDER [--address A] [--port N] [--threads N] [--model PATH] [--probes N]"
        )
      }
    }
  }
}

func fail(_ error: any Error, _ code: Int32) -> Never {
  FileHandle.standardError.write(Data("trestle-server: \(error)\n".utf8))
  exit(code)
}

do {
  let options = try Options(CommandLine.arguments.dropFirst())
  if options.asksForHelp {
    print(Options.help)
    exit(0)
  }
  guard let folder = options.folder else {
    throw Usage(description: "expected the folder of a recommender that trestle train has saved")
  }
  let service = try Service(folder, model: options.model, probes: options.probes)

  // Signals are taken here alone: threads that are made from now on inherit that they are blocked.
  var signals = sigset_t()
  sigemptyset(&signals)
  sigaddset(&signals, SIGINT)
  sigaddset(&signals, SIGTERM)
  pthread_sigmask(SIG_BLOCK, &signals, nil)
  guard
    let server = HTTPServer(service, address: options.address, port: options.port, threads: options.threads)
  else { throw Usage(description: "cannot listen on \(options.address):\(options.port)") }
  print("http://\(options.address):\(server.port)/ with \(options.threads) threads; Ctrl-C ends")
  fflush(nil)
  let watch = Thread {
    while true {
      Thread.sleep(forTimeInterval: 0.5)
      if service.reloadIfExchanged() {
        print("reloaded \(folder.relativePath)")
        fflush(nil)
      }
    }
  }
  watch.start()
  var signal: Int32 = 0
  sigwait(&signals, &signal)
  server.stop()
} catch let error as Usage {
  fail(error, 2)
} catch {
  fail(error, 3)
}
