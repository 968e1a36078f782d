/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/server.h"

#include <glib.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "serve/clock.h"
#include "serve/http/auth.h"
#include "serve/http/connections.h"
#include "serve/http/encoding.h"
#include "serve/http/framing.h"
#include "serve/http/record.h"
#include "serve/http/statistics.h"

#define CONNECTION_MEMORY 32768    /* libmicrohttpd's memory for a connection */
#define MAX_JSON_BYTES 65536       /* of a body */
#define IDLE_SECONDS 30            /* between two bytes */
#define REQUEST_SECONDS 300        /* until the response begins, plus */
#define MIN_BYTES_PER_SECOND 32768 /* the time of the body at this rate */
#define MAX_THREADS 4
#define MAX_WAIT_SECONDS 150 /* in a pool; leaves time for the handler itself */
#define RETRY_SECONDS 10
#define TURN_SECONDS 2 /* until a client may try again when it has too many turns */
/* A body that is too large is still read, so that the client sees the response, unless
 * it exceeds the limit by this factor. */
#define DISCARD_FACTOR 4

/* A request and its response. Each phase of a request returns true once it is answered,
 * which ends it; until then response.mhd is NULL. */
struct exchange {
    struct serve_request request;
    struct serve_response response;
    struct serve_connection *connection;
    struct serve_record record;
    uint64_t received;
    GString *json_text; /* SERVE_BODY_JSON */
    double queued_at;   /* time of the push to a pool */
    bool bad_framing;   /* the end of the request is unknown */
};

static struct {
    const struct serve_settings *settings;
    const struct serve_route *routes;
    struct MHD_Daemon *daemon;
    atomic_bool draining;
} server;

/* Request context before the exchange exists: the path contains a NUL. */
static struct exchange nul_marker;

/* MHD_OPTION_URI_LOG_CALLBACK, with the path before it is decoded. Must not allocate:
 * on_completed() is not called for a request that ends here. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    /* a decoded NUL would truncate the path */
    const char *query = strchr(uri, '?'), *nul = strstr(uri, "%00");

    (void)cls;
    (void)c;
    return nul && (!query || nul < query) ? &nul_marker : NULL;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *context;

    (void)cls;
    if (!x || x == &nul_marker)
        return;
    serve_record_end(&x->record, &x->request, &x->response, x->received,
                     code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        serve_connection_complete(x->connection, c, IDLE_SECONDS);
    serve_upload_free(x->request.upload);
    json_decref(x->request.body);
    if (x->json_text)
        g_string_free(x->json_text, TRUE);
    if (x->response.mhd)
        MHD_destroy_response(x->response.mhd);
    free(x);
    *context = NULL;
}

static bool answer(struct exchange *x, struct serve_response response)
{
    x->response = response;
    return true;
}

static const char *request_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->request.connection, MHD_HEADER_KIND, name);
}

/* True if the path matches; argument receives the part that matches *. */
static bool match_path(const char *pattern, const char *path, char argument[128])
{
    size_t before = strcspn(pattern, "*"), n;

    if (!pattern[before])
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, before) != 0)
        return false;
    n = strcspn(path + before, "/");
    if (n == 0 || n >= 128 || strcmp(pattern + before + 1, path + before + n) != 0)
        return false;
    memcpy(argument, path + before, n);
    argument[n] = 0;
    return true;
}

/* A response without a body. */
static struct serve_response empty_response(unsigned status, const char *header,
                                            const char *value)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

    MHD_add_response_header(serve_response_add_headers(r, "text/plain"), header, value);
    return (struct serve_response){.status = status, .mhd = r};
}

