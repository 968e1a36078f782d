/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/clock.h"
#include "serve/log.h"

#define DEFAULT_PORT 6379
#define MAX_DATABASE 1000000
#define MAX_IDLE 8 /* idle connections in the pool */
#define MAX_ARGUMENTS 12
#define MIN_BACKOFF 0.1 /* seconds; doubles after each failure */
#define MAX_BACKOFF 1.0 /* less than any lease */
#define POLL_MS 250     /* interval at which a subscriber checks *stopping */

static struct {
    char *host, *user, *password; /* the latter two may be NULL */
    int port, database;

    pthread_mutex_t lock; /* protects the members below */
    redisContext *idle[MAX_IDLE];
    unsigned idle_count;
    bool unavailable;
    double backoff, retry_at; /* seconds; time of the next attempt to connect */
} redis = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* "/3" is 3, "" is 0; -1 if the path is not a number. */
static int parse_database(const char *path)
{
    char *end;
    long n = *path ? strtol(path + 1, &end, 10) : 0;

    if (!*path || strcmp(path, "/") == 0)
        return 0;
    return path[1] >= '0' && path[1] <= '9' && !*end && n <= MAX_DATABASE ? (int)n : -1;
}

static char *copy_text(gchar *text)
{
    char *copy = text && *text ? nst_xstrdup(text) : NULL;

    g_free(text);
    return copy;
}

enum nst_status serve_redis_open(const char *url, struct nst_err *err)
{
    gchar *scheme = NULL, *user = NULL, *password = NULL, *host = NULL, *path = NULL;
    bool valid =
        g_uri_split_with_user(url, G_URI_FLAGS_HAS_PASSWORD, &scheme, &user, &password,
                              NULL, &host, &redis.port, &path, NULL, NULL, NULL) &&
        g_strcmp0(scheme, "redis") == 0 && host && *host;

    redis.database = valid ? parse_database(path) : -1;
    redis.host = copy_text(host);
    redis.user = copy_text(user);
    redis.password = copy_text(password);
    g_free(scheme);
    g_free(path);
    if (redis.port < 0)
        redis.port = DEFAULT_PORT;
    /* the message is logged, so it must not contain the URL, which has a password */
    return redis.database >= 0
               ? NST_OK
               : nst_err_set(err, NST_ERR_ARG,
                             "queue: is not redis://[:PASSWORD@]HOST[:PORT][/DB] with "
                             "a database from 0 to %d",
                             MAX_DATABASE);
}

/* The lock is held. */
static void close_idle(void)
{
    while (redis.idle_count > 0)
        redisFree(redis.idle[--redis.idle_count]);
}

void serve_redis_close(void)
{
    pthread_mutex_lock(&redis.lock);
    close_idle();
    free(redis.host);
    free(redis.user);
    free(redis.password);
    redis.host = redis.user = redis.password = NULL;
    pthread_mutex_unlock(&redis.lock);
}

bool serve_redis_reachable(void)
{
    bool reachable;

    pthread_mutex_lock(&redis.lock);
    reachable = !redis.unavailable;
    pthread_mutex_unlock(&redis.lock);
    return reachable;
}

static void mark_unavailable(const char *why)
{
    bool was_unavailable;

    pthread_mutex_lock(&redis.lock);
    was_unavailable = redis.unavailable;
    redis.unavailable = true;
    redis.backoff = redis.backoff > 0 ? 2 * redis.backoff : MIN_BACKOFF;
    if (redis.backoff > MAX_BACKOFF)
        redis.backoff = MAX_BACKOFF;
    redis.retry_at = nst_clock_seconds() + redis.backoff;
    close_idle();
    pthread_mutex_unlock(&redis.lock);
    if (!was_unavailable)
        serve_log(SERVE_ERROR, "the queue on %s:%d is unreachable: %s", redis.host,
                  redis.port, why);
}

static void mark_available(void)
{
    bool was_unavailable;

    pthread_mutex_lock(&redis.lock);
    was_unavailable = redis.unavailable;
    redis.unavailable = false;
    redis.backoff = redis.retry_at = 0;
    pthread_mutex_unlock(&redis.lock);
    if (was_unavailable)
        serve_log(SERVE_INFO, "the queue on %s:%d is reachable again", redis.host,
                  redis.port);
}

/* True if a connection may be tried now; one at a time while Redis is unreachable. */
static bool may_connect(void)
{
    double now = nst_clock_seconds();
    bool allowed;

    pthread_mutex_lock(&redis.lock);
    allowed = now >= redis.retry_at;
    if (allowed && redis.unavailable)
        redis.retry_at = now + SERVE_REDIS_SECONDS;
    pthread_mutex_unlock(&redis.lock);
    return allowed;
}

static bool connect_within_timeout(int fd, const struct addrinfo *a)
{
    struct pollfd p = {fd, POLLOUT, 0};
    socklen_t size = sizeof(int);
    int error = 0;

    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    if (poll(&p, 1, SERVE_REDIS_SECONDS * 1000) == 0)
        error = ETIMEDOUT;
    else
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
}

/* Not by hiredis: it opens sockets without SOCK_CLOEXEC, which children would inherit.
 */
