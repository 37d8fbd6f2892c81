import Foundation
import Testing
import TrestleTestSupport

extension TemporaryFolder {
  /// Changes what the checkpoint in the folder says of the training that it belongs to.
  func editCursor(_ change: (inout [String: Any]) throws -> Void) throws {
    let file = url.appending(path: "checkpoint.json")
    var root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    var cursor = try #require(root["cursor"] as? [String: Any])
    try change(&cursor)
    root["cursor"] = cursor
    try JSONSerialization.data(withJSONObject: root).write(to: file)
  }

  /// The file of the best parameters so far.
  var bestFile: URL {
    get throws { url.appending(path: try #require(try names.first { $0.hasPrefix("best-") })) }
  }
}