/* Find the route of a method and a path without the prefix. */
static bool find_route(struct exchange *x, const char *path, const char *method)
{
    GString *allowed = g_string_new(NULL);

    if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        method = MHD_HTTP_METHOD_GET;
    for (const struct serve_route *r = server.routes; r->method; r++) {
        if (!match_path(r->path, path, x->request.argument))
            continue;
        if (strcmp(r->method, method) == 0) {
            x->request.route = r;
            break;
        }
        g_string_append_printf(allowed, "%s%s%s", allowed->len ? ", " : "", r->method,
                               strcmp(r->method, MHD_HTTP_METHOD_GET) ? "" : ", HEAD");
    }
    if (!x->request.route && !allowed->len)
        answer(x, serve_response_error(MHD_HTTP_NOT_FOUND, "not found"));
    else if (!x->request.route && strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
        answer(x, empty_response(MHD_HTTP_NO_CONTENT, MHD_HTTP_HEADER_ALLOW,
                                 allowed->str));
    else if (!x->request.route) {
        answer(x,
               serve_response_error(MHD_HTTP_METHOD_NOT_ALLOWED,
                                    "method: not allowed (allowed: %s)", allowed->str));
        MHD_add_response_header(x->response.mhd, MHD_HTTP_HEADER_ALLOW, allowed->str);
    }
    g_string_free(allowed, TRUE);
    return !x->request.route;
}

/* Find the route of a path, whose prefix a proxy may have removed already. */
static bool resolve_path(struct exchange *x, const char *path, const char *method,
                         bool nul)
{
    const char *prefix = server.settings->prefix;
    size_t n = prefix ? strlen(prefix) : 0;

    if (nul)
        return answer(
            x, serve_response_error(MHD_HTTP_BAD_REQUEST, "path: contains a NUL byte"));
    if (prefix && strcmp(path, prefix) == 0) {
        /* the page refers to its files by relative paths, which need the final slash */
        char *folder = nst_xasprintf("%s/", path);

        answer(x, empty_response(MHD_HTTP_PERMANENT_REDIRECT, MHD_HTTP_HEADER_LOCATION,
                                 folder));
        free(folder);
        return true;
    }
    if (n && strncmp(path, prefix, n) == 0 && path[n] == '/')
        path += n;
    return find_route(x, path, method);
}

static uint64_t body_limit(const struct exchange *x)
{
    return x->request.route && x->request.route->body == SERVE_BODY_FILE
               ? (uint64_t)server.settings->max_upload
               : MAX_JSON_BYTES;
}

static struct serve_response too_large(const struct exchange *x)
{
    return serve_response_error(MHD_HTTP_CONTENT_TOO_LARGE,
                                "the body has more than %" PRIu64 " bytes",
                                body_limit(x));
}

static struct serve_response shutting_down(void)
{
    return serve_response_because(
        SERVE_REASON_SHUTTING_DOWN,
        serve_response_retry_after(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                                   "the service is shutting down"));
}

static struct serve_response busy(void)
{
    return serve_response_because(
        SERVE_REASON_BUSY, serve_response_retry_after(
                               MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                               "too many such requests are waiting: try again later"));
}

static struct serve_response wait_your_turn(void)
{
    return serve_response_retry_after(
        MHD_HTTP_TOO_MANY_REQUESTS, TURN_SECONDS,
        "%d requests of yours wait already: send them one after the other",
        SERVE_MAX_TURNS);
}

/* Prepare to receive the route's kind of body. */
static bool prepare_body(struct exchange *x, uint64_t length)
{
    const struct serve_route *route = x->request.route;
    const char *type = request_header(x, MHD_HTTP_HEADER_CONTENT_TYPE);

    if (route->body == SERVE_BODY_JSON) {
        x->json_text = g_string_new(NULL);
        if (!type || strncasecmp(type, "application/json", 16) != 0 ||
            !strchr("; \t", type[16]))
            return answer(
                x, serve_response_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                        "content type: must be application/json"));
    } else if (route->body == SERVE_BODY_FILE) {
        x->request.upload =
            serve_upload_new(x->request.connection, route->field, server.settings);
        if (!x->request.upload)
            return answer(
                x, serve_response_error(
                       MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                       "content type: must be multipart/form-data with a boundary of "
                       "1 to 70 characters, and the form have a field %s",
                       route->field));
        return !serve_upload_has_space(x->request.upload, length, &x->response);
    }
    return false;
}

