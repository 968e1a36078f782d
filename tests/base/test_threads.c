/* SPDX-License-Identifier: MIT */
/*
 * Each item of each round must run exactly once, for any number of threads, for short
 * rounds, and after pauses in which the threads fall asleep. With -fsanitize=thread
 * this test also detects races.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/threads.h"
#include "../tap.h"

#define MOST 300

struct round {
    int done[MOST]; /* times each item ran; not atomic: one thread owns an item */
    long input;     /* written before the round, read in it */
    long sum[8];    /* per thread */
};

static void item(void *ctx, int i, int thread)
{
    struct round *r = ctx;

    r->done[i]++;
    r->sum[thread] += r->input * i;
}

static void slow_item(void *ctx, int i, int thread)
{
    struct round *r = ctx;
    double x = 0;

    for (int k = 0; k < 2000 * (i % 7); k++)
        x += 1.0 / (k + 1);
    r->sum[thread] += x > -1;
    r->done[i]++;
}

static int all_done_once(struct nst_threads *t, int items, long input,
                         nst_work_fn *work)
{
    struct round r = {.input = input};
    long sum = 0;
    int ok = 1;

    nst_threads_run(t, items, work, &r);
    for (int i = 0; i < items; i++)
        ok &= r.done[i] == 1;
    for (int k = 0; k < 8; k++)
        sum += r.sum[k];
    return ok && sum == (work == item ? input * items * (items - 1) / 2 : items);
}

struct changer {
    struct nst_threads *t;
    atomic_bool end;
};

/* Changes the number of active threads all the time. */
static void *change(void *ctx)
{
    struct changer *c = ctx;

    for (int n = 0; !atomic_load(&c->end); n++)
        /* values out of range are clamped */
        nst_threads_set_active(c->t, n % 10);
    return NULL;
}

/* The highest thread number that ran an item. */
static int highest(struct nst_threads *t)
{
    struct round r = {.input = 1};
    int high = 0;

    nst_threads_run(t, MOST, slow_item, &r);
    for (int k = 0; k < 8; k++)
        if (r.sum[k])
            high = k;
    return high;
}

static int right_with_fewer(struct nst_threads *t, unsigned *seed)
{
    struct changer c = {.t = t};
    pthread_t id;
    int ok = 1;

    for (int n = 1; n <= nst_threads_count(t); n++) {
        nst_threads_set_active(t, n);
        ok &= nst_threads_active(t) == n && highest(t) < n;
    }
    atomic_init(&c.end, false);
    if (pthread_create(&id, NULL, change, &c) != 0)
        return 0;
    for (int k = 0; k < 5000; k++)
        ok &= all_done_once(t, (int)((tap_random(seed) + 1) * 20), k, item);
    atomic_store(&c.end, true);
    pthread_join(id, NULL);
    return ok;
}

int main(void)
{
    unsigned seed = tap_seed() | 1;

    for (int count = 1; count <= 8; count = count < 3 ? count + 1 : count + 5) {
        struct nst_threads *t;
        int ok = nst_threads_new(&t, count, NULL) == NST_OK;
        int right = 1, rested = 1, uneven = 1;

        tap(ok && nst_threads_count(t) == count, "%d threads start", count);
        for (int k = 0; k < 20000; k++)
            right &= all_done_once(t, (int)((tap_random(&seed) + 1) * 20), k, item);
        tap(right, "%d threads: short rounds, each item once", count);
        for (int k = 0; k < 20; k++) {
            nanosleep(&(struct timespec){0, 2000000}, NULL);
            rested &= all_done_once(t, MOST, k, item);
        }
        tap(rested, "%d threads: rounds after a rest", count);
        for (int k = 0; k < 50; k++)
            uneven &= all_done_once(t, MOST, k, slow_item);
        tap(uneven, "%d threads: items of different lengths", count);
        tap(right_with_fewer(t, &seed), "%d threads: as many of them as are asked for",
            count);
        nst_threads_free(t);
    }
    nst_threads_free(NULL);
    return tap_end();
}
