/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/connections.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "nst.h"
#include "serve/door.h"
#include "serve/events.h"

#define BEAT_SECONDS 15
#define REFUSED_SECONDS 2 /* to read what was said */

struct serve_connection {
    int fd;
    bool refused;                  /* at the door */
    atomic_int_least64_t deadline; /* of the monotonic clock, in seconds */
    GList link;
};

static struct {
    atomic_bool ended;
    pthread_t keeper;
    pthread_mutex_t lock; /* for what follows */
    GQueue open;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec;
}

void serve_connection_give(struct serve_connection *p, int64_t seconds)
{
    atomic_store(&p->deadline, seconds == SERVE_NEVER ? SERVE_NEVER : now() + seconds);
}

struct serve_connection *serve_connection_of(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        ->socket_context;
}

void serve_connection_note(void *cls, struct MHD_Connection *c, void **context,
                           enum MHD_ConnectionNotificationCode code)
{
    struct serve_connection *p = *context;

    (void)cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = p = nst_xcalloc(1, sizeof *p);
        p->fd =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        p->link.data = p;
        p->refused = serve_door_refuses(p->fd);
        serve_connection_give(p, p->refused ? REFUSED_SECONDS : SERVE_HEADERS_SECONDS);
        pthread_mutex_lock(&all.lock);
        g_queue_push_tail_link(&all.open, &p->link);
        pthread_mutex_unlock(&all.lock);
    } else if (p) {
        pthread_mutex_lock(&all.lock);
        g_queue_unlink(&all.open, &p->link);
        pthread_mutex_unlock(&all.lock);
        free(p);
        *context = NULL;
    }
}

bool serve_connection_refused(const struct serve_connection *p)
{
    return p->refused;
}

/* End those that have taken too long. */
static void end_late(void)
{
    pthread_mutex_lock(&all.lock);
    for (GList *l = all.open.head; l; l = l->next) {
        struct serve_connection *p = l->data;

        if (atomic_load(&p->deadline) < now()) {
            shutdown(p->fd, SHUT_RDWR);
            serve_connection_give(p, SERVE_HEADERS_SECONDS);
        }
    }
    pthread_mutex_unlock(&all.lock);
}

static void *keep(void *none)
{
    (void)none;
    for (int beat = 1; !atomic_load(&all.ended); beat++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        end_late();
        if (beat % BEAT_SECONDS == 0)
            serve_events_beat();
    }
    return NULL;
}

bool serve_connections_open(void)
{
    return pthread_create(&all.keeper, NULL, keep, NULL) == 0;
}

void serve_connections_close(void)
{
    atomic_store(&all.ended, true);
    pthread_join(all.keeper, NULL);
}