/* The headers are complete: find the route and make all checks that need no body. */
static bool start_request(struct exchange *x, const char *path, const char *method,
                          const char *version, bool nul)
{
    const char *text = request_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = text ? strtoull(text, NULL, 10) : UINT64_MAX; /* unknown */
    bool is_mutation = strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
                       strcmp(method, MHD_HTTP_METHOD_HEAD) != 0;
    struct serve_http_error error =
        serve_framing_check(x->request.connection, method, &path, version);
    bool answered;

    x->request.is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    x->bad_framing = error.status != 0;
    answered = x->bad_framing
                   ? answer(x, serve_response_error(error.status, "%s", error.text))
                   : resolve_path(x, path, method, nul);
    serve_connection_request(
        x->connection,
        REQUEST_SECONDS + (int64_t)(MIN(length, body_limit(x)) / MIN_BYTES_PER_SECOND));
    if (answered ||
        !serve_auth_check(x->request.connection, x->request.route->is_public,
                          is_mutation, &x->request.identity, &x->response))
        return true;
    if (is_mutation && atomic_load(&server.draining))
        return answer(x, shutting_down());
    if (text && length > body_limit(x))
        return answer(x, too_large(x));
    return prepare_body(x, text ? length : 0);
}

static bool parse_json(struct exchange *x)
{
    json_error_t e;

    x->request.body =
        json_loadb(x->json_text->str, x->json_text->len, JSON_REJECT_DUPLICATES, &e);
    if (!x->request.body)
        return answer(
            x, serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "the body is not JSON: line %d, column %d: %s",
                                    e.line, e.column, e.text));
    return !json_is_object(x->request.body) &&
           answer(x, serve_response_error(MHD_HTTP_BAD_REQUEST,
                                          "the body is not a JSON object"));
}

/* Answer a request in a pool; libmicrohttpd may then free it at once. */
static void run_in_pool(void *request)
{
    struct exchange *x = request;

    if (serve_pools_stopping())
        answer(x, shutting_down());
    else if (nst_clock_seconds() - x->queued_at > MAX_WAIT_SECONDS)
        answer(x, busy());
    else
        answer(x, x->request.route->handler(&x->request));
    MHD_resume_connection(x->request.connection);
}

/* The request is complete: run its handler, or suspend the connection and hand the
 * request to a pool. */
static bool dispatch(struct exchange *x)
{
    const struct serve_route *route = x->request.route;
    struct MHD_Connection *c = x->request.connection;
    /* a remote queue must not block libmicrohttpd */
    enum serve_pool pool =
        route->uses_queue && server.settings->queue ? SERVE_POOL_DISK : route->pool;
    enum serve_push pushed;

    if (pool == SERVE_POOL_NONE)
        return answer(x, route->handler(&x->request));
    x->queued_at = nst_clock_seconds();
    MHD_suspend_connection(c);
    pushed = serve_pools_push(pool, x->request.identity.address, x);
    if (pushed == SERVE_PUSH_OK) /* x may be gone */
        return false;
    answer(x, pushed == SERVE_PUSH_STOPPING ? shutting_down()
              : pushed == SERVE_PUSH_FULL   ? busy()
                                            : wait_your_turn());
    MHD_resume_connection(c);
    return false;
}

static enum MHD_Result send_response(struct exchange *x)
{
    serve_connection_respond(x->connection, x->request.connection,
                             x->request.route && x->request.route->is_stream &&
                                 x->response.status == MHD_HTTP_OK);
    serve_response_compress(&x->response, x->request.connection);
    serve_record_answer(&x->record, &x->request, &x->response);
    return MHD_queue_response(x->request.connection, x->response.status,
                              x->response.mhd);
}

