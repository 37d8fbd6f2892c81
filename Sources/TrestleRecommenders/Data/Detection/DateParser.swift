/// Reads dates and times as ISO 8601 writes them.
package enum DateParser {
  /// The seconds from 1970 to `2024-05-17`, `2024-05-17T10:30:00Z`, `2024-05-17 10:30:00.5+02:00`; `nil` for other
  /// text. A time without a zone is taken as UTC.
  package static func seconds(_ text: String) -> Int64? {
    var rest = Array(text.utf8)[...]
    guard let year = digits(4, &rest), take(UInt8(ascii: "-"), &rest), let month = digits(2, &rest),
      take(UInt8(ascii: "-"), &rest), let day = digits(2, &rest), (1...12).contains(month),
      (1...daysInMonth(month, year)).contains(day)
    else { return nil }
    let date = Int64(days(year, month, day)) * 86_400
    if rest.isEmpty { return date }
    guard take(UInt8(ascii: "T"), &rest) || take(UInt8(ascii: " "), &rest),
      let hour = digits(2, &rest), take(UInt8(ascii: ":"), &rest), let minute = digits(2, &rest), hour < 24,
      minute < 60
    else { return nil }
    var second = 0
    if take(UInt8(ascii: ":"), &rest) {
      guard let value = digits(2, &rest), value <= 60 else { return nil }
      second = value
      if take(UInt8(ascii: "."), &rest) {
        guard let next = rest.first, isDigit(next) else { return nil }
        rest = rest.drop(while: isDigit)
      }
    }
    guard let offset = zone(&rest), rest.isEmpty else { return nil }
    return date + Int64(hour * 3600 + minute * 60 + second - offset)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  private static func digits(_ count: Int, _ rest: inout ArraySlice<UInt8>) -> Int? {
    let part = rest.prefix(count)
    guard part.count == count, part.allSatisfy(isDigit) else { return nil }
    rest = rest.dropFirst(count)
    return part.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }

  private static func take(_ byte: UInt8, _ rest: inout ArraySlice<UInt8>) -> Bool {
    guard rest.first == byte else { return false }
    rest = rest.dropFirst()
    return true
  }

  /// The offset from UTC in seconds.
  private static func zone(_ rest: inout ArraySlice<UInt8>) -> Int? {
    if rest.isEmpty || take(UInt8(ascii: "Z"), &rest) { return 0 }
    let sign = take(UInt8(ascii: "+"), &rest) ? 1 : take(UInt8(ascii: "-"), &rest) ? -1 : 0
    guard sign != 0, let hour = digits(2, &rest), hour < 24 else { return nil }
    _ = take(UInt8(ascii: ":"), &rest)
    guard !rest.isEmpty else { return sign * hour * 3600 }
    guard let minute = digits(2, &rest), minute < 60 else { return nil }
    return sign * (hour * 3600 + minute * 60)
  }

  private static func daysInMonth(_ month: Int, _ year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// The month, from 1, of a day that is counted from 1970-01-01, of the Gregorian calendar.
  static func month(ofDay day: Int) -> Int {
    // Days from 0000-03-01, so that the leap day ends a year, of four centuries that are all alike.
    let shifted = day + 719_468
    let dayOfEra = shifted - (shifted >= 0 ? shifted : shifted - 146_096) / 146_097 * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100)
    return ((5 * dayOfYear + 2) / 153 + 2) % 12 + 1
  }

  /// The days from 1970-01-01 to a date of the Gregorian calendar, by counting years from March.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
