/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/watchdog.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "serve/http/listen.h"
#include "serve/http/server.h"
#include "serve/log.h"
#include "serve/queue/queue.h"

static struct {
    bool is_open, has_http;
    uint64_t interval_us;
    pthread_t thread;
    pthread_mutex_t lock; /* protects closing */
    pthread_cond_t closed;
    bool closing;
} watchdog = {.lock = PTHREAD_MUTEX_INITIALIZER, .closed = PTHREAD_COND_INITIALIZER};

/* Send a request on a connected socket. False: no answer within the interval. */
static bool exchange(int fd)
{
    static const char request[] = "GET /health HTTP/1.0\r\n\r\n", begin[] = "HTTP/1.";
    const struct timeval limit = {(time_t)(watchdog.interval_us / 1000000),
                                  (suseconds_t)(watchdog.interval_us % 1000000)};
    char answer[sizeof begin - 1];

    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
           send(fd, request, sizeof request - 1, MSG_NOSIGNAL) ==
               (ssize_t)sizeof request - 1 &&
           recv(fd, answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer &&
           memcmp(answer, begin, sizeof answer) == 0;
}

/* True if the event loop answers a request. A service whose connections or descriptors
 * are all in use is busy, not dead. */
static bool is_serving(void)
{
    int fd[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        return true;
    fcntl(fd[1], F_SETFL, O_NONBLOCK);
    ok = !serve_http_connect(fd[1]) || exchange(fd[0]);
    close(fd[0]);
    return ok;
}

/* Wait for the interval. False: the watchdog is closing. */
static bool wait_interval(void)
{
    struct timespec until;
    bool closing;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(watchdog.interval_us % 1000000) * 1000;
    until.tv_sec +=
        (time_t)(watchdog.interval_us / 1000000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&watchdog.lock);
    while (!watchdog.closing && error == 0)
        error = pthread_cond_clockwait(&watchdog.closed, &watchdog.lock,
                                       CLOCK_MONOTONIC, &until);
    closing = watchdog.closing;
    pthread_mutex_unlock(&watchdog.lock);
    return !closing;
}

static void *run(void *unused)
{
    (void)unused;
    do {
        serve_queue->running(); /* takes the lock of the queue */
        if (!watchdog.has_http || is_serving())
            serve_notify("WATCHDOG=1");
        else
            serve_log(SERVE_WARNING, "the service does not answer its own request");
    } while (wait_interval());
    return NULL;
}

void serve_watchdog_open(bool has_http)
{
    uint64_t period_us = 0;

    if (sd_watchdog_enabled(0, &period_us) <= 0)
        return;
    watchdog.has_http = has_http;
    watchdog.interval_us = period_us / 4;
    watchdog.is_open = pthread_create(&watchdog.thread, NULL, run, NULL) == 0;
    if (!watchdog.is_open)
        serve_log(SERVE_WARNING, "cannot start the thread of the watchdog");
}

void serve_watchdog_close(void)
{
    if (!watchdog.is_open)
        return;
    pthread_mutex_lock(&watchdog.lock);
    watchdog.closing = true;
    pthread_cond_signal(&watchdog.closed);
    pthread_mutex_unlock(&watchdog.lock);
    pthread_join(watchdog.thread, NULL);
    watchdog.is_open = false;
}
