import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Columns of texts and times.
@Suite struct TypedColumnTests {
  private func message(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "no error"
  }

  private func words(_ texts: [String], buckets: Int = 1 << 20) throws -> [[Int32]] {
    var table = FeatureTable(rowCount: texts.count)
    try table.addTexts("text", texts, buckets: buckets)
    let lists = try #require(table.batch(rows: 0..<texts.count).lists["text"])
    let entries: [Int32] = lists.entries.scalars()
    let starts = (lists.offsets.scalars() as [Int32]).map(Int.init) + [entries.count]
    return texts.indices.map { Array(entries[starts[$0]..<starts[$0 + 1]]) }
  }

  /// The numbers of one time; a mean of 0 and a deviation of 1 leave the time as it is.
  private func numbers(_ seconds: [Double]) throws -> [[Float]] {
    var table = FeatureTable(rowCount: seconds.count)
    try table.addTimes("time", seconds)
    let all = try #require(table.batch(rows: 0..<seconds.count).numbers)
    #expect(all.shape == [seconds.count, 7])
    return seconds.indices.map { all[$0].floats }
  }

  // MARK: What is read

  @Test func wordsAreReadWithoutCaseAccentsAndMarks() throws {
    let read = try words(["Crème-brûlée, ÉTÉ 42!", "creme brulee ete 42", "", " —!", "ete creme", "電影 film"])
    #expect(read[0].count == 4 && Set(read[0]).count == 4)
    #expect(read[0] == read[1])
    #expect(read[2].isEmpty && read[3].isEmpty)
    #expect(read[4] == [read[0][2], read[0][0]])
    #expect(read[5].count == 3)
    // The same rows on every machine and in every release.
    #expect(try words(["emma", "ran"], buckets: 1000).joined().elementsEqual([646, 67]))
    let few = try words((0..<500).map { "word\($0)" }, buckets: 7).joined()
    #expect(Set(few) == Set(0..<7))
  }

  @Test func aTimeIsItsPlacesInDayWeekAndYear() throws {
    // Friday, the 17th of May, and Wednesday, the last day of a year.
    let read = try numbers([1_715_941_800, -21_600])
    let turns: [[Double]] = [[10.5 / 24, 4.0 / 7, 4.0 / 12], [18.0 / 24, 2.0 / 7, 11.0 / 12]]
    for (values, turns) in zip(read, turns) {
      for (place, turn) in turns.enumerated() {
        #expect(abs(Double(values[2 * place]) - sin(2 * .pi * turn)) < 1e-6)
        #expect(abs(Double(values[2 * place + 1]) - cos(2 * .pi * turn)) < 1e-6)
      }
    }
    // Two different times are a deviation above and below their mean.
    #expect(read.map { $0[6] } == [1, -1])
  }

