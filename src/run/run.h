/* SPDX-License-Identifier: MIT */
/*
 * run.h - the pictures of a batch made, some side by side, and what is told on the way.
 *
 * Prints nothing and never ends the program. Runs on the thread that calls it and on
 * threads of its own, all of them gone when it returns; any number of runs may go on at
 * once.
 */
#ifndef NST_RUN_RUN_H
#define NST_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/evaluation.h"
#include "job/options.h"
#include "run/batch.h"

/* What a picture will take (--dry-run). */
struct nst_estimate {
    int height, width; /* of the result */
    int scales, longest[NST_LIST_MAX];
    int64_t iterations[NST_LIST_MAX], evaluations; /* steps of each scale; of all */
    const char *network[NST_LIST_MAX];             /* that works there; borrowed */
    int tile, tile_rows, tile_columns;             /* 0, 1, 1: in one piece */
    bool recompute_content;
    int curvature_pairs;
    size_t memory, limit; /* bytes: the peak of the process, and what is allowed */
    size_t device_memory, device_limit; /* and of a GPU's own; 0 without one */
    double seconds;
};

/* What a run tells; each may be NULL. Those marked * are called by any of its threads,
 * perhaps by several at once. */
struct nst_run_events {
    void *ctx;
    /* The network is here, and so many pictures will be made side by side. */
    void (*ready)(void *ctx, int parallel);
    /* * Asked before each step: shall all that is being made be saved as it is, and
     * the run end? */
    bool (*stop)(void *ctx);
    /* * A line for a person: what failed, and what else p.quiet and p.verbose let pass.
     */
    void (*message)(void *ctx, const char *line);
    /* * In place of making it, with p.dry_run. */
    void (*estimated)(void *ctx, const struct nst_batch_item *item,
                      const struct nst_estimate *estimate);
    /* * The picture is begun, with so many steps to come. What this returns is handed
     * to the next two. */
    void *(*picture_started)(void *ctx, const struct nst_batch_item *item,
                             int64_t planned);
    /* * It is read, and was so large, at least twice as large as it is made. */
    void (*picture_downscaled)(void *ctx, int from_height, int from_width, int height,
                               int width);
    /* * All is ready; from now on there is something to be saved. */
    void (*optimisation_started)(void *ctx);
    /* * A step is made: e is where the picture stands, and done of planned steps are
     * behind it. */
    void (*stepped)(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned);
    /* * It is made; result is NULL if it failed. */
    void (*picture_finished)(void *picture, const struct nst_job_result *result);
    /* * One more is behind us, made or not. */
    void (*picture_done)(void *ctx);
};

struct nst_run_counts {
    size_t done, skipped, failed;
    bool stopped; /* before all was done */
};

/* Refuses what no single option can see: NST_ERR_ARG. */
enum nst_status nst_run_check(const struct nst_params *p, struct nst_err *err);

/*
 * Make all pictures of b. A picture that fails is told about, counted, and keeps no
 * other from being made. *p and *b are borrowed for the call. NST_ERR_ARG as of
 * nst_run_check(), and other errors if nothing can be begun: no network, a style that
 * does not fit it.
 */
enum nst_status nst_run(const struct nst_batch *b, const struct nst_params *p,
                        const struct nst_run_events *events, struct nst_run_counts *out,
                        struct nst_err *err);

#endif
