import Testing
import TrestleRecommenders

@Suite struct NewItemSplitTests {
  private func split(seed: UInt64) throws -> (Interactions, NewItemSplit) {
    let interactions = try SyntheticWorld(seed: 3).dataset().interactions
    return (interactions, try NewItemSplit(interactions, seed: seed))
  }

  @Test func newItemsHaveNoTrainingRowAndOnlyThoseOfTheirPart() throws {
    let (interactions, new) = try split(seed: 1)
    let training = new.split.training.itemCounts()
    let validation = new.split.validation.itemCounts()
    let test = new.split.test.itemCounts()
    let all = interactions.itemCounts()
    for item in new.testItems.map(Int.init) {
      #expect(training[item] == 0 && validation[item] == 0 && test[item] == all[item] && all[item] >= 5)
    }
    for item in new.validationItems.map(Int.init) {
      #expect(training[item] == 0 && test[item] == 0 && validation[item] == all[item])
    }
    #expect(Set(new.testItems).isDisjoint(with: new.validationItems))
    let eligible = all.count { $0 >= 5 }
    #expect(new.testItems.count == eligible / 5)
    #expect(new.validationItems.count == eligible / 10)
  }

  @Test func everyRowIsInOnePartAndOldItemsAreInAll() throws {
    let (interactions, new) = try split(seed: 2)
    #expect(
      new.split.training.count + new.split.validation.count + new.split.test.count == interactions.count)
    let held = Set(new.testItems + new.validationItems)
    for part in [new.split.training, new.split.validation, new.split.test] {
      #expect(part.items.contains { !held.contains($0) })
    }
  }

  @Test func seedsGiveTheirOwnSplits() throws {
    let (_, first) = try split(seed: 1)
    let (_, again) = try split(seed: 1)
    let (_, other) = try split(seed: 2)
    #expect(first.split.hash == again.split.hash && first.testItems == again.testItems)
    #expect(first.testItems != other.testItems)
  }

  @Test func tooFewItemsAreAnError() throws {
    let interactions = Interactions(users: [0, 1], items: [0, 1], userCount: 2, itemCount: 2)
    #expect(throws: DataError.self) { try NewItemSplit(interactions, seed: 1) }
  }
}
