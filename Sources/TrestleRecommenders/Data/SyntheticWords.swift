import TrestleTensor

/// The titles and sentences of a synthetic world: plain English whose words go with the item's genre.
struct SyntheticWords {
  /// A genre and the words that belong to it.
  struct Genre: Sendable {
    let name: String
    let adjectives: [String]
    let nouns: [String]
    let plots: [String]
  }

  let title: String
  let sentence: String

  init(genre index: Int, generator: inout RandomGenerator) {
    let genre = Self.genres[index]
    func pick(_ words: [String]) -> String { words[generator.index(below: words.count)] }
    let adjective = pick(genre.adjectives)
    let noun = pick(genre.nouns)
    let place = pick(Self.places)
    title =
      switch generator.index(below: 4) {
      case 0: "The \(adjective) \(noun)"
      case 1: "\(noun) of \(place)"
      case 2: "The \(noun) and the \(pick(genre.nouns))"
      default: "\(adjective) \(place)"
      }
    sentence =
      "\(pick(Self.people)) \(pick(genre.plots)) in \(place), in a \(pick(Self.tones)) story of "
      + "\(genre.name.lowercased())."
  }

  private static let places = [
    "Harbour Street", "the North", "Willow Creek", "Old Town", "the Valley", "Stone Bridge", "the Islands",
    "Red Hill",
    "the Last Station", "Silver Lake", "the Delta", "Winter Park",
  ]
  private static let people = [
    "A young teacher", "Two brothers", "A retired captain", "A stranger", "An old friend",
    "A girl from the city",
    "A family of five", "A tired doctor", "Three sisters", "A quiet clerk",
  ]
  private static let tones = ["slow", "warm", "sharp", "strange", "gentle", "loud", "bitter", "clever"]

  static let genres: [Genre] = [
    Genre(
      name: "Comedy", adjectives: ["Funny", "Clumsy", "Cheerful"],
      nouns: ["Wedding", "Neighbour", "Holiday", "Prank"],
      plots: ["ruins a wedding", "swaps jobs for a week", "tells one lie too many"]),
    Genre(
      name: "Crime", adjectives: ["Crooked", "Guilty", "Hidden"],
      nouns: ["Witness", "Heist", "Alibi", "Detective"],
      plots: ["solves a murder", "plans a last robbery", "hides a witness"]),
    Genre(
      name: "Science Fiction", adjectives: ["Distant", "Electric", "Orbital"],
      nouns: ["Planet", "Machine", "Signal", "Colony"],
      plots: ["repairs a starship", "hears a signal from space", "wakes a machine"]),
    Genre(
      name: "Romance", adjectives: ["Tender", "Secret", "Faithful"],
      nouns: ["Letter", "Kiss", "Summer", "Promise"],
      plots: ["falls in love by letter", "meets an early love again", "waits for an answer"]),
    Genre(
      name: "Horror", adjectives: ["Haunted", "Pale", "Silent"],
      nouns: ["House", "Grave", "Shadow", "Mirror"],
      plots: ["moves into a haunted house", "finds an open grave", "cannot leave the cellar"]),
    Genre(
      name: "Western", adjectives: ["Dusty", "Lonesome", "Wild"],
      nouns: ["Sheriff", "Ranch", "Rider", "Saloon"],
      plots: ["defends a ranch", "rides after outlaws", "becomes sheriff"]),
    Genre(
      name: "War", adjectives: ["Broken", "Burning", "Loyal"],
      nouns: ["Regiment", "Front", "Soldier", "Siege"],
      plots: ["survives a siege", "carries orders through the front", "comes home from war"]),
    Genre(
      name: "Music", adjectives: ["Golden", "Restless", "Blue"], nouns: ["Band", "Song", "Piano", "Choir"],
      plots: ["starts a band", "writes one famous song", "tunes a forgotten piano"]),
    Genre(
      name: "Sport", adjectives: ["Fast", "Final", "Proud"], nouns: ["Match", "Race", "Coach", "Champion"],
      plots: ["trains for the final match", "wins a race", "coaches a losing team"]),
    Genre(
      name: "Fantasy", adjectives: ["Enchanted", "Ancient", "Hollow"],
      nouns: ["Dragon", "Crown", "Wizard", "Forest"],
      plots: ["guards a dragon", "steals a crown", "learns a forbidden spell"]),
    Genre(
      name: "Documentary", adjectives: ["True", "Untold", "Patient"],
      nouns: ["River", "Bee", "Glacier", "Village"],
      plots: ["follows a river to the sea", "counts the last bees", "films a village"]),
    Genre(
      name: "Adventure", adjectives: ["Lost", "Daring", "Endless"],
      nouns: ["Island", "Map", "Voyage", "Treasure"],
      plots: ["follows an old map", "sails after a treasure", "crosses the desert"]),
    Genre(
      name: "Family", adjectives: ["Little", "Brave", "Happy"],
      nouns: ["Puppy", "School", "Treehouse", "Kite"],
      plots: ["saves a puppy", "builds a treehouse", "changes school"]),
    Genre(
      name: "Thriller", adjectives: ["Cold", "Deadly", "Double"],
      nouns: ["Agent", "Pursuit", "Code", "Hostage"],
      plots: ["breaks a secret code", "runs from the agents", "takes a hostage home"]),
    Genre(
      name: "History", adjectives: ["Royal", "Forgotten", "Noble"],
      nouns: ["Queen", "Empire", "Treaty", "Castle"],
      plots: ["serves a young queen", "signs a treaty", "rebuilds a castle"]),
    Genre(
      name: "Cooking", adjectives: ["Sweet", "Salty", "Burnt"],
      nouns: ["Kitchen", "Recipe", "Bakery", "Feast"],
      plots: ["opens a bakery", "loses a family recipe", "cooks for a hundred guests"]),
  ]
}
