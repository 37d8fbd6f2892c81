#if DEBUG
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif

  /// Says on standard error that this is a debug build, once in a process, when the kernels are first used.
  ///
  /// The C compiler does not optimise the kernels in a debug build, and a package cannot ask it to: flags that would are
  /// refused in dependencies. `TRESTLE_DEBUG_NOTE=0` in the environment keeps this quiet.
  enum DebugBuild {
    /// Evaluated once, whichever thread is first.
    static let announcement: Void = {
      if let wish = getenv("TRESTLE_DEBUG_NOTE"), String(cString: wish) == "0" { return }
      let message =
        "Trestle: this is a debug build, whose kernels run 10 to 100 times slower; build with -c release "
        + "(TRESTLE_DEBUG_NOTE=0 hides this line)\n"
      // Unbuffered, and without the global `stderr`, which is mutable state in Swift's eyes.
      _ = message.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }()
  }
#endif
