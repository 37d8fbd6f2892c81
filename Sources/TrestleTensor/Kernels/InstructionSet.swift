package import CTrestleKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The instruction sets for which the kernels are compiled.
///
/// The best one that the processor and the operating system support is chosen at the first use. The environment
/// variable `TRESTLE_ISA` (a raw value of this type) overrides that choice; a value that is unknown or that this
/// machine cannot run ends the process with a message and exit code 78.
public enum InstructionSet: String, CaseIterable, Sendable {
  /// What every processor of the architecture has; the reference for the other levels.
  case portable
  /// 128-bit vectors of 64-bit ARM processors.
  case neon
  /// 256-bit vectors with fused multiply-add on x86-64.
  case avx2
  /// 512-bit vectors on x86-64.
  case avx512

  /// The instruction sets that this machine can run, from the slowest to the fastest.
  public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }

  /// The instruction set that kernels run with now.
  public static var current: InstructionSet { selected.pointee.instructionSet }

  /// Makes every later kernel call of the process run with `instructionSet`.
  ///
  /// Results differ between instruction sets by rounding. Calls that are under way keep what they started with.
  ///
  /// - Throws: ``InstructionSetError/unavailable(requested:available:)`` if this machine cannot run it.
  public static func select(_ instructionSet: InstructionSet) throws(InstructionSetError) {
    guard let tables = KernelTables.make(instructionSet) else {
      throw .unavailable(requested: instructionSet, available: available)
    }
    selection.store(UInt(bitPattern: tables), ordering: .releasing)
  }

  /// Whether this machine can run the instruction set.
  public var isAvailable: Bool { trestle_level_is_available(level) != 0 }

  /// The C name of the level.
  package var level: trestle_level {
    switch self {
    case .portable: TRESTLE_LEVEL_PORTABLE
    case .neon: TRESTLE_LEVEL_NEON
    case .avx2: TRESTLE_LEVEL_AVX2
    case .avx512: TRESTLE_LEVEL_AVX512
    }
  }

  /// The kernels of the current instruction set.
  package static var kernels: (float: UnsafePointer<trestle_kernels>, double: UnsafePointer<trestle_kernels>)
  {
    let tables = selected
    return (tables.pointee.float, tables.pointee.double)
  }

  /// The conversions between element types of the current instruction set.
  package static var conversions: UnsafePointer<trestle_conversions> { selected.pointee.conversions }

  private static var selected: UnsafePointer<KernelTables> {
    // Acquiring, which costs nothing on x86-64: the tables behind the address must be seen whole.
    UnsafePointer(bitPattern: selection.load(ordering: .acquiring)) ?? selectInitially()
  }

  /// Chooses by `TRESTLE_ISA` or, without it, the best level, unless another thread has chosen meanwhile.
  @inline(never)
  private static func selectInitially() -> UnsafePointer<KernelTables> {
    var choice = available.last ?? .portable
    if let wish = getenv("TRESTLE_ISA").map({ String(cString: $0) }), !wish.isEmpty {
      guard let named = InstructionSet(rawValue: wish), named.isAvailable else { exitUnavailable(wish) }
      choice = named
    }
    guard let tables = KernelTables.make(choice) else { exitUnavailable(choice.rawValue) }
    let (_, original) = selection.compareExchange(
      expected: 0, desired: UInt(bitPattern: tables), ordering: .acquiringAndReleasing)
    return UnsafePointer(bitPattern: original) ?? tables
  }

  private static func exitUnavailable(_ wish: String) -> Never {
    let names = available.map(\.rawValue).joined(separator: ", ")
    let message = "trestle: TRESTLE_ISA is '\(wish)', but this machine can run: \(names)\n"
    // Unbuffered, and without the global `stderr`, which is mutable state in Swift's eyes.
    _ = message.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(78)
  }
}

/// What ``InstructionSet/select(_:)`` throws.
public enum InstructionSetError: Error, Equatable, CustomStringConvertible {
  /// The machine cannot run `requested`; it can run `available`.
  case unavailable(requested: InstructionSet, available: [InstructionSet])

  /// One line that names the instruction set asked for and those there are.
  public var description: String {
    switch self {
    case .unavailable(let requested, let available):
      let names = available.map(\.rawValue).joined(separator: ", ")
      return "instruction set '\(requested.rawValue)' cannot run on this machine, which has: \(names)"
    }
  }
}

/// The tables of one instruction set. They point to constants of the C library, which live as long as the process.
private struct KernelTables {
  let instructionSet: InstructionSet
  let float: UnsafePointer<trestle_kernels>
  let double: UnsafePointer<trestle_kernels>
  let conversions: UnsafePointer<trestle_conversions>

  /// A copy that is never freed: readers hold no reference, so no choice may go away. Choices are few.
  static func make(_ instructionSet: InstructionSet) -> UnsafePointer<KernelTables>? {
    #if DEBUG
      DebugBuild.announcement
    #endif
    guard let float = trestle_kernels_table(instructionSet.level, 0),
      let double = trestle_kernels_table(instructionSet.level, 1),
      let conversions = trestle_conversions_table(instructionSet.level)
    else { return nil }
    let tables = UnsafeMutablePointer<KernelTables>.allocate(capacity: 1)
    tables.initialize(
      to: KernelTables(instructionSet: instructionSet, float: float, double: double, conversions: conversions)
    )
    return UnsafePointer(tables)
  }
}

/// The address of the chosen tables; 0 until the first use.
private let selection = Atomic<UInt>(0)