  @Test func monthsAndWeekdaysAreTheCalendars() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
    var generator = RandomGenerator(seed: 5)
    // From the year 1600 to 2400, and the days about the ends of February.
    var times = (0..<2000).map { _ in -11_676_096_000 + generator.uniform() * 25_245_561_600 }
    for text in ["1900-02-28", "1900-03-01", "2000-02-29", "2000-03-01", "2024-02-29", "2024-12-31"] {
      times.append(Double(try #require(DateParser.seconds(text))))
    }
    for (time, values) in zip(times, try numbers(times)) {
      let date = Date(timeIntervalSince1970: time)
      let month = Double(calendar.component(.month, from: date) - 1) / 12
      let weekday = Double((calendar.component(.weekday, from: date) + 5) % 7) / 7
      for (place, turn) in [(1, weekday), (2, month)] {
        #expect(abs(Double(values[2 * place]) - sin(2 * .pi * turn)) < 1e-6, "\(date)")
        #expect(abs(Double(values[2 * place + 1]) - cos(2 * .pi * turn)) < 1e-6, "\(date)")
      }
    }
  }

  @Test func filesHaveTextsAndTimes() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = try folder.write(
      "click,note,at\n1,\"So slow, so lovely\",2024-05-17T10:30:00Z\n0,,1715941800\n1,slow,1715941800000\n",
      to: "clicks.csv")
    var columns = FeatureColumns()
    (columns.label, columns.texts, columns.times, columns.textBuckets) = ("click", ["note"], ["at"], 50)
    let table = try FeatureTable.delimited(file, columns: columns).table
    #expect(table.schema.field("note")?.kind == .text(buckets: 50))
    #expect(table.schema.field("at")?.kind == .time(mean: 1_715_941_800, deviation: 1))
    var expected = FeatureTable(rowCount: 3)
    try expected.addTexts("note", ["So slow, so lovely", "", "slow"], buckets: 50)
    try expected.addTimes("at", [1_715_941_800, 1_715_941_800, 1_715_941_800])
    try expected.setLabels([true, false, true])
    #expect(table.hash == expected.hash)
    // By the schema of another table.
    columns.textBuckets = 3
    let again = try FeatureTable.delimited(file, columns: columns, schema: table.schema).table
    #expect(again.hash == table.hash)
    #expect(table.selecting(rows: [2, 0]).hash != table.selecting(rows: [1, 0]).hash)
    let rows: [[String: FeatureValue]] = [
      ["note": "So slow, so lovely", "at": "2024-05-17 10:30"], ["note": "", "at": .time(1_715_941_800)],
      ["note": "slow", "at": "1715941800"],
    ]
    var given = try FeatureTable(rows, schema: table.schema)
    try given.setLabels([true, false, true])
    #expect(given.hash == table.hash)
  }

  @Test func columnarFilesHaveTextsAndTimes() throws {
    let folder = TestAssets.fixtures.appending(path: "formats/columns")
    func read(_ name: String, _ change: (inout FeatureColumns) -> Void) throws -> FeatureTable {
      var columns = FeatureColumns()
      change(&columns)
      return try FeatureTable.columnar(folder.appending(path: name), columns: columns)
    }
    for name in ["clicks.arrow", "clicks.npz", "records.npy"] {
      let table = try read(name) { ($0.texts, $0.times) = (["film"], ["age"]) }
      let batch = try table.batch(rows: 0..<5)
      // The second film is absent: it has no words.
      #expect(batch.lists["film"]?.offsets.scalars(as: Int32.self) == [0, 1, 1, 2, 3])
      #expect(batch.numbers?.shape == [5, 7])
    }
    func fault(_ change: (inout FeatureColumns) -> Void) -> String {
      message { _ = try read("clicks.arrow", change) }
    }
    #expect(fault { $0.times = ["user"] }.contains("column user: expected a time: a date such as"))
    #expect(fault { $0.times = ["user"] }.hasSuffix("in row 0, found \"ann\""))
    #expect(fault { $0.times = ["adult"] }.hasSuffix("column adult: expected times, found truth values"))
    #expect(fault { $0.times = ["shop"] }.hasSuffix("expected a time in row 3, found none"))
    #expect(fault { $0.texts = ["age"] }.hasSuffix("column age: expected texts, found numbers"))
  }

