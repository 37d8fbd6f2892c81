import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct MovieLensReaderTests {
  static let data = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t302\t4\t891717743\n"
  static let item: [UInt8] =
    Array("242|Kolya (1996)|24-Jan-1997||http://x|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n302|Mis".utf8) + [
      0xE9
    ]
    + Array("rables, Les (1995)|||http://y|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n".utf8)
    + Array("267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n".utf8)
  static let user = "196|49|M|writer|55105\n186|39|F|executive|00000\n"

  static let ratings = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"
  static let movies =
    "661::James and the Giant Peach (1996)::Animation|Children's\n1193::Cuckoo (1975)::Drama\n"
  static let users = "1::F::1::10::48067\n2::M::56::16::70072\n"

  @Test func reads100K() throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(Self.data, to: "u.data")
    try folder.write(Self.item, to: "u.item")
    try folder.write(Self.user, to: "u.user")
    let data = try Dataset.movieLens(at: folder.url)
    #expect(data.name == folder.url.lastPathComponent)
    #expect(data.interactions.users == [0, 1, 0] && data.interactions.items == [0, 1, 1])
    #expect(data.interactions.timestamps == [881_250_949, 891_717_742, 891_717_743])
    #expect(data.items.titles == ["Kolya", "Misérables, Les", "unknown"])
    #expect(data.items.years == [1996, 1995, nil])
    #expect(data.items.genres == [["Comedy"], ["Drama", "Musical"], []])
    #expect(data.userTexts[0] == "age 49, gender M, occupation writer, zip code 55105")
    #expect(throws: DataError.self) {
      try Dataset.movieLens(at: folder.url, options: ReadOptions(encoding: .utf8))
    }
  }

  @Test func reads1M() throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(Self.ratings, to: "ratings.dat")
    try folder.write(Self.movies, to: "movies.dat")
    try folder.write(Self.users, to: "users.dat")
    let data = try Dataset.movieLens(at: folder.url)
    #expect(data.interactions.items == [0, 1, 0] && data.interactions.ratings == [5, 3, 4])
    #expect(data.items.titles == ["Cuckoo", "James and the Giant Peach"])
    #expect(data.items.genres[1] == ["Animation", "Children's"] && data.items.years == [1975, 1996])
    #expect(data.userTexts[0] == "gender F, age under 18, occupation K-12 student, zip code 48067")
  }

  @Test func readsLaterEditions() throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(
      "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,3.5,1112484676\n", to: "ratings.csv")
    try folder.write(
      "movieId,title,genres\n2,Jumanji (1995),Adventure|Children\n29,\"City, The (Cité, La) (1995) \",Drama\n"
        + "30,Babylon 5,(no genres listed)\n", to: "movies.csv")
    let data = try Dataset.movieLens(at: folder.url)
    #expect(data.items.titles == ["Jumanji", "City, The (Cité, La)", "Babylon 5"])
    #expect(data.items.years == [1995, 1995, nil])
    #expect(data.items.genres == [["Adventure", "Children"], ["Drama"], []])
    #expect(data.itemCount == 3 && data.interactions.count == 2)
  }

  @Test func aFolderWithoutRatingsThrows() throws {
    let folder = try TemporaryFolder(inMemory: true)
    #expect(throws: DataError.self) { try Dataset.movieLens(at: folder.url) }
  }

  @Test(arguments: [
    "196\t242\t3\n", "196\t242\t3\tx\n", "\t242\t3\t1\n", "196 242 3 1\n", "196\t242\tbad\t1\n",
  ])
  func malformedRatingsThrow(text: String) throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(text, to: "u.data")
    #expect(throws: DataError.self) { try Dataset.movieLens(at: folder.url) }
  }

  @Test func aGenreFlagOtherThanZeroOrOneThrows() throws {
    let folder = try TemporaryFolder(inMemory: true)
    try folder.write(Self.data, to: "u.data")
    try folder.write("242|Kolya (1996)||||0|0|0|0|0|2|0|0|0|0|0|0|0|0|0|0|0|0|0\n", to: "u.item")
    #expect(throws: DataError.self) { try Dataset.movieLens(at: folder.url) }
  }

  @Test func threeThousandMutationsOfEachEditionReadOrThrow() throws {
    let first = try TemporaryFolder(inMemory: true)
    try first.write(Self.data, to: "u.data")
    let second = try TemporaryFolder(inMemory: true)
    try second.write(Self.ratings, to: "ratings.dat")
    let cases: [(TemporaryFolder, String, [UInt8])] = [
      (first, "u.item", Self.item), (first, "u.user", Array(Self.user.utf8)),
      (first, "u.data", Array(Self.data.utf8)),
      (second, "movies.dat", Array(Self.movies.utf8)), (second, "users.dat", Array(Self.users.utf8)),
      (second, "ratings.dat", Array(Self.ratings.utf8)),
    ]
    for (index, (folder, name, original)) in cases.enumerated() {
      let outcome = try Mutations.run(original, seed: 31 + UInt64(index)) { bytes in
        try folder.write(bytes, to: name)
        _ = try Dataset.movieLens(at: folder.url)
      }
      #expect(outcome.threw > 500 && outcome.read > 100, "\(name)")
      try folder.write(original, to: name)
    }
  }
}
