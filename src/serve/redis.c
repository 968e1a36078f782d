/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/redis.h"

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
#include <time.h>
#include <unistd.h>

#include "serve/log.h"

#define USUAL_PORT 6379
#define MOST_DATABASE 1000000
#define MOST_IDLE 8 /* connections that are kept */
#define MOST_ARGUMENTS 12
#define FIRST_PAUSE 0.1 /* seconds; and twice that after each failure */
#define LAST_PAUSE 1.0  /* less than any lease */
#define LOOK_MS 250     /* how often a listener sees whether to go on */

static struct {
    char *host, *user, *password; /* the latter two may be NULL */
    int port, database;

    pthread_mutex_t lock; /* for what follows */
    redisContext *idle[MOST_IDLE];
    unsigned idles;
    bool away;
    double pause, again; /* seconds; when it is tried next */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* "/3" and "" as 3 and 0; -1 if it is no number. */
static int database_of(const char *path)
{
    char *end;
    long n = *path ? strtol(path + 1, &end, 10) : 0;

    if (!*path || strcmp(path, "/") == 0)
        return 0;
    return path[1] >= '0' && path[1] <= '9' && !*end && n <= MOST_DATABASE ? (int)n
                                                                           : -1;
}

static char *take_text(gchar *text)
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
                              NULL, &host, &all.port, &path, NULL, NULL, NULL) &&
        g_strcmp0(scheme, "redis") == 0 && host && *host;

    all.database = valid ? database_of(path) : -1;
    all.host = take_text(host);
    all.user = take_text(user);
    all.password = take_text(password);
    g_free(scheme);
    g_free(path);
    if (all.port < 0)
        all.port = USUAL_PORT;
    /* the address may have a password in it, and a message is logged */
    return all.database >= 0
               ? NST_OK
               : nst_err_set(err, NST_ERR_ARG,
                             "queue: is not redis://[:PASSWORD@]HOST[:PORT][/DB] with "
                             "a database from 0 to %d",
                             MOST_DATABASE);
}

/* All is locked. */
static void drop_idle(void)
{
    while (all.idles > 0)
        redisFree(all.idle[--all.idles]);
}

void serve_redis_close(void)
{
    pthread_mutex_lock(&all.lock);
    drop_idle();
    free(all.host);
    free(all.user);
    free(all.password);
    all.host = all.user = all.password = NULL;
    pthread_mutex_unlock(&all.lock);
}

bool serve_redis_is_there(void)
{
    bool there;

    pthread_mutex_lock(&all.lock);
    there = !all.away;
    pthread_mutex_unlock(&all.lock);
    return there;
}

static void note_away(const char *why)
{
    bool was;

    pthread_mutex_lock(&all.lock);
    was = all.away;
    all.away = true;
    all.pause = all.pause > 0 ? 2 * all.pause : FIRST_PAUSE;
    if (all.pause > LAST_PAUSE)
        all.pause = LAST_PAUSE;
    all.again = clock_now() + all.pause;
    drop_idle();
    pthread_mutex_unlock(&all.lock);
    if (!was)
        serve_log(SERVE_ERROR, "the queue on %s:%d is unreachable: %s", all.host,
                  all.port, why);
}

static void note_there(void)
{
    bool was;

    pthread_mutex_lock(&all.lock);
    was = all.away;
    all.away = false;
    all.pause = all.again = 0;
    pthread_mutex_unlock(&all.lock);
    if (was)
        serve_log(SERVE_INFO, "the queue on %s:%d is reachable again", all.host,
                  all.port);
}

/* May a connection be tried now? One at a time while it is away. */
static bool may_try(void)
{
    double now = clock_now();
    bool may;

    pthread_mutex_lock(&all.lock);
    may = now >= all.again;
    if (may && all.away)
        all.again = now + SERVE_REDIS_SECONDS;
    pthread_mutex_unlock(&all.lock);
    return may;
}

static bool is_connected(int fd, const struct addrinfo *a)
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

/* So that the other end is missed when it vanishes without a word. */
static void keep_alive(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){10}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){5}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){2}, sizeof(int));
}

/* hiredis' own sockets are inherited by children, which are not to have them. */
static int open_socket(const char **why)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[16];
    int fd = -1, error;

    snprintf(port, sizeof port, "%d", all.port);
    error = getaddrinfo(all.host, port, &hints, &found);
    *why = gai_strerror(error);
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && !is_connected(fd, a)) {
            *why = strerror(errno);
            close(fd);
            fd = -1;
        }
    }
    if (found)
        freeaddrinfo(found);
    if (fd >= 0) {
        fcntl(fd, F_SETFL, 0); /* blocks again */
        keep_alive(fd);
    }
    return fd;
}

