import Foundation
import Trestle

enum ReportWriter {
  static func write(_ data: ReportData, to folder: URL) throws {
    let encoder = JSONEncoder()
    try AtomicFile.write(Array(try encoder.encode(data)), to: folder.appending(path: "report.json"))
  }
}
