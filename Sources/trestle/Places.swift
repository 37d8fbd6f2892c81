import Foundation
import Trestle
import TrestleCommand

/// The recommender in a folder that the user names.
func savedRecommender(_ folder: URL) throws -> SavedRecommender {
  var isFolder: ObjCBool = false
  guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else {
    throw UsageError(
      "--recommender \(folder.relativePath): nothing is there; trestle train --output DIR saves a recommender"
    )
  }
  guard isFolder.boolValue else {
    throw UsageError(
      "--recommender \(folder.relativePath): expected the folder that trestle train has saved, found a file")
  }
  return try SavedRecommender(contentsOf: folder)
}

/// Where the language model is: at a place that the user names, or among the assets.
func languageModel(_ named: URL?) throws -> URL {
  guard let named else {
    do { return try Assets().smolLM2 } catch {
      throw UsageError("\(error), --model PATH names another model")
    }
  }
  guard FileManager.default.fileExists(atPath: named.path) else {
    throw UsageError(
      "--model \(named.relativePath): nothing is there; expected a GGUF file or a Hugging Face folder")
  }
  return named
}
