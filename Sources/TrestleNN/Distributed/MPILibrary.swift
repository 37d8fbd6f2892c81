import Foundation

/// An MPI library that was opened at run time: the calls that are needed, and the constants of its kind.
///
/// Nothing of MPI is needed to build. Open MPI's handles are addresses of objects that the library exports; MPICH's, and
/// those of the libraries that share its binary interface (Intel MPI, MVAPICH, Cray), are numbers. Both fit an `Int`,
/// which is passed as both expect it.
struct MPILibrary: Sendable {
  /// The two binary interfaces.
  enum Kind: String, Sendable {
    case openMPI = "Open MPI"
    case mpich = "MPICH"
  }

  typealias Initialize = @convention(c) @Sendable (Int, Int, Int32, UnsafeMutablePointer<Int32>) -> Int32
  typealias Number = @convention(c) @Sendable (Int, UnsafeMutablePointer<Int32>) -> Int32
  typealias Handler = @convention(c) @Sendable (Int, Int) -> Int32
  typealias Request = UnsafeMutablePointer<Int>
  typealias Transfer =
    @convention(c) @Sendable (
      UnsafeMutableRawPointer?, Int32, Int, Int32, Int32, Int, Request
    ) -> Int32
  typealias Gather =
    @convention(c) @Sendable (
      UnsafeRawPointer?, Int32, Int, UnsafeMutableRawPointer?, UnsafePointer<Int32>, UnsafePointer<Int32>,
      Int,
      Int, Request
    ) -> Int32
  typealias Broadcast =
    @convention(c) @Sendable (UnsafeMutableRawPointer?, Int32, Int, Int32, Int, Request) -> Int32
  typealias Barrier = @convention(c) @Sendable (Int, Request) -> Int32
  typealias Test = @convention(c) @Sendable (Request, UnsafeMutablePointer<Int32>, Int) -> Int32
  typealias ErrorText =
    @convention(c) @Sendable (Int32, UnsafeMutablePointer<CChar>, UnsafeMutablePointer<Int32>) -> Int32
  typealias Finalize = @convention(c) @Sendable () -> Int32

  let kind: Kind
  let path: String
  /// `MPI_COMM_WORLD`.
  let world: Int
  /// `MPI_BYTE`.
  let byte: Int
  /// `MPI_ERRORS_RETURN`.
  let errorsReturn: Int
  /// `MPI_STATUS_IGNORE`.
  let noStatus: Int

  let initialize: Initialize
  let finalize: Finalize
  let rank: Number
  let size: Number
  let setErrorHandler: Handler
  let send: Transfer
  let receive: Transfer
  let gather: Gather
  let broadcast: Broadcast
  let barrier: Barrier
  let test: Test
  let errorText: ErrorText

