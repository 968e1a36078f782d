/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/quality.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>

#include "serve/clock.h"
#include "serve/log.h"
#include "serve/queue/queue.h"
#include "serve/store.h"

#define MAX_WAITING 8    /* computations */
#define RETRY_SECONDS 10 /* when as many wait */
#define POLL_SECONDS "1" /* until a client should ask again */
#define KEEP_SECONDS 60  /* an outcome that is not in a file */

/* The computation of the figures of one task. */
struct job {
    char *id;
    json_t *progress; /* of the task */
    struct serve_pictures pictures;
    struct serve_figures outcome;
    double ended; /* 0: not yet */
};

static struct {
    const struct serve_settings *settings;
    GThreadPool *pool; /* one thread */
    pthread_mutex_t lock;
    GHashTable *jobs; /* struct job by id; protected by the lock */
} quality = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void free_job(gpointer p)
{
    struct job *job = p;

    free(job->id);
    json_decref(job->progress);
    serve_pictures_clear(&job->pictures);
    serve_figures_clear(&job->outcome);
    free(job);
}

json_t *serve_quality_load(const char *id, const char *original, const char *style)
{
    char *name = nst_xasprintf("%s.json", id),
         *path = serve_store_path("quality", name);
    json_t *kept = path ? json_load_file(path, 0, NULL) : NULL;
    json_t *figures = json_object_get(kept, "figures");
    const char *with = json_string_value(json_object_get(kept, "style"));
    bool fits =
        !original || (g_strcmp0(json_string_value(json_object_get(kept, "original")),
                                original) == 0 &&
                      (!style || g_strcmp0(with, style) == 0));

    json_incref(figures);
    json_decref(kept);
    free(path);
    free(name);
    if (fits && json_is_object(figures))
        return figures;
    json_decref(figures);
    return NULL;
}

void serve_quality_store(const char *id, const json_t *progress, const json_t *figures)
{
    char *name = nst_xasprintf("%s.json", id), *result;
    json_t *kept = json_pack(
        "{s:O, s:O, s:O}", "original", json_object_get(progress, "content_img"),
        "style", json_object_get(progress, "style_img"), "figures", figures);
    struct nst_err err;

    if (serve_store_write("quality", name, kept, &err) != NST_OK)
        serve_log(SERVE_WARNING, "%s", err.text);
    json_decref(kept);
    result = serve_task_result_name(id);
    if (!result) /* it was deleted in the meantime */
        serve_store_remove("quality", name);
    free(result);
    free(name);
}

/* GFunc of the pool. Only this thread changes the job. */
static void compute(gpointer p, gpointer unused)
{
    struct job *job = p;
    struct serve_figures f;

    (void)unused;
    serve_figures_compute(&f, quality.settings, &job->pictures);
    if (f.figures)
        serve_quality_store(job->id, job->progress, f.figures);
    pthread_mutex_lock(&quality.lock);
    job->outcome = f;
    job->ended = nst_clock_seconds();
    pthread_mutex_unlock(&quality.lock);
}

void serve_quality_open(const struct serve_settings *s)
{
    quality.settings = s;
    quality.jobs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_job);
    quality.pool = g_thread_pool_new(compute, NULL, 1, FALSE, NULL);
}

void serve_quality_close(void)
{
    if (!quality.pool)
        return;
    g_thread_pool_free(quality.pool, TRUE, TRUE);
    g_hash_table_destroy(quality.jobs);
}

static gboolean is_old(gpointer key, gpointer value, gpointer unused)
{
    const struct job *job = value;

    (void)key;
    (void)unused;
    return job->ended > 0 && nst_clock_seconds() - job->ended > KEEP_SECONDS;
}

static struct serve_response wait_response(void)
{
    struct serve_response response = serve_response_json(
        MHD_HTTP_ACCEPTED,
        json_pack("{s:s}", "message", "the figures are computed: ask again"));

    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_RETRY_AFTER, POLL_SECONDS);
    return response;
}

/* Queue a computation; progress is taken over. The lock is held. */
static struct serve_response start_job(const char *id, json_t *progress)
{
    struct job *job;

    if (g_thread_pool_unprocessed(quality.pool) >= MAX_WAITING) {
        json_decref(progress);
        return serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
            "too many comparisons are waiting: try again later");
    }
    job = nst_xcalloc(1, sizeof *job);
    job->id = nst_xstrdup(id);
    job->progress = progress;
    if (!serve_pictures_of_task(&job->pictures, progress)) {
        free_job(job);
        return serve_response_error(MHD_HTTP_NOT_FOUND,
                                    "a picture of the task no longer exists");
    }
    g_hash_table_insert(quality.jobs, job->id, job);
    g_thread_pool_push(quality.pool, job, NULL);
    return wait_response();
}

struct serve_response serve_quality(struct serve_request *r)
{
    json_t *progress = serve_queue->progress(&r->identity, r->argument, NULL, NULL);
    bool unavailable = !progress && errno != ENOENT;
    struct serve_figures kept = {.figures = NULL};
    struct serve_response response;
    const struct job *job;

    if (unavailable)
        return serve_response_unavailable();
    if (!json_is_string(json_object_get(progress, "output_img"))) {
        json_decref(progress);
        return serve_response_error(
            MHD_HTTP_NOT_FOUND, "there is no task '%.64s' with a result", r->argument);
    }
    pthread_mutex_lock(&quality.lock);
    g_hash_table_foreach_remove(quality.jobs, is_old, NULL);
    job = g_hash_table_lookup(quality.jobs, r->argument);
    if ((kept.figures = serve_quality_load(r->argument, NULL, NULL)))
        response = serve_figures_response(&kept);
    else if (job)
        response =
            job->ended > 0 ? serve_figures_response(&job->outcome) : wait_response();
    else
        response = start_job(r->argument, json_incref(progress));
    pthread_mutex_unlock(&quality.lock);
    serve_figures_clear(&kept);
    json_decref(progress);
    return response;
}
