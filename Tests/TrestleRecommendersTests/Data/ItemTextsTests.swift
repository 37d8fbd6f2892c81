import Testing
import TrestleTestSupport
import TrestleRecommenders

@Suite struct ItemTextsTests {
  private func dataset() -> Dataset {
    var items = ItemAttributes(count: 3)
    items.titles = ["Emma", "", "Who?"]
    items.creators = ["Jane Austen", "", ""]
    items.years = [1815, nil, 1999]
    items.genres = [["Novel", "Comedy"], [], []]
    items.texts = ["A matchmaker errs.", "", ""]
    items.details = [ItemDetail(name: "cover_kind", values: ["cloth", "", "paper"])]
    return Dataset(
      name: "tiny", interactions: .empty(userCount: 0, itemCount: 3), userIDs: IDMap(),
      itemIDs: IDMap(numbered: 3),
      items: items)
  }

  @Test func leavesOutWhatIsUnknownAndWhatWasNotAskedFor() {
    let all = ItemTexts(dataset: dataset(), noun: "Book")
    #expect(
      all.texts == [
        "Book: Emma by Jane Austen (1815). Genres: Novel, Comedy. A matchmaker errs. Cover kind: cloth", "",
        "Book: Who? (1999). Cover kind: paper",
      ])
    let chosen = ItemTexts(
      dataset: dataset(), fields: [.detail("cover_kind"), .detail("absent"), .year, .title])
    #expect(chosen.texts == ["Emma (1815). Cover kind: cloth", "", "Who? (1999). Cover kind: paper"])
    #expect(ItemTexts(dataset: dataset(), fields: [.genres])[0] == "Genres: Novel, Comedy")
  }

  @Test func theHashTellsTextsApart() {
    let texts = ItemTexts(dataset: dataset(), noun: "Book")
    #expect(texts.hash == ItemTexts(texts: texts.texts).hash)
    #expect(texts.hash != ItemTexts(dataset: dataset(), noun: "Novel").hash)
    #expect(ItemTexts(texts: ["ab", "c"]).hash != ItemTexts(texts: ["a", "bc"]).hash)
  }

  @Test func attributesGrowAndShrinkWithAllTheirColumns() {
    var data = dataset()
    data.items.details[0].values[1] = "none"
    let kept = Dataset(
      name: "", interactions: Interactions(users: [0], items: [1], userCount: 1, itemCount: 3),
      userIDs: IDMap(numbered: 1), itemIDs: data.itemIDs, items: data.items
    ).compacted()
    #expect(
      kept.items.details == [ItemDetail(name: "cover_kind", values: ["none"])] && kept.items.creators == [""])
  }
}
