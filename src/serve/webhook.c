/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/webhook.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "serve/clock.h"
#include "serve/hooks.h"
#include "serve/log.h"
#include "serve/queue/queue.h"
#include "serve/store.h"
#include "serve/webhook_send.h"

#define THREADS 4     /* that send */
#define MIN_SECRET 16 /* bytes */
#define FIRST_PAUSE                                                                    \
    1.0                  /* seconds after the first attempt; each pause is four times  \
                          */
#define PAUSE_FACTOR 4.0 /* the one before */
#define ATTEMPTS 6

/* A hook of a finished task. */
struct delivery {
    char *id, *url, *text;
    int fd; /* of the locked file: no other front end delivers it */
    unsigned attempts;
    double next; /* when to try again */
    bool busy;   /* a thread sends it */
};

static struct {
    char *secret; /* NULL: there are no webhooks */
    pthread_t thread;
    bool started;
    GThreadPool *pool;
    pthread_mutex_t lock; /* protects the members below, and each delivery */
    pthread_cond_t wake;
    GHashTable *deliveries; /* struct delivery by id */
    bool stopping;
} hooks = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void free_delivery(gpointer p)
{
    struct delivery *d = p;

    close(d->fd);
    free(d->id);
    free(d->url);
    free(d->text);
    free(d);
}

bool serve_webhook_take(json_t *body, char **url, struct serve_response *response)
{
    const json_t *member = json_object_get(body, "webhook");
    const char *text = json_string_value(member);

    *url = NULL;
    if (!member || json_is_null(member)) { /* null is the same as no value */
        json_object_del(body, "webhook");
        return true;
    }
    if (!hooks.secret) {
        *response = serve_response_error(MHD_HTTP_BAD_REQUEST,
                                         "webhook: this service sends none");
        return false;
    }
    if (!text || strlen(text) != json_string_length(member) ||
        !serve_webhook_is_valid_url(text)) {
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST,
            "webhook: must be an http or https URL without a user name");
        return false;
    }
    *url = nst_xstrdup(text);
    json_object_del(body, "webhook");
    return true;
}

/* Log the end of a delivery, and remove it. The lock is held. */
static void finish(struct delivery *d, const char *problem)
{
    if (problem)
        serve_log(SERVE_WARNING, "task %s: the webhook was not delivered: %s", d->id,
                  problem);
    else
        serve_log(SERVE_INFO, "task %s: the webhook is delivered", d->id);
    serve_hook_remove(d->id);
    g_hash_table_remove(hooks.deliveries, d->id);
}

/* GFunc of the pool. */
static void send_one(gpointer p, gpointer unused)
{
    struct delivery *d = p;
    enum serve_webhook_end end;
    char *problem;

    (void)unused;
    end = serve_webhook_send(d->url, d->text, hooks.secret, &problem);
    pthread_mutex_lock(&hooks.lock);
    d->busy = false;
    d->attempts++;
    if (end != SERVE_WEBHOOK_FAILED || d->attempts == ATTEMPTS)
        finish(d, problem);
    else {
        double pause = FIRST_PAUSE;

        for (unsigned i = 1; i < d->attempts; i++)
            pause *= PAUSE_FACTOR;
        d->next = nst_clock_seconds() + pause;
    }
    pthread_mutex_unlock(&hooks.lock);
    free(problem);
}

/* url and text are taken over. The lock is held. */
static void add_delivery(const char *id, int fd, char *url, char *text)
{
    struct delivery *d = nst_xcalloc(1, sizeof *d);

    *d = (struct delivery){.id = nst_xstrdup(id), .url = url, .text = text, .fd = fd};
    g_hash_table_insert(hooks.deliveries, d->id, d);
}

/* Start to deliver a hook if its task is finished, or was deleted when it was. The lock
 * is held. */
static void look_at(void *unused, const char *name)
{
    char *id = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);
    char *url = NULL, *text = NULL;
    bool is_final = false, is_gone;
    json_t *progress;
    int fd = -1;

    (void)unused;
    if (g_hash_table_contains(hooks.deliveries, id)) {
        free(id);
        return;
    }
    progress = serve_queue->progress(NULL, id, NULL, &is_final);
    is_gone = !progress && errno == ENOENT;
    if (is_gone || (progress && is_final))
        fd = serve_hook_open(id, &url, &text);
    if (fd >= 0 && progress) {
        free(text);
        text = json_dumps(progress, JSON_COMPACT | JSON_REAL_PRECISION(15));
    }
    if (fd >= 0 && url && text)
        add_delivery(id, fd, url, text);
    else {
        if (fd >= 0 &&
            !serve_hook_is_young(id)) /* it was never queued, or is damaged */
            serve_hook_remove(id);
        if (fd >= 0)
            close(fd);
        free(url);
        free(text);
    }
    json_decref(progress);
    free(id);
}

static void start_due(void)
{
    GHashTableIter iter;
    gpointer p;

    g_hash_table_iter_init(&iter, hooks.deliveries);
    while (g_hash_table_iter_next(&iter, NULL, &p)) {
        struct delivery *d = p;

        if (!d->busy && nst_clock_seconds() >= d->next) {
            d->busy = true;
            g_thread_pool_push(hooks.pool, d, NULL);
        }
    }
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&hooks.lock);
    while (!hooks.stopping) {
        struct timespec until;

        serve_store_foreach(SERVE_HOOK_FOLDER, look_at, NULL);
        start_due();
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&hooks.wake, &hooks.lock, &until);
    }
    pthread_mutex_unlock(&hooks.lock);
    return NULL;
}

static enum nst_status read_secret(const char *path, struct nst_err *err)
{
    gsize size = 0;

    if (!g_file_get_contents(path, &hooks.secret, &size, NULL))
        return nst_err_set(err, nst_open_status(errno), "cannot read %s: %s", path,
                           strerror(errno));
    g_strchomp(hooks.secret);
    if (strlen(hooks.secret) < MIN_SECRET)
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: the secret must have at least %d characters", path,
                           MIN_SECRET);
    return NST_OK;
}

enum nst_status serve_webhook_open(const struct serve_settings *s, struct nst_err *err)
{
    enum nst_status st;

    if (!s->webhook_secret_file)
        return NST_OK;
    if (!serve_webhook_is_supported())
        return nst_err_set(err, NST_ERR_ARG,
                           "webhook-secret-file: this nst-serve was built without "
                           "libcurl");
    st = read_secret(s->webhook_secret_file, err);
    if (st != NST_OK)
        return st;
    hooks.deliveries =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_delivery);
    hooks.pool = g_thread_pool_new(send_one, NULL, THREADS, FALSE, NULL);
    hooks.started = pthread_create(&hooks.thread, NULL, run, NULL) == 0;
    return hooks.started ? NST_OK
                         : nst_err_set(err, NST_ERR_IO, "cannot start a thread");
}

void serve_webhook_close(void)
{
    if (hooks.started) {
        pthread_mutex_lock(&hooks.lock);
        hooks.stopping = true;
        pthread_cond_signal(&hooks.wake);
        pthread_mutex_unlock(&hooks.lock);
        pthread_join(hooks.thread, NULL);
        g_thread_pool_free(hooks.pool, TRUE, TRUE);
        g_hash_table_destroy(hooks.deliveries);
    }
    g_free(hooks.secret);
    hooks.secret = NULL;
}
