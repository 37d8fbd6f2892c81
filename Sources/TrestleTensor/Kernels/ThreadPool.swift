internal import CTrestleKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Runs tasks on a fixed set of threads.
///
/// The caller fixes the tasks and what each of them writes, so results never depend on the number of threads. The
/// calling thread takes part; the other threads wait for work by spinning for some tens of microseconds and then
/// sleep. Only one job runs at a time: a job that is started inside a task, or while another thread's job is running,
/// runs wholly on its own caller.
///
/// The environment variable `TRESTLE_THREADS` sets the initial number of threads; without it, it is the number of
/// cores, or of those that the container's quota of processor time pays for.
public final class ThreadPool: Sendable {
  /// The pool that every kernel uses.
  public static let shared = ThreadPool()

  private typealias Body = (Int) -> Void

  /// The generation of the job (upper half) and its number of unclaimed tasks (lower half). A task is claimed by
  /// taking one from this word; as long as the word is unchanged and not exhausted, `body` and `taskCount` belong to it.
  private let ticket = Atomic<UInt64>(0)
  /// The address of the current job's closure.
  private let body = Atomic<UInt>(0)
  private let taskCount = Atomic<Int>(0)
  /// Tasks of the current job that have not ended.
  private let unfinished = Atomic<Int>(0)
  /// Whether a job is running or the workers are being changed.
  private let busy = Atomic<Bool>(false)
  private let sleepers = Atomic<Int>(0)
  private let callerSleeps = Atomic<Bool>(false)
  private let desiredThreadCount: Atomic<Int>
  /// Workers with an index below this one go on, the others end.
  private let workerLimit = Atomic<Int>(0)
  private let spinNanoseconds = Atomic<UInt64>(0)
  /// The running workers; changed only by the thread that has set `busy`.
  private let workers = Mutex<[pthread_t]>([])
  private let coreCount: Int
  private let workSignal = Signal()
  private let doneSignal = Signal()

  private init() {
    coreCount = MachineLimits.processorCount
    let setting = getenv("TRESTLE_THREADS").flatMap { Int(String(cString: $0)) }
    desiredThreadCount = Atomic(min(max(1, setting ?? coreCount), Self.maximumThreadCount))
  }

  private static let maximumThreadCount = 1024

  /// The number of threads that take part in a job, the caller among them.
  public var threadCount: Int { desiredThreadCount.load(ordering: .relaxed) }

  /// Sets the number of threads, which may exceed the number of cores.
  ///
  /// A job that is running goes on with the threads it has.
  /// - Parameter n: 1 or more; with 1 every job runs on its caller.
  public func setThreadCount(_ n: Int) {
    precondition(n >= 1, "ThreadPool.setThreadCount: \(n) is less than 1")
    desiredThreadCount.store(min(n, Self.maximumThreadCount), ordering: .relaxed)
    // End surplus threads now rather than at the next job; a running job does it later.
    guard acquire() else { return }
    adjustWorkers()
    release()
  }

  /// Calls `body(0)`, …, `body(tasks - 1)`, each on any thread, and returns when all have ended.
  package func run(_ tasks: Int, _ body: (Int) -> Void) {
    guard tasks > 1, desiredThreadCount.load(ordering: .relaxed) > 1, acquire() else {
      for task in 0..<max(0, tasks) { body(task) }
      return
    }
    precondition(tasks <= Int(UInt32.max), "ThreadPool.run: \(tasks) tasks are too many")
    adjustWorkers()
    withoutActuallyEscaping(body) { escapable in
      withUnsafePointer(to: escapable) { pointer in
        runJob(tasks, pointer)
      }
    }
    release()
  }

