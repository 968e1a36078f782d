/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/lifetime.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "serve/clock.h"
#include "serve/http/access_log.h"
#include "serve/http/auth.h"
#include "serve/http/listen.h"
#include "serve/http/server.h"
#include "serve/hooks.h"
#include "serve/idempotency.h"
#include "serve/log.h"
#include "serve/monitor.h"
#include "serve/presets.h"
#include "serve/previews.h"
#include "serve/queue/queue.h"
#include "serve/share_store.h"
#include "serve/styles.h"
#include "serve/watchdog.h"

#define SWEEP_SECONDS 60
#define UPLOAD_SECONDS (24 * 3600) /* lifetime of an upload that no task uses */
#define MAX_UPLOADS 1000           /* number of such uploads */
#define STATUS_SIZE 80

static sigset_t end_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static sigset_t all_signals(void)
{
    sigset_t set = end_signals();

    sigaddset(&set, SIGHUP);
    return set;
}

void serve_lifetime_block_signals(void)
{
    const sigset_t set = all_signals();

    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void serve_sweep(void)
{
    serve_queue->sweep(UPLOAD_SECONDS, MAX_UPLOADS);
    serve_keys_sweep();
    serve_hooks_sweep();
    serve_previews_sweep();
    serve_share_sweep();
}

static void reload_tokens(void)
{
    struct nst_err err;

    if (serve_auth_reload(&err) != NST_OK)
        serve_log(SERVE_ERROR, "%s; the old tokens stay", err.text);
}

void serve_reload(const struct serve_settings *s)
{
    char text[64];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)(1e6 * nst_clock_seconds()));
    serve_notify(text);
    serve_log_reopen();
    if (!s->worker) {
        serve_access_log_reopen();
        reload_tokens();
    }
    serve_styles_reload();
    serve_presets_reload();
    serve_log(SERVE_INFO, "reloaded");
    serve_notify("READY=1");
}

/* Tell systemd, for `systemctl status`, how many tasks there are. */
static void report_status(const struct serve_settings *s, char last[STATUS_SIZE])
{
    char text[STATUS_SIZE] = "STATUS=accepting tasks for workers";
    struct serve_counts c;

    if (!s->queue) {
        serve_queue->count(&c);
        snprintf(text, sizeof text, "STATUS=%u tasks run, %u wait",
                 c.current[SERVE_RUNNING], c.current[SERVE_QUEUED]);
    } else if (s->worker)
        snprintf(text, sizeof text, "STATUS=%u tasks run here", serve_queue->running());
    if (strcmp(text, last) == 0)
        return;
    serve_notify(text);
    memcpy(last, text, STATUS_SIZE);
}

static void do_periodic_work(const struct serve_settings *s, int64_t seconds)
{
    if (serve_queue->tick)
        serve_queue->tick();
    if (s->monitor && seconds % s->monitor == 0)
        serve_monitor_log();
    if (seconds % SWEEP_SECONDS == 0 && !s->worker)
        serve_sweep();
}

void serve_lifetime_wait(const struct serve_settings *s)
{
    const sigset_t set = all_signals();
    char status[STATUS_SIZE] = "";
    int64_t seconds = 0;
    int number;

    serve_notify("READY=1");
    serve_watchdog_open(!s->worker);
    do {
        report_status(s, status);
        number = sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = 1});
        if (number == SIGHUP)
            serve_reload(s);
        else if (number < 0)
            do_periodic_work(s, ++seconds);
    } while (number != SIGINT && number != SIGTERM);
}

void serve_lifetime_drain(const struct serve_settings *s, bool owned)
{
    const sigset_t set = end_signals();

    serve_notify("STOPPING=1"); /* also ends the watchdog */
    serve_watchdog_close();
    serve_log(SERVE_INFO, "ending: %u tasks are running", serve_queue->running());
    if (!s->worker)
        serve_http_quiesce(owned);
    serve_queue->drain();
    for (int64_t i = 0; i < 10 * s->grace && serve_queue->running() > 0; i++)
        if (sigtimedwait(&set, NULL, &(struct timespec){.tv_nsec = 100000000}) >= 0)
            break;
}
