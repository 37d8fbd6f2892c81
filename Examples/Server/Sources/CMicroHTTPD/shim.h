#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>

// What Swift cannot call, or calls by names that differ from version to version: functions with variable arguments, and the
// library's enumerations.

static inline enum MHD_Result server_yes(void) { return MHD_YES; }
static inline enum MHD_Result server_no(void) { return MHD_NO; }

/// Calls `each` with every argument of a request's query.
static inline void server_query(struct MHD_Connection *connection, MHD_KeyValueIterator each, void *context) {
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, each, context);
}

/// Listens on `address` (an IPv4 address) and `port` with a pool of threads; NULL if that is not possible.
static inline struct MHD_Daemon *server_start(
    const char *address, uint16_t port, unsigned int threads, unsigned int connections,
    MHD_AccessHandlerCallback handle, void *context, MHD_RequestCompletedCallback completed) {
  struct sockaddr_in where;
  memset(&where, 0, sizeof where);
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  if (inet_pton(AF_INET, address, &where.sin_addr) != 1) return NULL;
  return MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG, port, NULL, NULL, handle, context,
      MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where, MHD_OPTION_THREAD_POOL_SIZE, threads,
      MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
      MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
}

/// The port that a daemon listens on.
static inline uint16_t server_port(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

/// Answers a request; the bytes are copied.
static inline enum MHD_Result server_answer(
    struct MHD_Connection *connection, unsigned int status, const char *type, const void *bytes, size_t count) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(count, (void *)bytes, MHD_RESPMEM_MUST_COPY);
  if (!response) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", type);
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}
