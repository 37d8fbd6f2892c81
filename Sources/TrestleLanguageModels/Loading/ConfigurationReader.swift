import TrestleFormats

/// Reads optional members of a JSON object, with this module's errors. A `null` counts as absent.
struct ConfigurationReader {
  let json: JSONValue
  let path: String

  func failure(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    RangeCheck(path: path).failure(key, expected, found)
  }

  /// What `read` makes of a member.
  private func value<Value>(
    _ key: String, _ read: (JSONValue) throws(FormatError) -> Value
  ) throws(LanguageModelError) -> Value? {
    try reading { () throws(FormatError) -> Value? in
      guard let member = try json.optionalMember(key), !member.isNull else { return nil }
      return try read(member)
    }
  }

  func int(_ key: String) throws(LanguageModelError) -> Int? {
    try value(key) { member throws(FormatError) in try member.int(in: -(1 << 40)...(1 << 40)) }
  }

  func requiredInt(_ key: String) throws(LanguageModelError) -> Int {
    guard let value = try int(key) else { throw failure(key, "a whole number", "none") }
    return value
  }

  func double(_ key: String) throws(LanguageModelError) -> Double? {
    try value(key) { member throws(FormatError) in try member.double() }
  }

  func bool(_ key: String) throws(LanguageModelError) -> Bool? {
    try value(key) { member throws(FormatError) in try member.bool() }
  }

  func string(_ key: String) throws(LanguageModelError) -> String? {
    try value(key) { member throws(FormatError) in try member.string() }
  }

  func object(_ key: String) throws(LanguageModelError) -> ConfigurationReader? {
    try value(key) { member throws(FormatError) -> ConfigurationReader in
      _ = try member.object()
      return ConfigurationReader(json: member, path: path)
    }
  }

  /// A list of numbers.
  func doubles(_ key: String) throws(LanguageModelError) -> [Double]? {
    try value(key) { member throws(FormatError) -> [Double] in
      var result: [Double] = []
      for item in try member.array() { result.append(try item.double()) }
      return result
    }
  }

  /// A list of strings.
  func strings(_ key: String) throws(LanguageModelError) -> [String]? {
    try value(key) { member throws(FormatError) -> [String] in
      var result: [String] = []
      for item in try member.array() { result.append(try item.string()) }
      return result
    }
  }

  /// Stops another variant than the one that this package has, which is meant where nothing is said.
  func expect(_ key: String, _ expected: String) throws(LanguageModelError) {
    if let found = try string(key), found != expected {
      throw .unsupported(.init(path, at: key, expected: "\"\(expected)\"", found: "\"\(found)\""))
    }
  }

  /// Stops another setting than the one that this package has, which is meant where nothing is said.
  func expect(_ key: String, _ expected: Bool) throws(LanguageModelError) {
    if let found = try bool(key), found != expected {
      throw .unsupported(.init(path, at: key, expected: "\(expected)", found: "\(found)"))
    }
  }
}
