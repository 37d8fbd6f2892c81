import CMicroHTTPD
import Foundation
import RecommendationService

/// GNU libmicrohttpd in front of a service.
final class HTTPServer {
  /// The most bytes of a body.
  static let bodyLimit = 1 << 20
  private let daemon: OpaquePointer
  /// The service, which the callbacks are handed unretained: this object holds it until the daemon has stopped.
  private let service: Service

  /// Listens; `nil` if the address or port cannot be had.
  init?(_ service: Service, address: String, port: UInt16, threads: Int) {
    self.service = service
    let context = Unmanaged.passUnretained(service).toOpaque()
    guard
      let daemon = server_start(
        address, port, UInt32(threads), 4096,
        { context, connection, url, method, _, data, size, state in
          HTTPServer.receive(context, connection, url, method, data, size, state)
        }, context,
        { _, _, state, _ in
          if let kept = state?.pointee { Unmanaged<Body>.fromOpaque(kept).release() }
          state?.pointee = nil
        })
    else { return nil }
    self.daemon = daemon
  }

  /// The port that is listened on.
  var port: UInt16 { server_port(daemon) }

  /// Ends; requests that are being answered are answered.
  func stop() { MHD_stop_daemon(daemon) }

  /// What has come of a request's body.
  private final class Body {
    var bytes: [UInt8] = []
    var isTooLarge = false
  }

  /// Called once with the headers, once for every part of the body, and once more when all is there.
  private static func receive(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?, _ size: UnsafeMutablePointer<Int>?,
    _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
  ) -> MHD_Result {
    guard let context, let connection, let url, let method, let size, let state else { return server_no() }
    guard let kept = state.pointee else {
      state.pointee = Unmanaged.passRetained(Body()).toOpaque()
      return server_yes()
    }
    let body = Unmanaged<Body>.fromOpaque(kept).takeUnretainedValue()
    if size.pointee > 0, let data {
      if body.bytes.count + size.pointee > bodyLimit {
        body.isTooLarge = true
      } else {
        body.bytes += UnsafeRawBufferPointer(start: data, count: size.pointee)
      }
      size.pointee = 0
      return server_yes()
    }
    if body.isTooLarge {
      let text = #"{"error": "the body has more than 1 MiB"}"#
      return server_answer(connection, 413, "application/json", text, text.utf8.count)
    }
    let service = Unmanaged<Service>.fromOpaque(context).takeUnretainedValue()
    let response = service.answer(
      Request(
        String(cString: method), String(cString: url), query: query(of: connection), body: body.bytes))
    return server_answer(
      connection, UInt32(response.status), response.type, response.body, response.body.count)
  }

  private final class Query { var values: [String: String] = [:] }

  private static func query(of connection: OpaquePointer) -> [String: String] {
    let query = Query()
    server_query(
      connection,
      { context, _, key, value in
        if let context, let key {
          let query = Unmanaged<Query>.fromOpaque(context).takeUnretainedValue()
          query.values[String(cString: key)] = value.map { String(cString: $0) } ?? ""
        }
        return server_yes()
      }, Unmanaged.passUnretained(query).toOpaque())
    return withExtendedLifetime(query) { query.values }
  }
}
