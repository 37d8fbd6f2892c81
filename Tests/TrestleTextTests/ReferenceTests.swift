import Testing
import TrestleText

/// Ids and texts equal those of the reference implementation.
struct ReferenceTests {
  @Test(arguments: Family.available)
  func hardStringsHaveTheReferencesIds(family: Family) throws {
    let (tokenizer, fixture) = (try family.tokenizer(), try TokenizerFixture(family.rawValue))
    #expect(fixture.strings.count >= 200)
    for row in fixture.strings {
      #expect(tokenizer.encode(row.text) == row.ids, "\(row.text) [\(scalars(row.text))]")
    }
  }

  @Test(arguments: Family.available)
  func decodingGivesTheReferencesText(family: Family) throws {
    let (tokenizer, fixture) = (try family.tokenizer(), try TokenizerFixture(family.rawValue))
    for row in fixture.strings {
      let (text, expected) = (tokenizer.decode(row.ids), row.decoded ?? row.text)
      #expect(scalars(text) == scalars(expected), "\(row.text)")
    }
  }

  @Test(arguments: Family.available)
  func randomStringsHaveTheReferencesIds(family: Family) throws {
    let (tokenizer, fixture) = (try family.tokenizer(), try TokenizerFixture(family.rawValue))
    let random = fixture.random
    let texts = randomStrings(seed: random.seed, count: random.count)
    for (text, row) in zip(texts, random.first) {
      #expect(scalars(text) == scalars(row.text))
      #expect(tokenizer.encode(text) == row.ids, "\(scalars(text))")
    }
    #expect(random.count >= 5000)
    #expect(hash(of: texts.map { tokenizer.encode($0) }) == random.hash)
  }

  @Test(arguments: Family.available)
  func wholeSequencesHaveTheReferencesSpecialTokens(family: Family) throws {
    let (tokenizer, fixture) = (try family.tokenizer(), try TokenizerFixture(family.rawValue))
    for row in fixture.template { #expect(tokenizer.encodeSequence(row.text) == row.ids, "\(row.text)") }
  }

  @Test(arguments: Family.available)
  func streamedTextEqualsDecodedText(family: Family) throws {
    let (tokenizer, fixture) = (try family.tokenizer(), try TokenizerFixture(family.rawValue))
    for row in fixture.strings {
      var decoder = tokenizer.streamingDecoder(skippingSpecialTokens: false)
      var text = row.ids.map { decoder.append($0) }.joined()
      text += decoder.finish()
      #expect(scalars(text) == scalars(tokenizer.decode(row.ids)), "\(row.text)")
    }
  }
}
