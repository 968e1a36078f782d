/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/connections.h"

#include <glib.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* bytes_acked; <netinet/tcp.h> of glibc 2.36 has none */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/http/events.h"

#define HEARTBEAT_SECONDS 15
#define MIN_BYTES_PER_SECOND 1024 /* that a client reads of a response */
#define NO_DEADLINE INT64_MAX

enum phase {
    PHASE_REQUEST,  /* from the headers until the response begins */
    PHASE_RESPONSE, /* until libmicrohttpd has handed it to the kernel */
    PHASE_REST      /* the client may still read the rest; it may send a request */
};

struct serve_connection {
    int fd;
    atomic_int phase;
    atomic_int_least64_t deadline; /* seconds of the monotonic clock */
    /* of the last look at a response; the reaper's */
    uint64_t taken; /* bytes that the client has acknowledged since the beginning */
    int unsent;     /* bytes in the queue of the socket */
    GList link;
};

static struct {
    atomic_bool stopping;
    int64_t send_timeout;
    pthread_t reaper;
    pthread_mutex_t lock; /* protects list */
    GQueue list;
} connections = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
    return (int64_t)nst_clock_seconds();
}

static void set_phase(struct serve_connection *p, enum phase phase, int64_t seconds)
{
    atomic_store(&p->phase, phase);
    atomic_store(&p->deadline, seconds == NO_DEADLINE ? NO_DEADLINE : now() + seconds);
}

void serve_connection_request(struct serve_connection *p, int64_t seconds)
{
    set_phase(p, PHASE_REQUEST, seconds);
}

void serve_connection_respond(struct serve_connection *p, struct MHD_Connection *c,
                              bool endless)
{
    set_phase(p, PHASE_RESPONSE, endless ? NO_DEADLINE : connections.send_timeout);
    if (!endless) /* it counts from the last write, and the queue of a socket is long */
        MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
}

void serve_connection_complete(struct serve_connection *p, struct MHD_Connection *c,
                               unsigned idle_seconds)
{
    set_phase(p, PHASE_REST, SERVE_HEADER_TIMEOUT);
    MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, idle_seconds);
}

struct serve_connection *serve_connection_get(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

void serve_connection_notify(void *cls, struct MHD_Connection *c, void **context,
                             enum MHD_ConnectionNotificationCode code)
{
    struct serve_connection *p = *context;

    (void)cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = p = nst_xcalloc(1, sizeof *p);
        p->fd =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        p->link.data = p;
        set_phase(p, PHASE_REQUEST, SERVE_HEADER_TIMEOUT);
        pthread_mutex_lock(&connections.lock);
        g_queue_push_tail_link(&connections.list, &p->link);
        pthread_mutex_unlock(&connections.lock);
    } else if (p) {
        pthread_mutex_lock(&connections.lock);
        g_queue_unlink(&connections.list, &p->link);
        pthread_mutex_unlock(&connections.lock);
        free(p);
        *context = NULL;
    }
}

/* Look at the queue of the socket; true if the client has read enough of the response
 * since the last look. Its kernel acknowledges in steps: a program that reads slowly
 * from a full buffer of 32 MB frees 2 MB before more is sent, which takes 80 s at 25
 * kB/s. A Unix socket counts no bytes: any change will do. */
static bool has_progress(struct serve_connection *p)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unsent = 0;
    uint64_t taken;
    bool progress;

    ioctl(p->fd, SIOCOUTQ, &unsent);
    if (getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
        taken = info.tcpi_bytes_acked;
        progress = taken - p->taken >=
                   (uint64_t)(connections.send_timeout * MIN_BYTES_PER_SECOND);
        p->taken = taken;
    } else
        progress = unsent != p->unsent;
    p->unsent = unsent;
    return progress;
}

/* True if the deadline moves on: the client reads, or it waits for this service. */
static bool may_go_on(struct serve_connection *p)
{
    enum phase phase = (enum phase)atomic_load(&p->phase);
    bool progress = phase != PHASE_REQUEST && has_progress(p);

    if (phase == PHASE_RESPONSE)
        return progress || p->unsent == 0;
    return phase == PHASE_REST && progress && p->unsent > 0;
}

/* shutdown() only: libmicrohttpd notices and closes the descriptor. */
static void cut(struct serve_connection *p)
{
    /* the kernel need not keep what the client does not read */
    if (atomic_load(&p->phase) != PHASE_REQUEST && p->unsent > 0)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
    shutdown(p->fd, SHUT_RDWR);
}

static void close_expired(void)
{
    pthread_mutex_lock(&connections.lock);
    for (GList *l = connections.list.head; l; l = l->next) {
        struct serve_connection *p = l->data;
        int64_t deadline = atomic_load(&p->deadline);

        if (deadline >= now())
            continue;
        if (!may_go_on(p))
            cut(p);
        /* unless the next request has set it meanwhile */
        atomic_compare_exchange_strong(&p->deadline, &deadline,
                                       now() + connections.send_timeout);
    }
    pthread_mutex_unlock(&connections.lock);
}

static void *reap(void *unused)
{
    (void)unused;
    for (int seconds = 1; !atomic_load(&connections.stopping); seconds++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        close_expired();
        if (seconds % HEARTBEAT_SECONDS == 0)
            serve_events_heartbeat();
    }
    return NULL;
}

bool serve_connections_open(int64_t send_timeout)
{
    connections.send_timeout = send_timeout;
    return pthread_create(&connections.reaper, NULL, reap, NULL) == 0;
}

void serve_connections_close(void)
{
    atomic_store(&connections.stopping, true);
    pthread_join(connections.reaper, NULL);
}
