/* SPDX-License-Identifier: MIT */
/*
 * threads.h - some threads that work through numbered items together.
 *
 * Work is handed out item by item to whoever is free, so a thread that the system has
 * put aside holds nobody up unless it is in the middle of an item. A thread without
 * work watches for more for a few dozen microseconds, then sleeps: it does not take a
 * core from other programs, as an OpenMP runtime does that spins for milliseconds.
 */
#ifndef NST_BASE_THREADS_H
#define NST_BASE_THREADS_H

#include "base/err.h"

struct nst_threads;

/* One item of some work, done by one of the threads, numbered from 0. */
typedef void nst_work_fn(void *ctx, int item, int thread);

/*
 * count threads of 1 or more, the caller's own being number 0. Signals go to other
 * threads than those made here. *out belongs to the caller: nst_threads_free().
 * NST_ERR_MEM when the system gives no more threads.
 */
enum nst_status nst_threads_new(struct nst_threads **out, int count,
                                struct nst_err *err);
void nst_threads_free(struct nst_threads *t); /* NULL is fine */
int nst_threads_count(const struct nst_threads *t);

/* Work on no more than n of them, from 1 to all of them, from the next item on: the
 * others sleep until more are wanted. Called by any thread. At first all work. */
void nst_threads_set_active(struct nst_threads *t, int n);
int nst_threads_active(const struct nst_threads *t);

/*
 * work(ctx, item, thread) for each item from 0 to items - 1, in no particular order;
 * returns when all are done. Called by the thread that made t, and by nothing that is
 * itself work of t.
 */
void nst_threads_run(struct nst_threads *t, int items, nst_work_fn *work, void *ctx);

#endif
