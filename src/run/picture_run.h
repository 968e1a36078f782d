/* SPDX-License-Identifier: MIT */
/*
 * picture_run.h - processes one picture of a batch: loads, stylises and writes it, and
 * records the run.
 */
#ifndef NST_RUN_PICTURE_RUN_H
#define NST_RUN_PICTURE_RUN_H

#include <stdatomic.h>

#include "run/batch.h"
#include "run/plan.h"
#include "run/run.h"
#include "run/styles.h"

struct nst_frame_link;

/* Context of a worker, which processes one picture after the other; all is borrowed. */
struct nst_picture_runner {
    const struct nst_params *params;
    struct nst_session *session;
    struct nst_styles_shared *styles;
    const struct nst_run_events *events;
    struct nst_frame_link *link; /* with --frames; or NULL */
    bool to_directory;           /* directories of outputs are created */
    atomic_bool *history_failed; /* a message has said so */

    void *ctx;
    /* Before a picture is read, which takes this many bytes at its peak; ends with
     * reserve_memory(), or when nst_picture_run() returns. May block until the memory
     * is free and no other worker reads. NULL: not needed. */
    void (*reserve_reading)(void *ctx, size_t bytes);
    /* Inputs are loaded, and the run needs the memory of this plan until
     * nst_picture_run() returns. May block until the memory is free. */
    void (*reserve_memory)(void *ctx, const struct nst_plan *plan);
};

/* err says why the picture failed. */
enum nst_outcome nst_picture_run(const struct nst_picture_runner *runner,
                                 const struct nst_batch_item *item,
                                 struct nst_err *err);

#endif