  private func acquire() -> Bool {
    busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  private func release() {
    busy.store(false, ordering: .releasing)
  }

  private func runJob(_ tasks: Int, _ pointer: UnsafePointer<Body>) {
    body.store(UInt(bitPattern: pointer), ordering: .relaxed)
    taskCount.store(tasks, ordering: .relaxed)
    unfinished.store(tasks, ordering: .relaxed)
    let generation = (ticket.load(ordering: .relaxed) >> 32) &+ 1
    // Sequentially consistent, as are a worker's count of itself and its last look at the ticket: either this thread
    // sees the sleeper, or the sleeper sees the job.
    ticket.store(generation << 32 | UInt64(tasks), ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 { workSignal.wakeAll() }
    while performTask() {}
    waitForWorkers()
  }

  /// Claims a task of the current job and runs it; false if none is left.
  private func performTask() -> Bool {
    var word = ticket.load(ordering: .acquiring)
    while true {
      let remaining = word & 0xffff_ffff
      if remaining == 0 { return false }
      let address = body.load(ordering: .relaxed)
      let task = taskCount.load(ordering: .relaxed) - Int(remaining)
      let (exchanged, original) = ticket.weakCompareExchange(
        expected: word, desired: word - 1, ordering: .acquiringAndReleasing)
      if exchanged {
        Self.perform(address, task)
        if unfinished.subtract(1, ordering: .sequentiallyConsistent).newValue == 0,
          callerSleeps.load(ordering: .sequentiallyConsistent)
        {
          doneSignal.wakeAll()
        }
        return true
      }
      word = original
    }
  }

  /// Kept out of line so that no reference to the closure outlives the task.
  @inline(never)
  private static func perform(_ address: UInt, _ task: Int) {
    guard let pointer = UnsafePointer<Body>(bitPattern: address) else { return }
    pointer.pointee(task)
  }

  private func waitForWorkers() {
    if spin(until: { self.unfinished.load(ordering: .acquiring) == 0 }) { return }
    callerSleeps.store(true, ordering: .sequentiallyConsistent)
    doneSignal.wait { self.unfinished.load(ordering: .sequentiallyConsistent) == 0 }
    callerSleeps.store(false, ordering: .relaxed)
  }

  // MARK: Workers

  /// Starts or ends workers so that `desiredThreadCount` threads take part. Called with `busy` set.
  private func adjustWorkers() {
    let wanted = desiredThreadCount.load(ordering: .relaxed) - 1
    guard wanted != workerLimit.load(ordering: .relaxed) else { return }
    // Spinning takes the core from a thread with work when there are more threads than cores.
    spinNanoseconds.store(wanted < coreCount ? 50_000 : 0, ordering: .relaxed)
    workerLimit.store(wanted, ordering: .sequentiallyConsistent)
    workSignal.wakeAll()
    workers.withLock { workers in
      while workers.count > wanted { pthread_join(workers.removeLast(), nil) }
      while workers.count < wanted {
        guard let thread = startWorker(workers.count) else {
          // The system gives no more threads: go on with those there are.
          workerLimit.store(workers.count, ordering: .relaxed)
          desiredThreadCount.store(workers.count + 1, ordering: .relaxed)
          return
        }
        workers.append(thread)
      }
    }
  }

  private func startWorker(_ index: Int) -> pthread_t? {
    let argument = UnsafeMutableRawPointer(bitPattern: index + 1)
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let status = pthread_create(
      &thread, nil,
      { argument in
        ThreadPool.shared.work(Int(bitPattern: argument) - 1)
        return nil
      }, argument)
    return status == 0 ? thread : nil
  }

  private func work(_ index: Int) {
    while workerLimit.load(ordering: .relaxed) > index {
      if performTask() { continue }
      if spin(until: { self.hasNews(index) }) { continue }
      sleepers.add(1, ordering: .sequentiallyConsistent)
      workSignal.wait { self.hasNews(index) }
      sleepers.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  private func hasNews(_ index: Int) -> Bool {
    ticket.load(ordering: .sequentiallyConsistent) & 0xffff_ffff != 0
      || workerLimit.load(ordering: .sequentiallyConsistent) <= index
  }

  /// Waits actively, for a bounded time, until the condition holds; false if the time ran out.
  private func spin(until condition: () -> Bool) -> Bool {
    let limit = spinNanoseconds.load(ordering: .relaxed)
    if condition() { return true }
    if limit == 0 { return false }
    let start = trestle_nanoseconds()
    repeat {
      for _ in 0..<32 {
        if condition() { return true }
        trestle_pause()
      }
    } while trestle_nanoseconds() &- start < limit
    return false
  }
}

/// A mutex and a condition variable that threads sleep on.
private final class Signal: Sendable {
  // Safe to share: the pointers are set once, and what they point to is used through the pthread calls only, which
  // are made for use from several threads.
  nonisolated(unsafe) private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  nonisolated(unsafe) private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Sleeps until the condition holds; it is looked at under the lock that `wakeAll` takes, so no wake-up is lost.
  func wait(until ready: () -> Bool) {
    pthread_mutex_lock(mutex)
    while !ready() { pthread_cond_wait(condition, mutex) }
    pthread_mutex_unlock(mutex)
  }

  func wakeAll() {
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}
