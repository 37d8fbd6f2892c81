import Foundation
import Trestle

extension FuzzTarget {
  /// Click models: tables, saved folders, each file with hashes that fit, and trainings that go on.
  static var clicks: [FuzzTarget] {
    [
      FuzzTarget("click-table", seeds: { [Array(rows.utf8)] }) { bytes in
        let file = try Scratch.file("clicks.csv", bytes)
        var options = ReadOptions()
        options.onBadLine = .skip
        let (table, _) = try FeatureTable.delimited(file, columns: columns, options: options)
        _ = try table.batch(rows: 0..<table.rowCount)
        _ = table.hash
        let again = try FeatureTable.delimited(file, columns: columns, schema: table.schema, options: options)
        precondition(again.table.hash == table.hash, "a table that its own schema reads otherwise")
        options.onBadLine = .fail
        _ = try FeatureTable.delimited(file, columns: columns, options: options)
      },
      saved("manifest.json", "DIN"), saved("schema.json", "DIN"), saved("model.safetensors", "DIN"),
      saved("manifest.json", "DCN"), saved("manifest.json", "DLRM"),
      FuzzTarget("click-checkpoint", seeds: { [try trainingFiles.get()["checkpoint.json"] ?? []] }) { bytes in
        var files = try trainingFiles.get()
        files["checkpoint.json"] = bytes
        let folder = try Scratch.subfolder("click-checkpoint")
        for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
        let trainer = try clickTrainer(epochs: 3)
        let before = trainer.model.parameters.map { $0.detached.floats }
        do {
          try trainer.fit(validation: clickTable.get(), checkpoint: folder)
        } catch {
          // What was taken over may hold numbers that training then trips over.
          precondition(
            trainer.model.parameters.map { $0.detached.floats } == before || trainer.epoch > 0
              || error is TensorError,
            "a refused state has changed the model")
          throw error
        }
      },
    ]
  }

  private static let rows =
    "click,user,age,film,seen,note,at\n1,ann,24,Emma,Ran|Ikiru,so slow,2024-05-17\n"
    + "0,bob,53,\"Ran\",,,1715941800\n1,ann,7,,Emma,\"Slow, Ann\",1715941800000\n"

  private static var columns: FeatureColumns {
    var columns = FeatureColumns()
    (columns.label, columns.user, columns.numbers) = ("click", "user", ["age"])
    (columns.categories, columns.lists, columns.vocabularies) = (["film"], ["seen"], ["seen": "film"])
    (columns.texts, columns.textBuckets, columns.times) = (["note"], 5, ["at"])
    return columns
  }

  private static let clickTable = Result {
    try FeatureTable.delimited(Scratch.file("click-seed.csv", Array(rows.utf8)), columns: columns).table
  }

  private static func clickModel(_ name: String) throws -> any ClickModel {
    var generator = RandomGenerator(seed: 1)
    let schema = try clickTable.get().schema
    switch name {
    case "DCN":
      var shape = DCN.Configuration()
      (shape.dimension, shape.hidden, shape.rank) = (2, [3], 2)
      return DCN(schema, configuration: shape, using: &generator)
    case "DLRM":
      var shape = DLRM.Configuration()
      (shape.dimension, shape.bottomHidden, shape.topHidden) = (2, [3], [3])
      return DLRM(schema, configuration: shape, using: &generator)
    default:
      var shape = DIN.Configuration()
      (shape.dimension, shape.attentionHidden, shape.hidden, shape.dropout) = (2, [3], [3], 0.1)
      return try DIN(schema, target: "film", history: "seen", configuration: shape, using: &generator)
    }
  }

  private static func saved(_ name: String, _ model: String) -> FuzzTarget {
    let label = "clicks-\(model.lowercased())-\(name)"
    return FuzzTarget(label, seeds: { [try folder(of: model)[name] ?? []] }) { bytes in
      var files = try folder(of: model)
      if name != "manifest.json" {
        files["manifest.json"] = try rehashed(files["manifest.json"] ?? [], name, bytes)
      }
      files[name] = bytes
      let folder = try Scratch.subfolder(label)
      for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
      let fitted = try FittedClickModel(contentsOf: folder)
      var row: [String: FeatureValue] = [:]
      for field in fitted.schema.fields {
        switch field.kind {
        case .number: row[field.name] = 30
        case .category: row[field.name] = "Ran"
        case .list: row[field.name] = ["Emma", "nobody knows"]
        case .text: row[field.name] = "Emma, by nobody"
        case .time: row[field.name] = .time(1e9)
        }
      }
      let chance = try fitted.probability(of: row)
      precondition(chance >= 0 && chance <= 1, "a chance of \(chance)")
    }
  }

  private nonisolated(unsafe) static var madeFolders: [String: [String: [UInt8]]] = [:]

  /// The files of a saved model; made once.
  private static func folder(of model: String) throws -> [String: [UInt8]] {
    if let files = madeFolders[model] { return files }
    let folder = Scratch.folder.appending(path: "click-seed-\(model)")
    try FittedClickModel(clickModel(model)).save(to: folder)
    let files = try contents(of: folder)
    madeFolders[model] = files
    return files
  }

  private static func contents(of folder: URL) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Array(Data(contentsOf: folder.appending(path: name)))
    }
    return files
  }

  private static func clickTrainer(epochs: Int) throws -> ClickTrainer {
    var configuration = ClickTrainingConfiguration()
    (configuration.epochs, configuration.patience) = (epochs, 50)
    return try ClickTrainer(clickModel("DIN"), training: clickTable.get(), configuration: configuration)
  }

  private static let trainingFiles = Result {
    let folder = try Scratch.subfolder("click-checkpoint-seed")
    try clickTrainer(epochs: 2).fit(validation: clickTable.get(), checkpoint: folder)
    return try contents(of: folder)
  }
}
