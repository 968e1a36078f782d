/* SPDX-License-Identifier: MIT */
/*
 * plan.h - fits a run into memory before it starts.
 *
 * First choice is the whole picture in one piece with all requested curvature pairs. If
 * that does not fit, it is processed in tiles; the planner takes the tile size with the
 * lowest cost among those that fit. Halos are computed more than once, and content
 * features that do not fit are recomputed at each evaluation. The last resort is fewer
 * curvature pairs.
 */
#ifndef NST_RUN_PLAN_H
#define NST_RUN_PLAN_H

#include "run/job.h"

struct nst_plan {
    int height, width; /* of the picture */
    int tile;          /* side of a tile without halo, in pixels; 0: one piece */
    int tile_rows, tile_columns;
    bool recompute_content;
    int curvature_pairs;
    size_t memory, limit; /* bytes: expected peak of the process, and the limit */
    size_t device_memory, device_limit; /* the same for GPU memory; 0 without a GPU */
    double relative_cost; /* of an evaluation, relative to the untiled one */
};

/* Other memory of the run: bytes of the loaded pictures, and whether they are frames of
 * a video, which need the previous frame. */
struct nst_baseline {
    size_t image_bytes;
    bool is_video;
};

/*
 * Plan a run on e for content and style pictures of these sizes, using the network for
 * the content's size. A nonzero p->tile is used as it is. The limit is that of e.
 * NST_ERR_MEM when nothing fits: the message states the minimum.
 */
enum nst_status nst_plan_make(struct nst_plan *plan, struct nst_session *s,
                              const struct nst_params *p, struct nst_baseline baseline,
                              struct nst_size content, struct nst_size style,
                              struct nst_err *err);

/* Objective configuration of a planned run; p's layers are borrowed. */
struct nst_objective_config nst_plan_objective_config(const struct nst_plan *plan,
                                                      const struct nst_params *p);

/* Store the plan's tile and curvature pairs in p, so that a run by p, or by its record,
 * follows the plan. */
void nst_plan_apply(const struct nst_plan *plan, struct nst_params *p);

#endif
