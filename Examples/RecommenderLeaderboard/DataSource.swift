import Foundation
import Trestle
import TrestleCommand

/// Finds and reads the data.
enum DataSource {
  /// The data that the options ask for, or the best there is.
  static func read(_ options: Options, _ log: ProgressLog) throws -> Dataset {
    if let folder = options.data { return try read(folder, log) }
    let movieLens = options.assets.appending(path: "recbole/recbole/dataset_example/ml-100k")
    if FileManager.default.fileExists(atPath: movieLens.path) { return try read(movieLens, log) }
    log.line("MovieLens-100K is not in \(options.assets.path): a synthetic world takes its place")
    return try SyntheticWorld(seed: 0).dataset()
  }

  private static func read(_ folder: URL, _ log: ProgressLog) throws -> Dataset {
    let names = try files(in: folder)
    let readOptions = ReadOptions { progress in
      log.status(
        "reading \(URL(fileURLWithPath: progress.path).lastPathComponent): "
          + "\(progress.bytesRead >> 20) of \(progress.totalBytes >> 20) MiB")
    }
    defer { log.clear() }
    if let file = names.first(where: { $0.hasSuffix(".inter") }) {
      return try Dataset.recBole(at: folder, name: String(file.dropLast(6)), options: readOptions)
    }
    if names.contains(where: ["u.data", "ratings.dat", "ratings.csv"].contains) {
      return try Dataset.movieLens(at: folder, options: readOptions)
    }
    if names.contains("reviews.jsonl") {
      let metadata = names.contains("meta.jsonl") ? folder.appending(path: "meta.jsonl") : nil
      return try Dataset.amazon(
        reviews: folder.appending(path: "reviews.jsonl"), metadata: metadata, options: readOptions)
    }
    if names.contains("interactions.csv") {
      let file = folder.appending(path: "interactions.csv")
      var columns = DelimitedColumns()
      let header = try FileHandle(forReadingFrom: file).read(upToCount: 4096) ?? Data()
      let first = String(decoding: header, as: UTF8.self).prefix { !$0.isNewline }
      if first.split(separator: ",").contains("timestamp") { columns.timestamp = "timestamp" }
      return try Dataset.delimited(file, columns: columns, options: readOptions)
    }
    throw UsageError(
      "\(folder.path) holds none of *.inter, u.data, ratings.dat, ratings.csv, reviews.jsonl and "
        + "interactions.csv")
  }

  private static func files(in folder: URL) throws -> [String] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else {
      throw UsageError("\(folder.path) is no folder that can be read")
    }
    return names.sorted()
  }

  /// Keeps a share of each user's training rows, at least one.
  static func thinned(_ split: DataSplit, to share: Double, seed: UInt64) -> DataSplit {
    if share >= 1 { return split }
    var generator = RandomGenerator(seed: seed)
    let (offsets, rows) = split.training.rowsByUser()
    var kept: [Int32] = []
    for user in 0..<split.userCount {
      var own = Array(rows[offsets[user]..<offsets[user + 1]])
      generator.shuffle(&own)
      kept.append(contentsOf: own.prefix(max(1, Int(Double(own.count) * share + 0.5))).sorted())
    }
    return DataSplit(
      training: split.training.selecting(rows: kept), validation: split.validation, test: split.test,
      strategy: split.strategy + ", \(share) of the training rows")
  }
}
