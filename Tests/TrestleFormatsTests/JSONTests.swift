import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

struct JSONTests {
  private func parse(_ text: String, _ limits: JSONLimits = JSONLimits()) throws -> JSONValue {
    try JSONValue(parsing: text, source: "config.json", limits: limits)
  }

  private func parse(_ bytes: [UInt8]) throws -> JSONValue {
    try bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
  }

  // MARK: What is accepted

  @Test func everyKindOfValueIsRead() throws {
    let root = try parse(
      #" { "a" : null, "b":[true,false], "c":{"d":"x"}, "e":-12, "f":1.5e3, "g":[], "h":{} } "#)
    #expect(root.kind == .object)
    #expect(try root.object().keys == ["a", "b", "c", "d", "e", "f", "g", "h"].filter { $0 != "d" })
    #expect(try root.member("a").isNull)
    #expect(try root.member("b").array().map { try $0.bool() } == [true, false])
    #expect(try root.member("c").member("d").string() == "x")
    #expect(try root.member("e").int() == -12)
    #expect(try root.member("e").double() == -12)
    #expect(try root.member("f").double() == 1500)
    #expect(try root.member("g").array().isEmpty)
    #expect(try root.member("h").object().isEmpty)
    #expect(try root.optionalMember("a") == nil)
    #expect(root["absent"] == nil)
  }

  @Test(arguments: ["0", "-0", "7", "\"x\"", "null", "true", "[]", "{}", " [ ] ", "\t\r\n{ }\n"])
  func anyValueCanBeTheRoot(text: String) throws {
    _ = try parse(text)
  }

  @Test func escapesAndSurrogatePairsAreDecoded() throws {
    let root = try parse(#"["\"\\\/\b\f\n\r\t\u0000\u00e9\u4E2D\uD83D\uDE00z", "é中😀"]"#).array()
    #expect(try root[0].string() == "\"\\/\u{8}\u{C}\n\r\t\0é中😀z")
    #expect(try root[1].string() == "é中😀")
  }

  @Test func largeObjectsAreFoundByKeyAndKeepTheirOrder() throws {
    let text = "{" + (0..<5000).map { "\"key \($0)\\u0041\":\($0)" }.joined(separator: ",") + "}"
    let object = try parse(text).object()
    #expect(object.count == 5000)
    for position in stride(from: 0, to: 5000, by: 7) {
      #expect(try object["key \(position)A"]?.int() == position)
    }
    #expect(object["key 5000A"] == nil)
    #expect(object.keys == (0..<5000).map { "key \($0)A" })
    var sum = 0
    try object.forEachMember { key, value throws(FormatError) in sum += key.count + (try value.int()) }
    #expect(sum == 5000 * 4999 / 2 + object.keys.reduce(0) { $0 + $1.utf8.count })
  }

  @Test func keysThatAreOnlyCanonicallyEquivalentDiffer() throws {
    let object = try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object()
    #expect(object.count == 2)
    #expect(try object["\u{E9}"]?.int() == 1)
    #expect(try object["e\u{301}"]?.int() == 2)
  }

  @Test func integersAreExactToTheLastBit() throws {
    let values = try parse("[9223372036854775807,-9223372036854775808,9223372036854775808,1.0,1e2]").array()
    #expect(try values[0].int() == .max)
    #expect(try values[1].int() == .min)
    for position in 2..<5 { #expect(throws: FormatError.self) { try values[position].int() } }
    #expect(try values[3].double() == 1)
  }

  // MARK: What is refused

  @Test(arguments: [
    "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
    "{'a':1}", "{\"a\":1 \"b\":2}", "[1 2]", "1 2", "{}x", "]", "}", "[}", "{]", "nul", "nulL", "True", "NaN",
    "Infinity", "-", "-a", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "+1", "0x10", "\"", "\"a", "\"\\",
    "\"\\u", "\"\\u12", "\"\\u12G4\"", "\"\\x41\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"",
    "\"\\uD800x\"", "\"tab\there\"", "\"line\nbreak\"", "\"nul\u{0}\"", "\u{0}", "[1]\u{0}", "\u{FEFF}{}",
    "// no\n1", "/* no */1", "[1]]", "{\"a\":1}}",
  ])
  func brokenTextsAreRefused(text: String) throws {
    let error = formatError { _ = try parse(text) }
    guard case .malformed(let details)? = error else {
      Issue.record("\(text.debugDescription): \(String(describing: error))")
      return
    }
    #expect(details.place.hasPrefix("byte "))
  }

  @Test(
    arguments: [
      [0xFF], [0xC0, 0xAF], [0xC1, 0x81], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3],
      [0xC3, 0x28],
    ] as [[UInt8]])
  func illFormedUTF8IsRefused(bytes: [UInt8]) throws {
    for padding in 0..<9 {
      let text = [UInt8](repeating: 0x20, count: padding) + [0x22] + bytes + [0x22]
      let error = formatError { _ = try parse(text) }
      #expect(error?.details.expected == "well-formed UTF-8")
      #expect(error?.details.place.hasPrefix("byte \(padding + 1) ") == true)
    }
  }

  @Test func duplicateKeysAreRefusedHoweverTheyAreSpelt() throws {
    let many = (0..<100).map { "\"k\($0)\":0" }.joined(separator: ",")
    for text in [
      #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"[{"x":{"b":[],"c":1,"b":{}}}]"#, "{\(many),\"k42\":1}",
      "{\(many),\"\\u006b42\":1}",
    ] {
      guard case .duplicate? = formatError({ _ = try parse(text) }) else {
        Issue.record("accepted \(text.prefix(40))")
        return
      }
    }
    // The same key in different objects is fine.
    _ = try parse(#"{"a":{"a":{"a":1}}}"#)
  }

  @Test func depthSizeAndNodesAreLimited() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try parse(nested(64))
    for (text, limits) in [
      (nested(65), JSONLimits()), (String(repeating: "[", count: 1_000_000), JSONLimits()),
      (String(repeating: "{\"a\":", count: 100_000), JSONLimits()),
      ("[1,2,3]", JSONLimits(byteCount: 6)), ("[1,2,3]", JSONLimits(nodeCount: 3)),
    ] {
      guard case .limitExceeded? = formatError({ _ = try parse(text, limits) }) else {
        Issue.record("accepted \(text.prefix(40))")
        return
      }
    }
    _ = try parse("[1,2,3]", JSONLimits(byteCount: 7, nodeCount: 4))
  }

  // MARK: Errors

  @Test func syntaxErrorsNameOffsetLineAndColumn() throws {
    let error = try #require(formatError { _ = try parse("{\n  \"a\": 1,\n  \"b\": x\n}") })
    #expect(
      error.description
        == "config.json: malformed at byte 19 (line 3, column 8): expected a JSON value, found 'x'.")
  }

  @Test func typeErrorsNameThePathOfKeys() throws {
    let root = try parse(#"{"rope_scaling":{"factor":"8","list":[{"x":[1,[true,2.5]]}]}}"#)
    let scaling = try root.member("rope_scaling")
    #expect(
      formatError { _ = try scaling.member("factor").double() }?.description
        == #"config.json: wrong type or range at rope_scaling.factor: expected a finite number, found the string "8"."#
    )
    let deep = try scaling.member("list").array()[0].member("x").array()[1].array()[1]
    #expect(deep.path == "rope_scaling.list[0].x[1][1]")
    #expect(formatError { _ = try deep.int() }?.details.found == "the number 2.5")
    #expect(formatError { _ = try scaling.member("kind") }?.details.place == "rope_scaling")
    #expect(
      formatError { _ = try scaling.member("kind").int() }?.details.expected == "the key \"kind\"")
    #expect(formatError { _ = try root.int(in: 1...5) }?.details.expected == "an integer in 1...5")
    #expect(throws: FormatError.self) { try parse("[6]").array()[0].int(in: 1...5) }
    #expect(throws: FormatError.self) { try parse("1e999").double() }
    #expect(throws: FormatError.self) { try parse("[]").object() }
    #expect(throws: FormatError.self) { try parse("{}").array() }
    #expect(throws: FormatError.self) { try parse("1").bool() }
    #expect(throws: FormatError.self) { try parse("true").string() }
  }

