// What ThreadSanitizer says of two threads that share nothing and make an empty array each:
//
//   swiftc -O -sanitize=thread Scripts/support/tsan-empty-array.swift -o empty && ./empty
//   TSAN_OPTIONS=suppressions=Scripts/support/tsan-suppressions.txt ./empty
//
// Swift 6.3.1, Linux x86-64: the first reports a race on '_swiftEmptyArrayStorage', the second nothing.
import Foundation

let threads = (0..<2).map { _ in
  Thread {
    for _ in 0..<1000 {
      let empty = [Int32](unsafeUninitializedCapacity: 0) { _, count in count = 0 }
      precondition(empty.isEmpty)
    }
  }
}
for thread in threads { thread.start() }
while !threads.allSatisfy(\.isFinished) { usleep(1000) }