/* A command of the connection's beginning. */
static bool is_accepted(redisContext *c, const char *fmt, ...)
{
    redisReply *r;
    va_list ap;
    bool accepted;

    va_start(ap, fmt);
    r = redisvCommand(c, fmt, ap);
    va_end(ap);
    accepted = r && r->type != REDIS_REPLY_ERROR;
    if (!accepted)
        note_away(r ? r->str : c->errstr);
    if (r)
        freeReplyObject(r);
    return accepted;
}

static redisContext *make_connection(void)
{
    const char *why;
    int fd = open_socket(&why);
    redisContext *c = fd >= 0 ? redisConnectFd(fd) : NULL;

    if (!c) {
        note_away(why);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    redisSetTimeout(c, (struct timeval){.tv_sec = SERVE_REDIS_SECONDS});
    if ((!all.password ||
         (all.user ? is_accepted(c, "AUTH %s %s", all.user, all.password)
                   : is_accepted(c, "AUTH %s", all.password))) &&
        (!all.database || is_accepted(c, "SELECT %d", all.database)))
        return c;
    redisFree(c);
    return NULL;
}

/* One that was used before, or a new one; NULL if it is away. */
static redisContext *take_connection(bool *used)
{
    redisContext *c = NULL;

    pthread_mutex_lock(&all.lock);
    *used = all.idles > 0;
    if (*used)
        c = all.idle[--all.idles];
    pthread_mutex_unlock(&all.lock);
    return c || !may_try() ? c : make_connection();
}

static void give_back(redisContext *c)
{
    pthread_mutex_lock(&all.lock);
    if (all.idles < MOST_IDLE) {
        all.idle[all.idles++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&all.lock);
    if (c)
        redisFree(c);
}

/* No answer: was it the connection that had ended, as all do when Redis is started
 * again? */
static bool had_ended(redisContext *c, bool used)
{
    bool ended = used && (c->err == REDIS_ERR_EOF ||
                          (c->err == REDIS_ERR_IO && errno != EAGAIN));

    if (ended) {
        pthread_mutex_lock(&all.lock);
        drop_idle();
        pthread_mutex_unlock(&all.lock);
    } else
        note_away(c->err == REDIS_ERR_IO && errno == EAGAIN ? "no response"
                                                            : c->errstr);
    redisFree(c);
    return ended;
}

static redisReply *ask(int argc, const char **argv)
{
    redisReply *r = NULL;
    redisContext *c;
    bool used;

    do {
        c = take_connection(&used);
        if (!c)
            return NULL;
        r = redisCommandArgv(c, argc, argv, NULL);
    } while (!r && had_ended(c, used));
    if (!r)
        return NULL;
    give_back(c);
    if (r->type != REDIS_REPLY_ERROR) {
        note_there();
        return r;
    }
    note_away(r->str);
    freeReplyObject(r);
    return NULL;
}

redisReply *serve_redis_run(const char *script, ...)
{
    const char *argv[3 + MOST_ARGUMENTS] = {"EVAL", script, "0"};
    int argc = 3;
    va_list ap;

    va_start(ap, script);
    while (argc < 3 + MOST_ARGUMENTS && (argv[argc] = va_arg(ap, const char *)))
        argc++;
    va_end(ap);
    return ask(argc, argv);
}

/* A message is the third part of what a subscription gets. */
static void tell_of(redisReply *r, void (*tell)(const char *message))
{
    if (r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
        strcmp(r->element[0]->str, "message") == 0)
        tell(r->element[2]->str);
    freeReplyObject(r);
}

/* Until the connection ends, or *ended. */
static void follow(redisContext *c, void (*tell)(const char *message),
                   const atomic_bool *ended)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    void *r;

    while (!atomic_load(ended)) {
        if (poll(&p, 1, LOOK_MS) <= 0)
            continue;
        if (redisBufferRead(c) != REDIS_OK)
            return;
        do {
            r = NULL;
            if (redisReaderGetReply(c->reader, &r) != REDIS_OK)
                return;
            if (r)
                tell_of(r, tell);
        } while (r);
    }
}

void serve_redis_listen(const char *channel, void (*tell)(const char *message),
                        const atomic_bool *ended)
{
    while (!atomic_load(ended)) {
        redisContext *c = may_try() ? make_connection() : NULL;

        if (c && is_accepted(c, "SUBSCRIBE %s", channel)) {
            note_there();
            tell(NULL);
            follow(c, tell, ended);
        }
        if (c)
            redisFree(c);
        if (!atomic_load(ended))
            poll(NULL, 0, LOOK_MS);
    }
}