/* MHD_AccessHandlerCallback: called with the headers, with each part of the body, at
 * the end of the request and, if it was suspended, when there is a response. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *bytes, size_t *size, void **context)
{
    struct exchange *x = *context;

    (void)cls;
    if (!x || x == &nul_marker) {
        uint64_t discarded = DISCARD_FACTOR * (uint64_t)server.settings->max_upload;
        bool nul = x != NULL, answered;
        const char *length;

        *context = x = nst_xcalloc(1, sizeof *x);
        x->request.settings = server.settings;
        x->request.connection = c;
        x->connection = serve_connection_get(c);
        serve_record_begin(&x->record, &x->request, method, url, nul, version);
        answered = start_request(x, url, method, version, nul);
        length = request_header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
        /* a response before the body closes the connection */
        if (answered && (x->bad_framing || request_header(x, MHD_HTTP_HEADER_EXPECT) ||
                         (length && strtoull(length, NULL, 10) > discarded)))
            return send_response(x);
        return MHD_YES;
    }
    if (*size > 0) {
        if (!x->response.mhd) {
            x->received += *size;
            if (x->received > body_limit(x))
                answer(x, too_large(x));
            else if (x->json_text)
                g_string_append_len(x->json_text, bytes, (gssize)*size);
            else if (x->request.upload)
                serve_upload_add(x->request.upload, bytes, *size);
        }
        *size = 0;
        return MHD_YES;
    }
    return x->response.mhd || (x->json_text && parse_json(x)) || dispatch(x)
               ? send_response(x)
               : MHD_YES;
}

/* Discards libmicrohttpd's messages, which only concern clients. */
static void on_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
}

enum nst_status serve_http_open(const struct serve_settings *s,
                                const struct serve_route *routes, int socket,
                                struct nst_err *err)
{
    unsigned threads = s->cores < MAX_THREADS ? (unsigned)s->cores : MAX_THREADS;

    server.settings = s;
    server.routes = routes;
    serve_statistics_open(routes);
    serve_pools_open(run_in_pool);
    /* Not epoll: with it, libmicrohttpd 0.9.75 misses a disconnect that arrives
     * together with the last bytes. */
    server.daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_THREAD_POOL_SIZE,
        threads > 1 ? threads : 0, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        s->behind_proxy ? 0U : (unsigned)s->max_connections / 2,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, serve_connection_notify, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        on_uri, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!server.daemon || !serve_connections_open(s->send_timeout))
        return nst_err_set(err, NST_ERR_IO, "cannot start the HTTP server");
    return NST_OK;
}

void serve_http_quiesce(bool owned)
{
    int fd;

    atomic_store(&server.draining, true);
    fd = MHD_quiesce_daemon(server.daemon);
    if (owned) /* otherwise new connections wait for the next server */
        shutdown(fd, SHUT_RDWR);
}

void serve_http_close(void)
{
    serve_pools_close();
    serve_connections_close();
    MHD_stop_daemon(server.daemon);
    serve_statistics_close();
}

bool serve_http_connect(int fd)
{
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    return MHD_add_connection(server.daemon, fd, &nowhere, sizeof nowhere) == MHD_YES;
}

unsigned serve_http_connections(void)
{
    return MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
        ->num_connections;
}

bool serve_query_integer(struct serve_request *r, const char *name, int64_t min,
                         int64_t max, int64_t default_value, int64_t *out,
                         struct serve_response *response)
{
    const char *text =
        MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    char *end = NULL;

    *out = text ? g_ascii_strtoll(text, &end, 10) : default_value;
    if (!text || (*text && !*end && *out >= min && *out <= max))
        return true;
    *response = serve_response_error(MHD_HTTP_BAD_REQUEST,
                                     "%s: '%.40s' is not a whole number from %" PRId64
                                     " to %" PRId64,
                                     name, text, min, max);
    return false;
}
