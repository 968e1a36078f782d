/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/connections.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/http/events.h"

#define HEARTBEAT_SECONDS 15

struct serve_connection {
    int fd;
    atomic_int_least64_t deadline; /* seconds of the monotonic clock */
    GList link;
};

static struct {
    atomic_bool stopping;
    pthread_t reaper;
    pthread_mutex_t lock; /* protects list */
    GQueue list;
} connections = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
    return (int64_t)nst_clock_seconds();
}

void serve_connection_set_deadline(struct serve_connection *p, int64_t seconds)
{
    atomic_store(&p->deadline,
                 seconds == SERVE_NO_DEADLINE ? SERVE_NO_DEADLINE : now() + seconds);
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
        serve_connection_set_deadline(p, SERVE_HEADER_TIMEOUT);
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

/* shutdown() only: libmicrohttpd notices and closes the descriptor. */
static void close_expired(void)
{
    pthread_mutex_lock(&connections.lock);
    for (GList *l = connections.list.head; l; l = l->next) {
        struct serve_connection *p = l->data;

        if (atomic_load(&p->deadline) < now()) {
            shutdown(p->fd, SHUT_RDWR);
            serve_connection_set_deadline(p, SERVE_HEADER_TIMEOUT);
        }
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

bool serve_connections_open(void)
{
    return pthread_create(&connections.reaper, NULL, reap, NULL) == 0;
}

void serve_connections_close(void)
{
    atomic_store(&connections.stopping, true);
    pthread_join(connections.reaper, NULL);
}
