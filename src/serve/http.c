/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http.h"

#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "serve/connections.h"
#include "serve/door.h"
#include "serve/guard.h"

#define HEADERS_BYTES 32768 /* of a request, and what its reader needs */
#define JSON_BYTES 65536    /* of a body */
#define IDLE_SECONDS 30     /* between two bytes */
#define REQUEST_SECONDS 300 /* to its answer's end, and */
#define LEAST_SPEED 32768   /* bytes a second of a body besides */
#define MOST_THREADS 4
#define MOST_WAITING 8   /* for the whole machine */
#define WAIT_SECONDS 150 /* for it, so that there is time left to have it */
#define RETRY_SECONDS 10 /* when the service ends */
/* A body that is too large is read to its end all the same, so that its sender sees the
 * answer, unless it is larger by that much. */
#define SWALLOWED 4

static const int pool_threads[SERVE_POOLS] = {
    [SERVE_DISK] = 2, [SERVE_LOOK] = 2, [SERVE_ALONE] = 1};

/* A request while it is here. */
struct exchange {
    struct serve_request request;
    struct serve_answer answer;
    struct serve_connection *connection;
    uint64_t received;
    GString *text; /* of SERVE_JSON */
    bool changes;
    gint64 handed; /* when it was handed to a pool, in microseconds; 0: it was not */
    bool endless;  /* where it ends is not known */
};

static struct {
    const struct serve_settings *settings;
    const struct serve_route *routes;
    struct MHD_Daemon *daemon;
    GThreadPool *pool[SERVE_POOLS];
    atomic_bool quiet, ended;
    atomic_uint_least64_t answered[6];
    pthread_mutex_t pushing; /* nothing goes to a pool once ended */
} all = {.pushing = PTHREAD_MUTEX_INITIALIZER};

/* A NUL in a path would end it here, and not for who made it. */
static bool has_null(const char *uri)
{
    const char *query = strchr(uri, '?'), *null = strstr(uri, "%00");

    return null && (!query || null < query);
}

/* What stands in for the exchange before there is one: its path has a NUL. */
static struct exchange with_null;

/* Called with the path as it was sent, before it is decoded. Nothing is allocated here:
 * of a request that goes no further there is no end to free it at. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    (void)cls;
    (void)c;
    return has_null(uri) ? &with_null : NULL;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *context;

    (void)cls;
    (void)c;
    (void)code;
    if (!x || x == &with_null)
        return;
    serve_connection_give(x->connection, SERVE_HEADERS_SECONDS);
    serve_upload_free(x->request.upload);
    json_decref(x->request.body);
    if (x->text)
        g_string_free(x->text, TRUE);
    if (x->answer.response)
        MHD_destroy_response(x->answer.response);
    free(x);
    *context = NULL;
}

/* Does the path match? What the * stands for is put into argument. */
static bool matches(const char *pattern, const char *path, char argument[128])
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

static struct serve_answer not_allowed(const char *allowed)
{
    struct serve_answer a = serve_answer_error(
        MHD_HTTP_METHOD_NOT_ALLOWED, "method: not allowed (allowed: %s)", allowed);

    MHD_add_response_header(a.response, MHD_HTTP_HEADER_ALLOW, allowed);
    return a;
}

static struct serve_answer options(const char *allowed)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

    MHD_add_response_header(serve_response(r, "text/plain"), MHD_HTTP_HEADER_ALLOW,
                            allowed);
    return (struct serve_answer){MHD_HTTP_NO_CONTENT, r};
}

/* The path without the prefix, which may be there or taken off by a proxy. */
static const char *without_prefix(const char *path)
{
    const char *prefix = all.settings->prefix;
    size_t n = prefix ? strlen(prefix) : 0;

    return n && strncmp(path, prefix, n) == 0 && path[n] == '/' ? path + n : path;
}

/* The page asks for its parts by paths that go on from its own. */
static struct serve_answer to_folder(const char *path)
{
    struct serve_answer a = options("GET, HEAD");
    char *folder = nst_xasprintf("%s/", path);

    MHD_add_response_header(a.response, MHD_HTTP_HEADER_LOCATION, folder);
    free(folder);
    a.status = MHD_HTTP_PERMANENT_REDIRECT;
    return a;
}

static void find_route(struct exchange *x, const char *path, const char *method)
{
    GString *allowed = g_string_new(NULL);

    if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        method = MHD_HTTP_METHOD_GET;
    for (const struct serve_route *r = all.routes; r->method; r++) {
        if (!matches(r->path, path, x->request.argument))
            continue;
        if (strcmp(r->method, method) == 0) {
            x->request.route = r;
            break;
        }
        g_string_append_printf(allowed, "%s%s%s", allowed->len ? ", " : "", r->method,
                               strcmp(r->method, MHD_HTTP_METHOD_GET) ? "" : ", HEAD");
    }
    if (!x->request.route && !allowed->len)
        x->answer = serve_answer_error(MHD_HTTP_NOT_FOUND, "not found");
    else if (!x->request.route && strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
        x->answer = options(allowed->str);
    else if (!x->request.route)
        x->answer = not_allowed(allowed->str);
    g_string_free(allowed, TRUE);
}

static uint64_t body_limit(const struct exchange *x)
{
    return x->request.route && x->request.route->body == SERVE_FILE
               ? (uint64_t)all.settings->max_upload
               : JSON_BYTES;
}

static void refuse_size(struct exchange *x)
{
    if (!x->answer.response)
        x->answer = serve_answer_error(MHD_HTTP_CONTENT_TOO_LARGE,
                                       "the body has more than %" PRIu64 " bytes",
                                       body_limit(x));
}

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->request.connection, MHD_HEADER_KIND, name);
}

