/* SPDX-License-Identifier: MIT */
/*
 * plan.h - how a run is fitted into memory, before it begins.
 *
 * The picture in one piece with all the curvature pairs asked for, if that fits. Else
 * tiles, of the size that costs the least time among those that fit: their margins are
 * worked out more than once, and where the features of the content do not fit either,
 * they are worked out anew at each evaluation. At last fewer curvature pairs.
 */
#ifndef NST_JOB_PLAN_H
#define NST_JOB_PLAN_H

#include "job/job.h"

struct nst_plan {
    int height, width; /* of the picture */
    int tile;          /* pixels of a tile's interior each way; 0: one piece */
    int tile_rows, tile_columns; /* how many */
    bool recompute_content;
    int curvature_pairs;
    size_t memory, limit; /* bytes: the peak expected of the process, and allowed */
    size_t device_memory, device_limit; /* and of a GPU's own; 0 without one */
    double relative_cost; /* of an evaluation, as a multiple of that in one piece */
};

/* What a run holds besides: bytes of the pictures that were read, and whether they are
 * frames, of which each but the first follows one before it. */
struct nst_baseline {
    size_t image_bytes;
    bool is_video;
};

/*
 * Plan a run of content and style pictures of these sizes on e, by its network for the
 * content's, which holds what held says. p->tile, if not 0, is taken as it is. The
 * limit is e's. NST_ERR_MEM when nothing fits: the message says what the least would
 * be.
 */
enum nst_status nst_plan_make(struct nst_plan *plan, struct nst_engine *e,
                              const struct nst_params *p, struct nst_baseline baseline,
                              int content_height, int content_width, int style_height,
                              int style_width, struct nst_err *err);

/* The objective of a run by p that follows the plan; p's layers are borrowed. */
struct nst_objective_config nst_plan_objective_config(const struct nst_plan *plan,
                                                      const struct nst_params *p);

/* Make p say what the plan does, so that a run by p follows it, and so does a run by
 * what is recorded of p. */
void nst_plan_apply(const struct nst_plan *plan, struct nst_params *p);

/* About how many evaluations a run makes, and how many seconds they take: one of a
 * small picture is timed for it. */
int64_t nst_plan_estimate_evaluations(const struct nst_params *p);
enum nst_status nst_plan_estimate_seconds(const struct nst_plan *plan,
                                          struct nst_engine *e,
                                          const struct nst_params *p, double *seconds,
                                          struct nst_err *err);

#endif
