import Foundation
import Trestle

extension FuzzTarget {
  /// Readers of data sets, under both policies for bad lines, and of what belongs to data sets.
  static var tables: [FuzzTarget] { delimitedTables + publishedTables + partsOfDataSets }

  private static var delimitedTables: [FuzzTarget] {
    [
      table(
        "delimited", "user_id,item_id,rating,timestamp\n1,\"a\"\"x\",3,4\n2,b,1.5,9\n\"3\",\"c\nd\",4,1\n"
      ) { options in
        var columns = DelimitedColumns()
        (columns.rating, columns.timestamp) = ("rating", "timestamp")
        return try Dataset.delimited(
          Scratch.folder.appending(path: "delimited"), columns: columns, options: options)
      },
      table("delimited-items", "item_id,title,genres,year\na,\"Toy Story, The\",x|y,1995\nb,c,,\n") {
        options in
        let rows = try Scratch.file("rows.csv", Array("user_id,item_id\n1,a\n2,b\n".utf8))
        var columns = DelimitedColumns()
        (columns.title, columns.genres, columns.year) = ("title", "genres", "year")
        return try Dataset.delimited(
          rows, items: Scratch.folder.appending(path: "delimited-items"), columns: columns, options: options)
      },
    ]
  }

  private static var publishedTables: [FuzzTarget] {
    [
      table(
        "recbole",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\ta\t3\t4\n2\tb\t1e1\t5.5\n",
        as: "recbole.inter"
      ) {
        try Dataset.recBole(at: Scratch.folder, name: "recbole", options: $0)
      },
      table(
        "recbole-items",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\na\tToy Story\t1995\tx y\n",
        as: "items.item"
      ) {
        _ = try Scratch.file("items.inter", Array("user_id:token\titem_id:token\n1\ta\n".utf8))
        return try Dataset.recBole(at: Scratch.folder, name: "items", options: $0)
      },
      table("movielens-100k", "1\t2\t3\t881250949\n2\t3\t5\t891717742\n", as: "ml-100k/u.data") {
        try Dataset.movieLens(at: Scratch.folder.appending(path: "ml-100k"), options: $0)
      },
      table(
        "movielens-1m-items", "1::Toy Story (1995)::Animation|Comedy\n2::X (a)::Drama\n",
        as: "ml-1m/movies.dat"
      ) {
        _ = try Scratch.file("ml-1m/ratings.dat", Array("1::1::5::978300760\n".utf8))
        return try Dataset.movieLens(at: Scratch.folder.appending(path: "ml-1m"), options: $0)
      },
      table(
        "amazon",
        #"{"reviewerID": "A", "asin": "B", "overall": 5.0, "unixReviewTime": 1}"# + "\n"
          + #"{"user_id": "C", "parent_asin": "D", "rating": 1, "timestamp": 2000}"# + "\n"
      ) {
        try Dataset.amazon(reviews: Scratch.folder.appending(path: "amazon"), options: $0)
      },
    ]
  }

  private static var partsOfDataSets: [FuzzTarget] {
    [
      FuzzTarget(
        "candidate-lists", seeds: { [Array(#"{"users":[0,2],"items":[[1,2],[3]],"description":"x"}"#.utf8)] }
      ) { bytes in
        let file = try Scratch.file("candidates.json", bytes)
        _ = try CandidateLists(contentsOf: file, userCount: 5, itemCount: 5)
      },
      FuzzTarget(
        "labelled-split",
        seeds: { [Array("user\titem\tlabel\thistory\nu\ta\t1\t\nu\tb\t0\ta a\nv\tb\t1\tb\n".utf8)] }
      ) { bytes in
        let folder = Scratch.folder.appending(path: "labelled")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        _ = try Scratch.file("labelled/items.tsv", Array("item\ttitle\na\tA\nb\tB\n".utf8))
        for part in ["train", "valid", "test"] { _ = try Scratch.file("labelled/\(part).tsv", bytes) }
        let split = try LabelledSplit(contentsOf: folder)
        precondition(split.liked.training.count <= split.training.count, "more liked rows than rows")
      },
      FuzzTarget(
        "named-split",
        seeds: { [Array("user_id:token\titem_id:token\trating:float\nu\ta\t1\nv\tb\t2.5\n".utf8)] }
      ) { bytes in
        let folder = Scratch.folder.appending(path: "named-split")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for part in ["train", "valid", "test"] { _ = try Scratch.file("named-split/x.\(part).inter", bytes) }
        let read = try NamedSplit.recBole(at: folder, name: "x")
        let place = Scratch.folder.appending(path: "named-split-again")
        try read.write(to: place)
        let again = try NamedSplit(contentsOf: place)
        precondition(again.split.hash == read.split.hash, "a split that is read back otherwise")
      },
      FuzzTarget(
        "dataset-cache",
        seeds: {
          var world = SyntheticWorld.Configuration()
          (world.users, world.items, world.interactions) = (4, 5, 20)
          let url = Scratch.folder.appending(path: "cache-seed")
          try SyntheticWorld(world, seed: 1).dataset().saveCache(to: url)
          return [try Array(Data(contentsOf: url))]
        }
      ) { bytes in
        let data = try Dataset(cache: Scratch.file("cache", bytes))
        precondition(data.items.count == data.itemCount, "attributes of other items")
        _ = data.interactions.userCounts()
      },
      FuzzTarget("id-map", seeds: { [Array(#"["a","b","\u00e9"]"#.utf8)] }) { bytes in
        guard let map = try? JSONDecoder().decode(IDMap.self, from: Data(bytes)) else { return }
        for index in 0..<map.count {
          precondition(map.index(of: map[index]) == index, "an id without its index")
        }
      },
    ]
  }

  private static func table(
    _ name: String, _ seed: String, as file: String? = nil, _ read: @escaping (ReadOptions) throws -> Dataset
  ) -> FuzzTarget {
    FuzzTarget(name, seeds: { [Array(seed.utf8)] }) { bytes in
      let place = Scratch.folder.appending(path: file ?? name)
      try? FileManager.default.createDirectory(
        at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: place)
      var options = ReadOptions()
      options.onBadLine = .skip
      let data = try read(options)
      precondition((data.report?.skipped ?? 0) >= 0, "a negative count of lines")
      options.onBadLine = .fail
      _ = try read(options)
    }
  }
}