static bool is_json(const char *type)
{
    return type && strncasecmp(type, "application/json", 16) == 0 &&
           strchr("; \t", type[16]);
}

/* Get ready for what the route says comes. */
static void expect_body(struct exchange *x, uint64_t length)
{
    const struct serve_route *route = x->request.route;

    if (route->body == SERVE_JSON) {
        x->text = g_string_new(NULL);
        if (!is_json(header(x, MHD_HTTP_HEADER_CONTENT_TYPE)))
            x->answer = serve_answer_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                           "content type: must be application/json");
    } else if (route->body == SERVE_FILE) {
        x->request.upload =
            serve_upload_new(x->request.connection, route->field, all.settings);
        if (!x->request.upload)
            x->answer = serve_answer_error(
                MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                "content type: must be multipart/form-data, with a field %s",
                route->field);
        else
            serve_upload_fits(x->request.upload, length, &x->answer);
    }
}

static struct serve_answer is_ending(void)
{
    return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                              "the service is shutting down");
}

static void check_framing(struct exchange *x, const char *path, const char *version)
{
    struct serve_fault fault =
        serve_framing_fault(x->request.connection, path, version);

    x->endless = fault.status != 0;
    if (x->endless)
        x->answer = serve_answer_error(fault.status, "%s", fault.text);
}

/* Headers are there: everything that can be said without a body. */
static void begin(struct exchange *x, const char *path, const char *method, bool null)
{
    const char *text = header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length = text ? strtoull(text, NULL, 10) : UINT64_MAX; /* not known */

    x->changes = strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
                 strcmp(method, MHD_HTTP_METHOD_HEAD) != 0;
    if (x->answer.response)
        ; /* it is refused whatever it is for */
    else if (null)
        x->answer =
            serve_answer_error(MHD_HTTP_BAD_REQUEST, "path: contains a NUL byte");
    else if (all.settings->prefix && strcmp(path, all.settings->prefix) == 0)
        x->answer = to_folder(path);
    else
        find_route(x, without_prefix(path), method);
    serve_connection_give(x->connection,
                          REQUEST_SECONDS +
                              (int64_t)(MIN(length, body_limit(x)) / LEAST_SPEED));
    if (!x->answer.response &&
        !serve_guard_admits(x->request.connection, x->request.route->open, x->changes,
                            &x->answer))
        return;
    if (!x->answer.response && x->changes && atomic_load(&all.quiet))
        x->answer = is_ending();
    if (!x->answer.response && text && length > body_limit(x))
        refuse_size(x);
    if (!x->answer.response)
        expect_body(x, text ? length : 0);
}

static void receive(struct exchange *x, const char *bytes, size_t size)
{
    x->received += size;
    if (x->received > body_limit(x))
        refuse_size(x);
    if (x->answer.response)
        return;
    if (x->text)
        g_string_append_len(x->text, bytes, (gssize)size);
    else if (x->request.upload)
        serve_upload_add(x->request.upload, bytes, size);
}

static void read_json(struct exchange *x)
{
    json_error_t e;

    x->request.body =
        json_loadb(x->text->str, x->text->len, JSON_REJECT_DUPLICATES, &e);
    if (!x->request.body)
        x->answer = serve_answer_error(MHD_HTTP_BAD_REQUEST,
                                       "the body is not JSON: line %d, column %d: %s",
                                       e.line, e.column, e.text);
    else if (!json_is_object(x->request.body))
        x->answer =
            serve_answer_error(MHD_HTTP_BAD_REQUEST, "the body is not a JSON object");
}

static struct serve_answer is_busy(void)
{
    return serve_answer_later(MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
                              "too many such requests are waiting: try again later");
}

/* By a thread of a pool. */
static void on_turn(gpointer p, gpointer none)
{
    struct exchange *x = p;

    (void)none;
    if (atomic_load(&all.ended))
        x->answer = is_ending();
    else if (g_get_monotonic_time() - x->handed > WAIT_SECONDS * G_USEC_PER_SEC)
        x->answer = is_busy();
    else
        x->answer = x->request.route->answer(&x->request);
    MHD_resume_connection(x->request.connection);
}

/* A queue that hangs holds up who asks it, and not a thread of libmicrohttpd's. */
static enum serve_pool pool_of(const struct serve_route *route)
{
    return route->queue && all.settings->queue ? SERVE_DISK : route->pool;
}

