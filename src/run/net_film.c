/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/net_film.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "run/report.h"

/* A place for one frame between two threads. */
struct slot {
    struct nst_picture *frame; /* or NULL */
    bool closed;               /* no frame will come, or none is wanted any more */
};

struct nst_net_film {
    struct nst_frame_reader *reader;
    struct nst_frame_writer *writer;
    const struct nst_run_events *events;
    pthread_t reading, writing;
    atomic_bool ending; /* an error: nothing more is read */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    struct slot in, out;
    enum nst_status status; /* of the first error */
    struct nst_err err;
};

/* Close both places after an error. */
static void fail(struct nst_net_film *f, enum nst_status status,
                 const struct nst_err *err)
{
    pthread_mutex_lock(&f->lock);
    if (f->status == NST_OK) {
        f->status = status;
        f->err = *err;
    }
    f->ending = f->in.closed = f->out.closed = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

/* Wait until the place is free. False: nobody wants a frame any more. */
static bool wait_free(struct nst_net_film *f, struct slot *s)
{
    bool wanted;

    pthread_mutex_lock(&f->lock);
    while (s->frame && !s->closed)
        pthread_cond_wait(&f->changed, &f->lock);
    wanted = !s->closed;
    pthread_mutex_unlock(&f->lock);
    return wanted;
}

/* Leave a frame at a place once it is free. False, and the frame is freed, if nobody
 * wants it. */
static bool put(struct nst_net_film *f, struct slot *s, struct nst_picture *frame)
{
    bool taken;

    wait_free(f, s);
    pthread_mutex_lock(&f->lock);
    taken = !s->closed;
    if (taken)
        s->frame = frame;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (!taken)
        nst_picture_free(frame);
    return taken;
}

/* Wait for a frame; its place is not free before release(). NULL: no more will come. */
static struct nst_picture *wait_frame(struct nst_net_film *f, struct slot *s)
{
    struct nst_picture *frame;

    pthread_mutex_lock(&f->lock);
    while (!s->frame && !s->closed)
        pthread_cond_wait(&f->changed, &f->lock);
    frame = s->frame;
    pthread_mutex_unlock(&f->lock);
    return frame;
}

static void release(struct nst_net_film *f, struct slot *s)
{
    pthread_mutex_lock(&f->lock);
    s->frame = NULL;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void close_slot(struct nst_net_film *f, struct slot *s)
{
    pthread_mutex_lock(&f->lock);
    s->closed = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static bool should_stop(void *ctx)
{
    const struct nst_net_film *f = ctx;

    return f->ending || nst_run_should_stop(f->events);
}

static void *read_frames(void *ctx)
{
    struct nst_net_film *f = ctx;
    struct nst_picture *frame;
    struct nst_err err;
    bool more = true;

    while (more && !should_stop(f) && wait_free(f, &f->in)) { /* one is in memory */
        enum nst_status st = nst_frame_reader_next(f->reader, &frame, &err);

        if (st != NST_OK && !should_stop(f)) /* else it was stopped while it waited */
            fail(f, st, &err);
        more = st == NST_OK && frame && put(f, &f->in, frame);
    }
    close_slot(f, &f->in);
    return NULL;
}

static void *write_frames(void *ctx)
{
    struct nst_net_film *f = ctx;
    struct nst_picture *frame;
    struct nst_err err;

    while ((frame = wait_frame(f, &f->out))) {
        enum nst_status st = nst_frame_writer_add(f->writer, frame, frame->rgb, &err);

        nst_picture_free(frame);
        release(f, &f->out);
        if (st != NST_OK)
            fail(f, st, &err);
    }
    return NULL;
}

static void free_film(struct nst_net_film *f)
{
    nst_picture_free(f->in.frame);
    nst_picture_free(f->out.frame);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    free(f);
}

/* Signals go to the other threads. */
static bool start(pthread_t *thread, void *(*run)(void *ctx), struct nst_net_film *f)
{
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(thread, NULL, run, f) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

enum nst_status nst_net_film_new(struct nst_net_film **out,
                                 struct nst_frame_reader *reader,
                                 struct nst_frame_writer *writer,
                                 const struct nst_run_events *events,
                                 struct nst_err *err)
{
    struct nst_net_film *f = nst_xcalloc(1, sizeof *f);
    bool reads;

    *f = (struct nst_net_film){.reader = reader, .writer = writer, .events = events};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    nst_frame_reader_set_stop(reader, should_stop, f);
    *out = f;
    reads = start(&f->reading, read_frames, f);
    if (reads && start(&f->writing, write_frames, f))
        return NST_OK;
    if (reads) {
        f->ending = true;
        close_slot(f, &f->in);
        pthread_join(f->reading, NULL);
    }
    free_film(f);
    *out = NULL;
    return nst_err_set(err, NST_ERR_MEM,
                       "the system refuses two threads to read and write frames");
}

struct nst_picture *nst_net_film_next(struct nst_net_film *f)
{
    struct nst_picture *frame;

    if (nst_run_should_stop(f->events))
        return NULL;
    frame = wait_frame(f, &f->in);
    release(f, &f->in);
    return frame;
}

void nst_net_film_add(struct nst_net_film *f, struct nst_picture *frame)
{
    put(f, &f->out, frame);
}

enum nst_status nst_net_film_end(struct nst_net_film *f, struct nst_err *err)
{
    enum nst_status st;

    f->ending = true;
    close_slot(f, &f->in);
    close_slot(f, &f->out);
    pthread_join(f->reading, NULL);
    pthread_join(f->writing, NULL);
    nst_frame_reader_set_stop(f->reader, f->events->stop, f->events->ctx);
    st = f->status;
    if (st != NST_OK)
        *err = f->err;
    free_film(f);
    return st;
}
