/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/task.h"

#include <string.h>

struct nst_gimp_task {
    GThread *thread;
    struct nst_params params;
    struct nst_samples picture, keep, result;
    GMutex lock; /* for all below */
    gboolean finished, cancel;
    double fraction;                 /* of the work, done */
    struct nst_gimp_preview preview; /* rgb is NULL: taken */
    struct nst_estimate estimate;
    struct nst_run_counts counts;
    enum nst_status status;
    struct nst_err err;
};

static bool stop(void *ctx)
{
    struct nst_gimp_task *t = ctx;
    bool cancel;

    g_mutex_lock(&t->lock);
    cancel = t->cancel;
    g_mutex_unlock(&t->lock);
    return cancel;
}

/* The last message of a run that fails is its error. */
static void message(void *ctx, const char *line)
{
    struct nst_gimp_task *t = ctx;

    g_mutex_lock(&t->lock);
    g_strlcpy(t->err.text, line, sizeof t->err.text);
    g_mutex_unlock(&t->lock);
}

static void estimated(void *ctx, const struct nst_batch_item *item,
                      const struct nst_estimate *estimate)
{
    struct nst_gimp_task *t = ctx;

    (void)item;
    t->estimate = *estimate;
}

static void *picture_started(void *ctx, const struct nst_batch_item *item,
                             int64_t planned)
{
    (void)item;
    (void)planned;
    return ctx;
}

static void stepped(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct nst_gimp_task *t = picture;

    (void)done;
    (void)planned;
    g_mutex_lock(&t->lock);
    t->fraction = e->fraction;
    g_mutex_unlock(&t->lock);
}

static void previewed(void *picture, struct nst_image image)
{
    struct nst_gimp_task *t = picture;
    size_t n = (size_t)image.width * (size_t)image.height;
    guchar *rgb = g_try_malloc(3 * n), *old;

    if (!rgb)
        return;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            rgb[3 * i + c] = (guchar)(image.rgb[c * n + i] * 255 + 0.5f);
    g_mutex_lock(&t->lock);
    old = t->preview.rgb;
    t->preview = (struct nst_gimp_preview){rgb, image.width, image.height};
    g_mutex_unlock(&t->lock);
    g_free(old);
}

static gpointer run(gpointer data)
{
    struct nst_gimp_task *t = data;
    const struct nst_run_events events = {.ctx = t,
                                          .stop = stop,
                                          .message = message,
                                          .estimated = estimated,
                                          .picture_started = picture_started,
                                          .stepped = stepped,
                                          .previewed = previewed};
    struct nst_batch batch = {NULL};
    struct nst_err err = {.status = NST_OK};
    enum nst_status st;

    nst_batch_add_samples(&batch, "layer", &t->picture, t->keep.data ? &t->keep : NULL,
                          &t->result);
    st = nst_run(&batch, &t->params, &events, &t->counts, &err);
    nst_batch_clear(&batch);
    g_mutex_lock(&t->lock);
    if (st != NST_OK)
        t->err = err;
    t->status = st != NST_OK ? st : t->counts.status;
    t->finished = TRUE;
    g_mutex_unlock(&t->lock);
    return NULL;
}

struct nst_gimp_task *nst_gimp_task_start(struct nst_params *p,
                                          const struct nst_samples *picture,
                                          const struct nst_samples *keep,
                                          const struct nst_samples *result)
{
    struct nst_gimp_task *t = g_new0(struct nst_gimp_task, 1);

    t->params = *p;
    memset(p, 0, sizeof *p);
    t->params.quiet = true;
    t->params.on_interrupt = NST_ON_INTERRUPT_DISCARD; /* the plug-in itself keeps */
    t->picture = *picture;
    t->keep = *keep;
    t->result = *result;
    g_mutex_init(&t->lock);
    t->thread = g_thread_new("nst", run, t);
    return t;
}

gboolean nst_gimp_task_is_finished(struct nst_gimp_task *t)
{
    gboolean finished;

    g_mutex_lock(&t->lock);
    finished = t->finished;
    g_mutex_unlock(&t->lock);
    return finished;
}

double nst_gimp_task_fraction(struct nst_gimp_task *t)
{
    double fraction;

    g_mutex_lock(&t->lock);
    fraction = t->fraction;
    g_mutex_unlock(&t->lock);
    return CLAMP(fraction, 0, 1);
}

gboolean nst_gimp_task_preview(struct nst_gimp_task *t, struct nst_gimp_preview *out)
{
    g_mutex_lock(&t->lock);
    *out = t->preview;
    t->preview.rgb = NULL;
    g_mutex_unlock(&t->lock);
    return out->rgb != NULL;
}

void nst_gimp_task_cancel(struct nst_gimp_task *t)
{
    g_mutex_lock(&t->lock);
    t->cancel = TRUE;
    g_mutex_unlock(&t->lock);
}

enum nst_status nst_gimp_task_finish(struct nst_gimp_task *t, gboolean *cancelled,
                                     struct nst_estimate *estimate, struct nst_err *err)
{
    enum nst_status st;

    g_thread_join(t->thread);
    st = t->status;
    if (st != NST_OK)
        *err = t->err;
    if (cancelled)
        *cancelled = t->counts.stopped;
    if (estimate)
        *estimate = t->estimate;
    g_free(t->preview.rgb);
    nst_params_clear(&t->params);
    g_mutex_clear(&t->lock);
    g_free(t);
    return st;
}
