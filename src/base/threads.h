/* SPDX-License-Identifier: MIT */
/*
 * threads.h - a thread pool that processes numbered items.
 *
 * Each thread has its part of the items, and takes those of others when it is done. A
 * thread that the system has preempted therefore delays the others only if it is inside
 * an item. An idle thread polls for a few dozen
 * microseconds, then sleeps. It does not occupy a core, as OpenMP runtimes do that spin
 * for milliseconds.
 */
#ifndef NST_BASE_THREADS_H
#define NST_BASE_THREADS_H

#include "base/err.h"

struct nst_threads;

/* Processes one item on thread number thread (from 0). */
typedef void nst_work_fn(void *ctx, int item, int thread);

/*
 * Start a pool of count (>= 1) threads; the caller is thread 0. Workers block all
 * signals. *out belongs to the caller: nst_threads_free().
 * NST_ERR_MEM if the system refuses to create a thread.
 */
enum nst_status nst_threads_new(struct nst_threads **out, int count,
                                struct nst_err *err);
void nst_threads_free(struct nst_threads *t); /* NULL is fine */
int nst_threads_count(const struct nst_threads *t);

/* From the next item on, use only n threads (clamped to 1..count); the others sleep.
 * Any thread may call this. Initially all threads are active. */
void nst_threads_set_active(struct nst_threads *t, int n);
int nst_threads_active(const struct nst_threads *t);

/*
 * Call work(ctx, item, thread) for items 0 to items - 1, in no particular order, and
 * return when all are done. Only the thread that created t may call this, and not from
 * inside work.
 */
void nst_threads_run(struct nst_threads *t, int items, nst_work_fn *work, void *ctx);

#endif
