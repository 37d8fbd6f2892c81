import Synchronization
import Testing
import TrestleTensor

/// The pool is shared by the whole process, so the tests that change it run one after the other.
@Suite(.serialized) struct MatrixThreadPoolTests {
  @Test(arguments: [1, 2, 3, 8]) func everyTaskRunsOnce(threads: Int) {
    let before = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.setThreadCount(before) }
    ThreadPool.shared.setThreadCount(threads)
    for tasks in [0, 1, 2, 5, 64, 1000] {
      let counts = Counts(tasks)
      ThreadPool.shared.run(tasks) { counts.increment($0) }
      #expect(counts.values == Array(repeating: 1, count: tasks))
    }
  }

  @Test func manySmallJobsFollowEachOther() {
    let total = Total()
    for _ in 0..<20_000 {
      ThreadPool.shared.run(3) { total.add($0 + 1) }
    }
    #expect(total.value == 120_000)
  }

  @Test func nestedJobsRunInline() {
    let total = Total()
    ThreadPool.shared.run(8) { _ in
      ThreadPool.shared.run(8) { _ in
        ThreadPool.shared.run(2) { _ in total.add(1) }
      }
    }
    #expect(total.value == 128)
  }

  @Test func concurrentCallersAllFinish() async {
    let total = Total()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<500 { ThreadPool.shared.run(7) { _ in total.add(1) } }
        }
      }
    }
    #expect(total.value == 8 * 500 * 7)
  }

  @Test func theThreadCountMayChangeWhileJobsRun() async {
    let before = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.setThreadCount(before) }
    let total = Total()
    await withTaskGroup(of: Void.self) { group in
      group.addTask { for n in 0..<200 { ThreadPool.shared.setThreadCount(n % 5 + 1) } }
      group.addTask {
        for _ in 0..<2000 { ThreadPool.shared.run(6) { _ in total.add(1) } }
      }
    }
    #expect(total.value == 12_000)
  }
}

/// One counter per task.
private final class Counts: Sendable {
  private let counters: Mutex<[Int]>
  init(_ count: Int) { counters = Mutex(Array(repeating: 0, count: count)) }
  func increment(_ index: Int) { counters.withLock { $0[index] += 1 } }
  var values: [Int] { counters.withLock { $0 } }
}

private final class Total: Sendable {
  private let sum = Atomic<Int>(0)
  func add(_ n: Int) { sum.add(n, ordering: .relaxed) }
  var value: Int { sum.load(ordering: .relaxed) }
}
