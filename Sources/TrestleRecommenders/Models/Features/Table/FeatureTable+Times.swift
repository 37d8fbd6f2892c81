import Foundation

extension FeatureTable {
  /// Adds a column of times, which models read as seven numbers: where a time is in the day, the week and the year, and when it is.
  ///
  /// For the hour of the day (with its minutes), the day of the week and the month, each over its number, so that a turn is 1, these are
  /// the sine and cosine of that part of a turn, as the end of a day, week or year is next to its beginning; and the time itself, less
  /// the mean and over the deviation. All are those of UTC: times of another clock are to be shifted by its offset.
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - seconds: one time a row, in seconds from 1970-01-01 00:00 UTC, of the years 1 to 9999.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the values do not fit, or the schema has no such
  ///   column.
  public mutating func addTimes(_ name: String, _ seconds: [Double]) throws(DataError) {
    try requireRows(seconds.count, name)
    if let row = seconds.firstIndex(where: { !TimeFeatures.range.contains($0) }) {
      throw Self.fault(
        name, "seconds from 1970, of the years 1 to 9999", "\(seconds[row]) in row \(row)")
    }
    try add(name, found: "times") {
      let (mean, deviation) = Self.scale(of: seconds)
      return .time(mean: mean, deviation: deviation)
    } column: { kind in
      guard case .time = kind else { return nil }
      return .times(seconds)
    }
  }

  /// Adds a column of times that are texts: dates as ISO 8601 writes them (`2024-05-17`, `2024-05-17T10:30:00Z`,
  /// `2024-05-17 10:30:00.5+02:00`; without a zone in UTC), or seconds or, beyond 10¹¹, milliseconds from 1970.
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - texts: one time a row.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a text that is no time, and as
  ///   ``addTimes(_:_:)``.
  public mutating func addTimes(_ name: String, texts: [String]) throws(DataError) {
    var seconds: [Double] = []
    seconds.reserveCapacity(texts.count)
    for (row, text) in texts.enumerated() {
      guard let value = TimeFeatures.seconds(text) else {
        throw Self.fault(name, TimeFeatures.expected, "\"\(text.prefix(60))\" in row \(row)")
      }
      seconds.append(value)
    }
    try addTimes(name, seconds)
  }
}

/// Times as the numbers that models read.
enum TimeFeatures {
  /// The number of numbers of a time.
  static let count = 7

  /// The seconds from 1970 of the years 1 to 9999.
  static let range = -62_135_596_800.0..<253_402_300_800.0

  /// What the text of a time is.
  static let expected =
    "a time: a date such as 2024-05-17 or 2024-05-17T10:30:00Z, or seconds or milliseconds from 1970"

  /// The seconds of a number of seconds or, beyond 10¹¹, milliseconds; `nil` for none of the years 1 to 9999.
  static func seconds(_ number: Double) -> Double? {
    let seconds = abs(number) > 1e11 ? number / 1000 : number
    return range.contains(seconds) ? seconds : nil
  }

  /// The seconds of a text; `nil` if it is no time.
  static func seconds(_ text: String) -> Double? {
    if let date = DateParser.seconds(text) { return seconds(Double(date)) }
    return Double(text).flatMap { seconds($0) }
  }

  /// The numbers of some times, column by column.
  static func columns(_ seconds: [Double], mean: Double, deviation: Double) -> [[Float]] {
    var columns = [[Float]](repeating: [], count: count)
    for time in seconds {
      let day = (time / 86_400).rounded(.down)
      let hour = (time - day * 86_400) / 86_400
      // 1970 began on a Thursday.
      let weekday = (day + 3) - ((day + 3) / 7).rounded(.down) * 7
      let month = Double(DateParser.month(ofDay: Int(day)) - 1)
      for (place, turn) in [hour, weekday / 7, month / 12].enumerated() {
        columns[2 * place].append(Float(sin(2 * .pi * turn)))
        columns[2 * place + 1].append(Float(cos(2 * .pi * turn)))
      }
      columns[count - 1].append(Float((time - mean) / deviation))
    }
    return columns
  }
}
