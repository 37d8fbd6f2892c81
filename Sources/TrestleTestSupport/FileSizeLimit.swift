import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Lets the process write no file beyond so many bytes while `body` runs: what a full disk is like, without the right to mount
/// one. The limit is the whole process's, so a test uses it in a process of its own (`#expect(processExitsWith:)`).
package func withFileSizeLimit(_ bytes: Int, _ body: () throws -> Void) throws {
  // The signal that comes with the error would end the process.
  signal(SIGXFSZ, SIG_IGN)
  var former = rlimit()
  #if canImport(Glibc)
    let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
  #else
    let resource = RLIMIT_FSIZE
  #endif
  guard getrlimit(resource, &former) == 0 else { throw FileSizeLimitError() }
  var limit = former
  limit.rlim_cur = rlim_t(bytes)
  guard setrlimit(resource, &limit) == 0 else { throw FileSizeLimitError() }
  defer { setrlimit(resource, &former) }
  try body()
}

/// The system sets no limit.
package struct FileSizeLimitError: Error {
  package init() {}
}