  @Test func whatIsNoTimeIsSaidWithItsPlace() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = try folder.write("at\n2024-02-29\n2023-02-29\n17.5.2024\n,\n1e300\n", to: "times.csv")
    var columns = FeatureColumns()
    columns.times = ["at"]
    let found = message { _ = try FeatureTable.delimited(file, columns: columns) }
    #expect(
      found.hasSuffix(
        "times.csv:3:1: expected a time: a date such as 2024-05-17 or 2024-05-17T10:30:00Z, or seconds or "
          + "milliseconds from 1970, found \"2023-02-29\""))
    var options = ReadOptions()
    options.onBadLine = .skip
    let (table, report) = try FeatureTable.delimited(file, columns: columns, options: options)
    #expect(table.rowCount == 1 && report.skipped == 4)

    var direct = FeatureTable(rowCount: 2)
    #expect(
      message { try direct.addTimes("at", [0, 1_715_941_800_000]) }
        == "FeatureTable, at: expected seconds from 1970, of the years 1 to 9999, found 1715941800000.0 in row 1"
    )
    #expect(message { try direct.addTimes("at", [0, .nan]) }.hasSuffix("found nan in row 1"))
    #expect(message { try direct.addTimes("at", texts: ["0", "soon"]) }.hasSuffix("found \"soon\" in row 1"))
    #expect(
      message { try direct.addTexts("note", ["a"]) } == "FeatureTable, note: expected 2 values, found 1")
    #expect(message { try direct.addTexts("note", ["a", "b"], buckets: 0) }.contains("1 to 2³¹ − 1 buckets"))
    #expect(direct.schema.fields.isEmpty)
    try direct.addTimes("at", texts: ["0", "1970-01-02"])
    try direct.addTexts("note", ["a", "b"])
    var later = FeatureTable(rowCount: 1, schema: direct.schema)
    #expect(message { try later.addTimes("note", [0]) }.contains("expected the schema's kind text"))
    #expect(message { try later.addTexts("at", ["x"]) }.contains("expected the schema's kind time"))
    func row(_ time: FeatureValue) -> String {
      message { _ = try FeatureTable([["at": time, "note": "b"]], schema: direct.schema) }
    }
    #expect(row("1970-01-02") == "no error")
    #expect(row("yesterday").hasSuffix("from 1970 in row 0, found \"yesterday\""))
    #expect(row(86_400).hasSuffix("in row 0, found a number"))
  }

  @Test func columnsThatOlderVersionsSavedAreRead() throws {
    var columns = FeatureColumns()
    (columns.label, columns.numbers, columns.lists, columns.listSeparator) = ("click", ["age"], ["seen"], ";")
    (columns.vocabularies, columns.minimumCount) = (["seen": "film"], 3)
    let data = try JSONEncoder().encode(columns)
    var values = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    for name in ["texts", "textBuckets", "times"] { #expect(values.removeValue(forKey: name) != nil) }
    let older = try JSONSerialization.data(withJSONObject: values)
    #expect(try JSONDecoder().decode(FeatureColumns.self, from: older) == columns)
    (columns.texts, columns.textBuckets, columns.times) = (["note"], 9, ["at"])
    #expect(
      try JSONDecoder().decode(FeatureColumns.self, from: JSONEncoder().encode(columns)) == columns)
  }

  // MARK: What is learnt

  /// Examples of which some say with an hour, others with a word, whether they are clicked.
  private func table(rows: Int = 1500, _ add: (inout FeatureTable, [Double], [String]) throws -> Void) throws
    -> FeatureTable
  {
    var generator = RandomGenerator(seed: 9)
    let times = (0..<rows).map { _ in 1.7e9 + generator.uniform() * 86_400 * 365 }
    let fillers = (0..<rows).map { _ in "plot \(generator.index(below: 40)) of \(generator.index(below: 40))"
    }
    let liked = (0..<rows).map { _ in generator.uniform() < 0.5 }
    var table = FeatureTable(rowCount: rows)
    try table.addCategories("device", (0..<rows).map { _ in "d\(generator.index(below: 4))" })
    try add(&table, times, zip(fillers, liked).map { $0 + ($1 ? ", Wonderful!" : ", dull") })
    try table.setLabels(
      zip(times, liked).map { time, likes in
        let isEvening = Int(time) % 86_400 >= 43_200
        return generator.uniform() < 0.1 + (isEvening ? 0.5 : 0) + (likes ? 0.4 : 0)
      })
    return table
  }

  private func reached(_ table: FeatureTable) throws -> Double {
    let model = LogisticRegression(table.schema)
    var configuration = ClickTrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (15, 100, 3e-2)
    let training = table.selecting(rows: Array(0..<1000))
    try ClickTrainer(model, training: training, configuration: configuration).fit()
    return try #require(model.evaluate(on: table.selecting(rows: Array(1000..<1500))).auc)
  }

  @Test func aModelLearnsFromHoursAndWords() throws {
    try withSteadyInstructionSet {
      let plain = try reached(table { _, _, _ in })
      let timed = try reached(table { table, times, _ in try table.addTimes("at", times) })
      let worded = try reached(table { table, _, texts in try table.addTexts("note", texts) })
      #expect(plain < 0.6 && timed > plain + 0.12 && worded > plain + 0.08, "\(plain), \(timed), \(worded)")
    }
  }

  /// Whose labels are of both kinds for every model.
  private func mixed() throws -> FeatureTable {
    var table = try table(rows: 60) { table, times, texts in
      try table.addTimes("at", times)
      try table.addTexts("note", texts, buckets: 30)
    }
    try table.addLists("seen", (0..<60).map { ["d\($0 % 4)"] }, vocabulary: "device")
    return table
  }

  @Test(arguments: ["LR", "FM", "DeepFM", "DCN", "DLRM", "DIN"])
  func aLoadedModelGivesTheSavedOnesBits(_ kind: String) throws {
    let folder = try TemporaryFolder(inMemory: true)
    try withSteadyInstructionSet {
      let table = try mixed()
      var generator = RandomGenerator(seed: 2)
      let schema = table.schema
      let model: any ClickModel =
        switch kind {
        case "LR": LogisticRegression(schema)
        case "FM": FactorizationMachine(schema, dimension: 4, using: &generator)
        case "DeepFM": DeepFM(schema, using: &generator)
        case "DCN": DCN(schema, using: &generator)
        case "DLRM": DLRM(schema, using: &generator)
        default: try DIN(schema, target: "device", history: "seen", using: &generator)
        }
      let before = model.parameters.map { $0.detached.floats }
      var configuration = ClickTrainingConfiguration()
      (configuration.epochs, configuration.batchSize) = (1, 20)
      try ClickTrainer(model, training: table, configuration: configuration).fit()
      for (item, before) in zip(model.namedParameters, before) {
        #expect(item.parameter.detached.floats != before, "\(item.name) was not trained")
      }
      try FittedClickModel(model).save(to: folder.url)
      let loaded = try FittedClickModel(contentsOf: folder.url)
      #expect(try loaded.schema == table.schema && loaded.logits(of: table) == model.logits(of: table))
      let row: [String: FeatureValue] = [
        "at": "2024-05-17T20:30:00Z", "note": "a wonderful film", "device": "d1", "seen": ["d2"],
      ]
      let chance = try loaded.probability(of: row)
      #expect(chance > 0 && chance < 1)
      var other = row
      other["at"] = "2024-05-17T08:30:00Z"
      #expect(try loaded.probability(of: other) != chance)
      (other["at"], other["note"]) = (row["at"], "a dull film")
      #expect(try loaded.probability(of: other) != chance)
    }
  }

  @Test func towersReadTextsAndTimes() throws {
    try withSteadyInstructionSet {
      // Users like either of two kinds of items, which only words tell apart.
      var users = FeatureTable(rowCount: 40)
      try users.addCategories("user", (0..<40).map { "u\($0)" })
      try users.addTimes("since", (0..<40).map { 1e9 + Double($0) * 1e6 })
      var items = FeatureTable(rowCount: 30)
      try items.addTexts("title", (0..<30).map { "\($0 % 2 == 0 ? "A romance" : "The war") in \($0) days" })
      var generator = RandomGenerator(seed: 3)
      let pairs = (0..<40).flatMap { user in
        (0..<6).map { _ in (Int32(user), Int32(generator.index(below: 15) * 2 + user % 2)) }
      }
      let interactions = Interactions(
        users: pairs.map(\.0), items: pairs.map(\.1), userCount: 40, itemCount: 30)
      let model = try TwoTowers(users: users, items: items, using: &generator)
      var configuration = TrainingConfiguration()
      (configuration.epochs, configuration.batchSize, configuration.learningRate) = (30, 60, 1e-2)
      let trainer = try RecommenderTrainer(model, training: interactions, configuration: configuration)
      for _ in 0..<30 { try trainer.trainEpoch() }
      let rows = try model.userRows(users)
      let later = try model.itemRows(
        FeatureTable([["title": "A ROMANCE"], ["title": "War!"]], schema: items.schema))
      let scores = rows.matmul(later, transposingOther: true).floats
      let right = (0..<40).count { scores[2 * $0 + $0 % 2] > scores[2 * $0 + 1 - $0 % 2] }
      #expect(right >= 36, "\(right) of 40 users prefer the kind that they know")
    }
  }
}
