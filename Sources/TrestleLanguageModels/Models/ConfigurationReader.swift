import TrestleFormats

/// Checks configuration values against ranges, and words the errors.
struct RangeCheck {
  let path: String

  func failure(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    .configuration(.init(path, at: key, expected: expected, found: found))
  }

  func callAsFunction<Value: Comparable>(
    _ key: String, _ value: Value, in range: ClosedRange<Value>
  ) throws(LanguageModelError) {
    guard range.contains(value) else {
      throw failure(key, "a number in \(range.lowerBound)...\(range.upperBound)", "\(value)")
    }
  }
}

/// Reads optional members of a JSON object, with this module's errors. A `null` counts as absent.
struct ConfigurationReader {
  let json: JSONValue
  let path: String

  func failure(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    .configuration(.init(path, at: key, expected: expected, found: found))
  }

  private func member(_ key: String) throws(LanguageModelError) -> JSONValue? {
    let value = try reading { () throws(FormatError) in try json.optionalMember(key) }
    return value.flatMap { $0.isNull ? nil : $0 }
  }

  func int(_ key: String) throws(LanguageModelError) -> Int? {
    guard let value = try member(key) else { return nil }
    return try reading { () throws(FormatError) in try value.int(in: -(1 << 40)...(1 << 40)) }
  }

  func requiredInt(_ key: String) throws(LanguageModelError) -> Int {
    guard let value = try int(key) else { throw failure(key, "a whole number", "none") }
    return value
  }

  func double(_ key: String) throws(LanguageModelError) -> Double? {
    guard let value = try member(key) else { return nil }
    return try reading { () throws(FormatError) in try value.double() }
  }

  func bool(_ key: String) throws(LanguageModelError) -> Bool? {
    guard let value = try member(key) else { return nil }
    return try reading { () throws(FormatError) in try value.bool() }
  }

  func string(_ key: String) throws(LanguageModelError) -> String? {
    guard let value = try member(key) else { return nil }
    return try reading { () throws(FormatError) in try value.string() }
  }

  func object(_ key: String) throws(LanguageModelError) -> ConfigurationReader? {
    guard let value = try member(key) else { return nil }
    _ = try reading { () throws(FormatError) in try value.object() }
    return ConfigurationReader(json: value, path: path)
  }

  /// A list of numbers.
  func doubles(_ key: String) throws(LanguageModelError) -> [Double]? {
    guard let value = try member(key) else { return nil }
    let items = try reading { () throws(FormatError) in try value.array() }
    var result: [Double] = []
    for item in items {
      result.append(try reading { () throws(FormatError) in try item.double() })
    }
    return result
  }

  /// A list of strings.
  func strings(_ key: String) throws(LanguageModelError) -> [String]? {
    guard let value = try member(key) else { return nil }
    let items = try reading { () throws(FormatError) in try value.array() }
    var result: [String] = []
    for item in items {
      result.append(try reading { () throws(FormatError) in try item.string() })
    }
    return result
  }
}