/* Have a pool answer, and the connection wait. */
static void hand_over(struct exchange *x)
{
    enum serve_pool pool = pool_of(x->request.route);

    x->handed = g_get_monotonic_time();
    pthread_mutex_lock(&all.pushing);
    if (atomic_load(&all.ended))
        x->answer = is_ending();
    else if (pool == SERVE_ALONE &&
             g_thread_pool_unprocessed(all.pool[pool]) >= MOST_WAITING)
        x->answer = is_busy();
    else {
        MHD_suspend_connection(x->request.connection);
        g_thread_pool_push(all.pool[pool], x, NULL);
    }
    pthread_mutex_unlock(&all.pushing);
}

static enum MHD_Result send_answer(struct exchange *x)
{
    if (x->answer.status < 600)
        atomic_fetch_add(&all.answered[x->answer.status / 100], 1);
    if (x->request.route && x->request.route->stream && x->answer.status == MHD_HTTP_OK)
        serve_connection_give(x->connection, SERVE_NEVER);
    return MHD_queue_response(x->request.connection, x->answer.status,
                              x->answer.response);
}

/* All of the request is there. */
static enum MHD_Result finish(struct exchange *x)
{
    if (!x->answer.response && x->text)
        read_json(x);
    if (!x->answer.response && !x->handed &&
        pool_of(x->request.route) != SERVE_AT_ONCE) {
        hand_over(x);
        if (!x->answer.response)
            return MHD_YES;
    }
    if (!x->answer.response)
        x->answer = x->request.route->answer(&x->request);
    return send_answer(x);
}

/* Is an answer that is known already better given now than after the body? */
static bool is_hopeless(const struct exchange *x)
{
    const char *length = header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return x->endless || header(x, MHD_HTTP_HEADER_EXPECT) ||
           (length && strtoull(length, NULL, 10) >
                          SWALLOWED * (uint64_t)all.settings->max_upload);
}

/* MHD_AccessHandlerCallback */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *bytes, size_t *size, void **context)
{
    struct exchange *x = *context;

    (void)cls;
    if (serve_connection_refused(serve_connection_of(c)))
        return MHD_NO;
    if (!x || x == &with_null) {
        bool null = x != NULL;

        *context = x = nst_xcalloc(1, sizeof *x);
        x->request.settings = all.settings;
        x->request.connection = c;
        x->connection = serve_connection_of(c);
        check_framing(x, url, version);
        begin(x, url, method, null);
        if (!x->answer.response || !is_hopeless(x))
            return MHD_YES; /* to be called again; an answer now ends the connection */
    } else if (*size > 0) {
        receive(x, bytes, *size);
        *size = 0;
        return MHD_YES;
    }
    return finish(x);
}

/* What libmicrohttpd has to say is about clients. */
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
    unsigned threads = s->cores < MOST_THREADS ? (unsigned)s->cores : MOST_THREADS;

    all.settings = s;
    all.routes = routes;
    serve_door_open(socket);
    for (int i = SERVE_AT_ONCE + 1; i < SERVE_POOLS; i++)
        all.pool[i] = g_thread_pool_new(on_turn, NULL, pool_threads[i], TRUE, NULL);
    /* Not epoll: with it, libmicrohttpd 0.9.75 does not see that a client has gone if
     * the last bytes and the end came at once. */
    all.daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_THREAD_POOL_SIZE,
        threads > 1 ? threads : 0, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        s->behind_proxy ? 0U : (unsigned)s->max_connections / 2,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADERS_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, serve_connection_note, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        on_uri, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!all.daemon || !serve_connections_open())
        return nst_err_set(err, NST_ERR_IO, "cannot start the HTTP server");
    return NST_OK;
}

void serve_http_quiesce(bool own)
{
    int fd;

    atomic_store(&all.quiet, true);
    fd = MHD_quiesce_daemon(all.daemon);
    if (own) /* else who comes now waits for the next service */
        shutdown(fd, SHUT_RDWR);
}

void serve_http_close(void)
{
    pthread_mutex_lock(&all.pushing);
    atomic_store(&all.ended, true);
    pthread_mutex_unlock(&all.pushing);
    serve_connections_close();
    for (int i = SERVE_AT_ONCE + 1; i < SERVE_POOLS; i++)
        g_thread_pool_free(all.pool[i], FALSE, TRUE);
    MHD_stop_daemon(all.daemon);
}

void serve_http_count(uint64_t answered[6])
{
    for (int i = 0; i < 6; i++)
        answered[i] = atomic_load(&all.answered[i]);
    serve_door_count(answered);
}

bool serve_query(struct serve_request *r, const char *name, int64_t least, int64_t most,
                 int64_t otherwise, int64_t *out, struct serve_answer *answer)
{
    const char *text =
        MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    char *end = NULL;

    *out = text ? g_ascii_strtoll(text, &end, 10) : otherwise;
    if (!text || (*text && !*end && *out >= least && *out <= most))
        return true;
    *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST,
                                 "%s: '%.40s' is not a whole number from %" PRId64
                                 " to %" PRId64,
                                 name, text, least, most);
    return false;
}