static int open_socket(const char **why)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[16];
    int fd = -1, error;

    snprintf(port, sizeof port, "%d", redis.port);
    error = getaddrinfo(redis.host, port, &hints, &found);
    *why = gai_strerror(error);
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && !connect_within_timeout(fd, a)) {
            *why = strerror(errno);
            close(fd);
            fd = -1;
        }
    }
    if (found)
        freeaddrinfo(found);
    if (fd >= 0) {
        fcntl(fd, F_SETFL, 0); /* blocking */
        /* Keepalive detects a peer that disappears without closing the connection. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){10}, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){5}, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){2}, sizeof(int));
    }
    return fd;
}

/* Send a command that sets up a connection. */
static bool send_command(redisContext *c, const char *fmt, ...)
{
    redisReply *r;
    va_list ap;
    bool accepted;

    va_start(ap, fmt);
    r = redisvCommand(c, fmt, ap);
    va_end(ap);
    accepted = r && r->type != REDIS_REPLY_ERROR;
    if (!accepted)
        mark_unavailable(r ? r->str : c->errstr);
    freeReplyObject(r);
    return accepted;
}

static redisContext *open_connection(void)
{
    const char *why;
    int fd = open_socket(&why);
    redisContext *c = fd >= 0 ? redisConnectFd(fd) : NULL;

    if (!c) {
        mark_unavailable(why);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    redisSetTimeout(c, (struct timeval){.tv_sec = SERVE_REDIS_SECONDS});
    if ((!redis.password ||
         (redis.user ? send_command(c, "AUTH %s %s", redis.user, redis.password)
                     : send_command(c, "AUTH %s", redis.password))) &&
        (!redis.database || send_command(c, "SELECT %d", redis.database)))
        return c;
    redisFree(c);
    return NULL;
}

/* An idle connection (*used) or a new one; NULL if Redis is unreachable. */
static redisContext *acquire_connection(bool *used)
{
    redisContext *c = NULL;

    pthread_mutex_lock(&redis.lock);
    *used = redis.idle_count > 0;
    if (*used)
        c = redis.idle[--redis.idle_count];
    pthread_mutex_unlock(&redis.lock);
    return c || !may_connect() ? c : open_connection();
}

static void release_connection(redisContext *c)
{
    pthread_mutex_lock(&redis.lock);
    if (redis.idle_count < MAX_IDLE) {
        redis.idle[redis.idle_count++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&redis.lock);
    redisFree(c);
}

/* After a failed command: true if the idle connection had been closed, as all are by a
 * restart of Redis. Frees c. */
static bool was_stale(redisContext *c, bool used)
{
    bool stale = used && (c->err == REDIS_ERR_EOF ||
                          (c->err == REDIS_ERR_IO && errno != EAGAIN));

    if (stale) {
        pthread_mutex_lock(&redis.lock);
        close_idle();
        pthread_mutex_unlock(&redis.lock);
    } else
        mark_unavailable(c->err == REDIS_ERR_IO && errno == EAGAIN ? "no response"
                                                                   : c->errstr);
    redisFree(c);
    return stale;
}

static redisReply *execute(int argc, const char **argv)
{
    redisReply *r = NULL;
    redisContext *c;
    bool used;

    do {
        c = acquire_connection(&used);
        if (!c)
            return NULL;
        r = redisCommandArgv(c, argc, argv, NULL);
    } while (!r && was_stale(c, used));
    if (!r)
        return NULL;
    release_connection(c);
    if (r->type != REDIS_REPLY_ERROR) {
        mark_available();
        return r;
    }
    mark_unavailable(r->str);
    freeReplyObject(r);
    return NULL;
}

redisReply *serve_redis_eval(const char *script, ...)
{
    const char *argv[3 + MAX_ARGUMENTS] = {"EVAL", script, "0"};
    int argc = 3;
    va_list ap;

    va_start(ap, script);
    while (argc < 3 + MAX_ARGUMENTS && (argv[argc] = va_arg(ap, const char *)))
        argc++;
    va_end(ap);
    return execute(argc, argv);
}

/* Returns when the connection ends, or at *stopping. */
static void read_messages(redisContext *c, void (*on_message)(const char *message),
                          const atomic_bool *stopping)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    const redisReply *r;
    void *reply;

    while (!atomic_load(stopping)) {
        if (poll(&p, 1, POLL_MS) <= 0)
            continue;
        if (redisBufferRead(c) != REDIS_OK)
            return;
        do {
            reply = NULL;
            if (redisReaderGetReply(c->reader, &reply) != REDIS_OK)
                return;
            r = reply;
            /* "message", channel, text; other replies confirm the subscription */
            if (r && r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
                strcmp(r->element[0]->str, "message") == 0)
                on_message(r->element[2]->str);
            freeReplyObject(reply);
        } while (reply);
    }
}

void serve_redis_subscribe(const char *channel, void (*on_message)(const char *message),
                           const atomic_bool *stopping)
{
    while (!atomic_load(stopping)) {
        redisContext *c = may_connect() ? open_connection() : NULL;

        if (c && send_command(c, "SUBSCRIBE %s", channel)) {
            mark_available();
            on_message(NULL);
            read_messages(c, on_message, stopping);
        }
        redisFree(c);
        if (!atomic_load(stopping))
            poll(NULL, 0, POLL_MS);
    }
}