  /// Opens the library that the launcher belongs to.
  ///
  /// - Parameters:
  ///   - launcher: what started the process.
  ///   - path: a library to be opened whatever else there is; `TRESTLE_MPI_LIBRARY` as a rule.
  /// - Throws: ``CommunicatorError/library(_:)`` if there is none, or only the other kind's.
  init(for launcher: MPILauncher, path: String?) throws(CommunicatorError) {
    var others: [String] = []
    var reasons: [String] = []
    for name in path.map({ [$0] }) ?? launcher.libraryNames {
      guard let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) else {
        reasons.append(dlerror().map { String(cString: $0) } ?? name)
        continue
      }
      guard let kind = Self.kind(of: handle) else {
        others.append("\(name), which is neither Open MPI's nor MPICH's")
        continue
      }
      guard launcher.kind == nil || launcher.kind == kind else {
        others.append("\(name), which is \(kind.rawValue)'s")
        continue
      }
      // Open MPI's plugins look for the library's symbols among those of the whole process.
      guard let library = dlopen(name, RTLD_NOW | RTLD_GLOBAL) else { continue }
      try self.init(kind, name, library)
      return
    }
    let launched = "this process was started by \(launcher.name)"
    if let other = others.first {
      throw .library(
        "\(launched), but the MPI library found is \(other): use the mpirun that belongs to it, or name the other "
          + "library by TRESTLE_MPI_LIBRARY")
    }
    let looked = path.map { "'\($0)'" } ?? launcher.libraryNames.joined(separator: ", ")
    throw .library(
      "\(launched), but no MPI library can be opened (looked for \(looked)): install "
        + "\(launcher.kind == .mpich ? "MPICH (Debian: libmpich12)" : "Open MPI (Debian: libopenmpi3)"), or name it by "
        + "TRESTLE_MPI_LIBRARY" + (path == nil ? "" : "; \(reasons.first ?? "")"))
  }

  /// Which kind a library is, by a symbol that the other kind does not have.
  private static func kind(of handle: UnsafeMutableRawPointer) -> Kind? {
    if dlsym(handle, "ompi_mpi_comm_world") != nil { return .openMPI }
    if dlsym(handle, "MPIR_Dup_fn") != nil { return .mpich }
    return nil
  }

  private init(_ kind: Kind, _ path: String, _ handle: UnsafeMutableRawPointer) throws(CommunicatorError) {
    func symbol(_ name: String) throws(CommunicatorError) -> UnsafeMutableRawPointer {
      guard let address = dlsym(handle, name) else {
        throw .library("\(path): \(kind.rawValue)'s library without \(name)")
      }
      return address
    }
    func call<Function>(_ name: String, _ type: Function.Type) throws(CommunicatorError) -> Function {
      unsafeBitCast(try symbol(name), to: type)
    }
    self.kind = kind
    self.path = path
    switch kind {
    case .openMPI:
      world = Int(bitPattern: try symbol("ompi_mpi_comm_world"))
      byte = Int(bitPattern: try symbol("ompi_mpi_byte"))
      errorsReturn = Int(bitPattern: try symbol("ompi_mpi_errors_return"))
      noStatus = 0
    case .mpich: (world, byte, errorsReturn, noStatus) = (0x4400_0000, 0x4c00_010d, 0x5400_0001, 1)
    }
    initialize = try call("MPI_Init_thread", Initialize.self)
    finalize = try call("MPI_Finalize", Finalize.self)
    rank = try call("MPI_Comm_rank", Number.self)
    size = try call("MPI_Comm_size", Number.self)
    setErrorHandler = try call("MPI_Comm_set_errhandler", Handler.self)
    send = try call("MPI_Isend", Transfer.self)
    receive = try call("MPI_Irecv", Transfer.self)
    gather = try call("MPI_Iallgatherv", Gather.self)
    broadcast = try call("MPI_Ibcast", Broadcast.self)
    barrier = try call("MPI_Ibarrier", Barrier.self)
    test = try call("MPI_Test", Test.self)
    errorText = try call("MPI_Error_string", ErrorText.self)
  }
}

/// What started this process, as the environment tells.
struct MPILauncher: Equatable, Sendable {
  /// The kind of library that its processes need; `nil` if both do.
  let kind: MPILibrary.Kind?
  /// The number of ranks that it started; `nil` if it does not say.
  let size: Int?

  /// What started a process with such an environment; `nil` for no launcher.
  init?(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    func number(_ names: String...) -> Int? {
      names.lazy.compactMap { environment[$0] }.first.flatMap { Int($0) }
    }
    if let size = number("OMPI_COMM_WORLD_SIZE") {
      (kind, self.size) = (.openMPI, size)
    } else if let size = number("PMI_SIZE") {
      (kind, self.size) = (.mpich, size)
    } else if environment["PMIX_RANK"] != nil {
      (kind, self.size) = (nil, nil)
    } else {
      return nil
    }
  }

  var name: String { kind.map { "\($0.rawValue)'s mpirun" } ?? "a launcher of MPI processes" }

  /// The libraries' names, the likeliest first.
  var libraryNames: [String] {
    #if canImport(Darwin)
      let open = ["libmpi.40.dylib"]
      let mpich = ["libmpi.12.dylib", "libmpich.12.dylib"]
      let both = ["libmpi.dylib"]
    #else
      let open = ["libmpi.so.40"]
      let mpich = ["libmpich.so.12", "libmpi.so.12"]
      let both = ["libmpi.so"]
    #endif
    switch kind {
    case .openMPI: return open + both + mpich
    case .mpich: return mpich + both + open
    case nil: return open + mpich + both
    }
  }
}
