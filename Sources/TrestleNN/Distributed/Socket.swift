import Foundation

/// The few calls on stream sockets that ranks watch one another by.
enum Socket {
  #if canImport(Darwin)
    private static let stream = SOCK_STREAM
    private static let quiet: Int32 = 0
  #else
    private static let stream = Int32(SOCK_STREAM.rawValue)
    /// `MSG_NOSIGNAL`: an error instead of a signal where the other end is closed.
    private static let quiet: Int32 = 0x4000
  #endif

  /// A socket that listens on a free port; `nil` if there is none.
  static func listener(onlyLocal: Bool, backlog: Int) -> (descriptor: Int32, port: UInt16)? {
    guard let descriptor = made() else { return nil }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = (onlyLocal ? UInt32(0x7f00_0001) : 0).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        bind(descriptor, general, length) == 0 && listen(descriptor, Int32(backlog)) == 0
          && getsockname(descriptor, general, &length) == 0
      }
    }
    guard isBound else {
      close(descriptor)
      return nil
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  /// A connection; `nil` if none is made within five seconds.
  static func connection(to host: String, port: UInt16) -> Int32? {
    var hints = addrinfo()
    (hints.ai_family, hints.ai_socktype) = (AF_INET, stream)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &found) == 0 else { return nil }
    defer { freeaddrinfo(found) }
    guard let address = found?.pointee, let descriptor = made() else { return nil }
    guard connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// The next connection that somebody has made; `nil` if there is none within five seconds.
  static func accepted(from listener: Int32) -> Int32? {
    let descriptor = accept(listener, nil, nil)
    guard descriptor >= 0 else { return nil }
    configure(descriptor)
    return descriptor
  }

  /// Bytes from a connection: none where the other end is closed, `nil` for an error.
  static func read(from descriptor: Int32, limit: Int = 256) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit)
    var count = recv(descriptor, &bytes, limit, 0)
    while count < 0 && errno == EINTR { count = recv(descriptor, &bytes, limit, 0) }
    return count < 0 ? nil : Array(bytes.prefix(count))
  }

  /// Writes a few bytes; a closed other end is found by reading.
  static func write(_ bytes: [UInt8], to descriptor: Int32) {
    _ = send(descriptor, bytes, bytes.count, quiet)
  }

  private static func made() -> Int32? {
    let descriptor = socket(AF_INET, stream, 0)
    guard descriptor >= 0 else { return nil }
    configure(descriptor)
    return descriptor
  }

  private static func configure(_ descriptor: Int32) {
    // Programs that are started from here must not hold the connection open.
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    let length = socklen_t(MemoryLayout<timeval>.size)
    _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, length)
    _ = setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, length)
    #if canImport(Darwin)
      var on: Int32 = 1
      _ = setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
    #endif
  }
}
