/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/oom.h"

/* Polls before a thread that waits goes to sleep. */
#define SPIN_LIMIT 2000
/* Enough for the kernels' stack arrays, under sanitizers too. */
#define STACK_BYTES ((size_t)1 << 20)

/* Items left to a thread: the end (upper half) and the next one (lower half). */
#define RANGE(next, end) ((uint64_t)(end) << 32 | (uint32_t)(next))
#define END(range) ((int)((range) >> 32))
#define NEXT(range) ((int)(uint32_t)(range))
/* Variables that several threads change have cache lines of their own. */
#define CACHE_LINE 64

struct part {
    _Alignas(CACHE_LINE) _Atomic uint64_t range;
};

struct worker {
    struct nst_threads *threads;
    int number;
    pthread_t id;
};

struct nst_threads {
    int count, started; /* threads including the caller; workers that run */
    struct worker *workers;
    _Atomic int active; /* threads with lower numbers work */

    /*
     * Each thread has a part of the items, the same part in each run of as many items,
     * so that it finds its data in its own cache. It takes items from its own part,
     * then from those of others, by advancing the range. It may read work and ctx until
     * it has added what it took to done: the caller changes them only after all are
     * done.
     */
    struct part *part;
    nst_work_fn *work;
    void *ctx;
    _Atomic unsigned runs; /* changes when there are new items */
    _Alignas(CACHE_LINE) _Atomic int done;
    _Atomic int items;

    _Alignas(CACHE_LINE) pthread_mutex_t lock; /* used only to sleep and wake */
    pthread_cond_t wake, finished;
    _Atomic int sleepers; /* active workers that sleep */
    _Atomic bool caller_sleeps, quit;
};

static inline void cpu_relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb");
#endif
}

/* Take an item of a part: its number, or -1. */
static int take_item(struct part *p)
{
    uint64_t range = atomic_load(&p->range);

    while (NEXT(range) < END(range))
        if (atomic_compare_exchange_weak(&p->range, &range, range + 1))
            return NEXT(range);
    return -1;
}

static void run_items(struct nst_threads *t, int thread)
{
    int taken = 0;

    for (int i = 0; i < t->count; i++) {
        struct part *p = &t->part[(thread + i) % t->count];
        int item;

        while (thread < atomic_load(&t->active) && (item = take_item(p)) >= 0) {
            t->work(t->ctx, item, thread);
            taken++;
        }
    }
    if (taken && atomic_fetch_add(&t->done, taken) + taken == atomic_load(&t->items) &&
        atomic_load(&t->caller_sleeps)) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_signal(&t->finished);
        pthread_mutex_unlock(&t->lock);
    }
}

/* run: the last one that the thread has seen. */
static bool idle(struct nst_threads *t, int thread, unsigned run)
{
    return (atomic_load(&t->runs) == run || thread >= atomic_load(&t->active)) &&
           !atomic_load(&t->quit);
}

static void wait_for_work(struct nst_threads *t, int thread, unsigned run)
{
    for (int i = 0; i < SPIN_LIMIT; i++) {
        if (!idle(t, thread, run))
            return;
        cpu_relax();
    }
    pthread_mutex_lock(&t->lock);
    for (bool asleep = true; asleep;) {
        bool counted = thread < atomic_load(&t->active);

        atomic_fetch_add(&t->sleepers, counted);
        asleep = idle(t, thread, run);
        if (asleep)
            pthread_cond_wait(&t->wake, &t->lock);
        atomic_fetch_sub(&t->sleepers, counted);
    }
    pthread_mutex_unlock(&t->lock);
}

static void *worker_main(void *arg)
{
    struct worker *h = arg;

    while (!atomic_load(&h->threads->quit)) {
        unsigned run = atomic_load(&h->threads->runs);

        run_items(h->threads, h->number);
        wait_for_work(h->threads, h->number, run);
    }
    return NULL;
}

static void wait_until_done(struct nst_threads *t, int items)
{
    for (int i = 0; i < SPIN_LIMIT; i++) {
        if (atomic_load(&t->done) == items)
            return;
        cpu_relax();
    }
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->caller_sleeps, true);
    while (atomic_load(&t->done) != items)
        pthread_cond_wait(&t->finished, &t->lock);
    atomic_store(&t->caller_sleeps, false);
    pthread_mutex_unlock(&t->lock);
}

static void wake_all(struct nst_threads *t)
{
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

static void wake_sleepers(struct nst_threads *t)
{
    if (atomic_load(&t->sleepers) > 0)
        wake_all(t);
}

void nst_threads_run(struct nst_threads *t, int items, nst_work_fn *work, void *ctx)
{
    if (items <= 1 || atomic_load(&t->active) == 1) {
        for (int i = 0; i < items; i++)
            work(ctx, i, 0);
        return;
    }
    t->work = work;
    t->ctx = ctx;
    atomic_store(&t->done, 0);
    atomic_store(&t->items, items);
    for (int i = 0, active = atomic_load(&t->active); i < active; i++)
        atomic_store(&t->part[i].range, RANGE((int64_t)items * i / active,
                                              (int64_t)items * (i + 1) / active));
    atomic_fetch_add(&t->runs, 1);
    wake_sleepers(t);
    run_items(t, 0);
    wait_until_done(t, items);
}

void nst_threads_set_active(struct nst_threads *t, int n)
{
    atomic_store(&t->active, n < 1 ? 1 : n > t->count ? t->count : n);
    wake_all(t);
}

static bool start_worker(struct nst_threads *t, int number)
{
    struct worker *h = &t->workers[number - 1];
    pthread_attr_t attr;
    int failed;

    h->threads = t;
    h->number = number;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    failed = pthread_create(&h->id, &attr, worker_main, h);
    pthread_attr_destroy(&attr);
    return !failed;
}

/* Zeroed memory of whole cache lines. */
static void *new_lines(size_t bytes)
{
    void *p = aligned_alloc(CACHE_LINE, bytes);

    if (!p)
        nst_out_of_memory();
    return memset(p, 0, bytes);
}

enum nst_status nst_threads_new(struct nst_threads **out, int count,
                                struct nst_err *err)
{
    struct nst_threads *t = new_lines(sizeof *t);
    sigset_t all, before;

    *out = NULL;
    t->count = count;
    atomic_store(&t->active, count);
    t->workers = nst_xcalloc((size_t)count, sizeof *t->workers);
    t->part = new_lines((size_t)count * sizeof *t->part);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->finished, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->started < count - 1 && start_worker(t, t->started + 1))
        t->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (t->started < count - 1) {
        nst_err_set(err, NST_ERR_MEM, "the system gives only %d of %d threads",
                    t->started + 1, count);
        nst_threads_free(t);
        return NST_ERR_MEM;
    }
    *out = t;
    return NST_OK;
}

void nst_threads_free(struct nst_threads *t)
{
    if (!t)
        return;
    atomic_store(&t->quit, true);
    wake_all(t);
    for (int i = 0; i < t->started; i++)
        pthread_join(t->workers[i].id, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    pthread_cond_destroy(&t->finished);
    free(t->workers);
    free(t->part);
    free(t);
}

int nst_threads_active(const struct nst_threads *t)
{
    return atomic_load(&t->active);
}

int nst_threads_count(const struct nst_threads *t)
{
    return t->count;
}