  // MARK: Writing

  @Test func writtenTextReadsBackAsTheSameValue() throws {
    let value: JSONLiteral = [
      "z": nil, "a": [true, false, 1, -7, 0.1, 1e300, .double(.leastNonzeroMagnitude)],
      "text": "\"\\\n\r\t\u{1}\u{1F}é😀/",
      "nested": ["list": [], "object": [:], "deep": [[["x": .int(.min)]]]],
    ]
    for pretty in [false, true] {
      let bytes = try value.serialized(pretty: pretty)
      #expect(try JSONLiteral(parse(bytes)) == value)
    }
    let text = try String(decoding: value.serialized(sortedKeys: true), as: UTF8.self)
    #expect(text.hasPrefix(#"{"a":[true,false,1,-7,0.1,1e+300,5e-324],"nested":{"deep":"#))
    let pretty: JSONLiteral = ["a": [1], "b": [:]]
    #expect(
      try String(decoding: pretty.serialized(pretty: true), as: UTF8.self)
        == "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}\n")
  }

  @Test func unwritableValuesAreRefused() throws {
    #expect(throws: FormatError.self) { try JSONLiteral.double(.nan).serialized() }
    #expect(throws: FormatError.self) { try JSONLiteral.array([.double(.infinity)]).serialized() }
    #expect(throws: FormatError.self) {
      try JSONLiteral.object([("a", .null), ("a", .null)]).serialized()
    }
  }

  // MARK: Mutations

  @Test func mutatedTextsAreReadOrRefused() throws {
    let seeds = [
      #"{"model":{"type":"BPE","vocab":{"a":0,"b":1,"\u0120c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9},"merges":[["a","b"],["é","😀"]]},"x":[-1.5e-3,null,true,{}]}"#,
      #"[[[[1,2],[3]],{"k":{"k":{"k":"v"}}}],"\uD83D\uDE00\n",0.0,-0,1e+5]"#,
    ].map { Array($0.utf8) }
    let tokens = ["{", "}", "[", "]", "\"", "\\", "\\u", ",", ":", "1e9", "-", "null", "\u{0}", "\u{FFFF}"]
      .map { Array($0.utf8) }
    var generator = SplitMix64(state: 7)
    var accepted = 0
    for round in 0..<3000 {
      var bytes = seeds[round % seeds.count]
      for _ in 0...Int.random(in: 0..<4, using: &generator) {
        let position = Int.random(in: 0..<max(bytes.count, 1), using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0 where !bytes.isEmpty: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1 where !bytes.isEmpty: bytes.remove(at: position)
        case 2:
          bytes.insert(
            contentsOf: tokens.randomElement(using: &generator) ?? [], at: min(position, bytes.count))
        case 3: bytes.removeLast(min(bytes.count, Int.random(in: 0..<20, using: &generator)))
        default: bytes.insert(contentsOf: bytes[position...].prefix(30), at: position)
        }
      }
      // What is accepted must be usable in full and must survive being written and read again. A number beyond the
      // range of `Double` is valid JSON, though no literal can hold it.
      guard let parsed = try? parse(bytes) else { continue }
      accepted += 1
      guard let value = try? JSONLiteral(parsed) else { continue }
      #expect(try JSONLiteral(parse(value.serialized())) == value)
    }
    #expect(accepted > 50 && accepted < 2950)
  }

  private struct Entry: Decodable, Equatable { let a: Int }
  private struct Refused: Error { let line: Int, found: String }

  @Test func linesGiveTheirValuesOrTheirPlace() throws {
    func entries(_ text: String) throws -> [Entry] {
      try JSONLines(Array(text.utf8)).values(isValid: { $0.a < 9 }) { Refused(line: $0, found: $1) }
    }
    #expect(try entries("{\"a\":1}\n\n{\"a\":2}").map(\.a) == [1, 2])
    #expect(try entries("").isEmpty && entries("\n\n").isEmpty)
    let deep = String(repeating: "[", count: 100_000)
    for bad in ["{\"a\":9}", "{\"a\":\"1\"}", "{\"a\":1", "{\"a\":1} {\"a\":1}", "\u{0}", deep] {
      let error = #expect(throws: Refused.self) { try entries("{\"a\":1}\n\n\(bad)\n") }
      #expect(error?.line == 3 && error?.found == String(bad.prefix(60)))
    }
  }
}
