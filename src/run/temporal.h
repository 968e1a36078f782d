/* SPDX-License-Identifier: MIT */
/* temporal.h - coherence from frame to frame. */
#ifndef NST_RUN_TEMPORAL_H
#define NST_RUN_TEMPORAL_H

#include "base/err.h"
#include "run/motion.h"

/* Data from the previous frame. All owned; NULL in the first frame. */
struct nst_coherence {
    float *previous;    /* 3 x h x w: previous result, moved along the motion */
    float *static_mask; /* h x w: 1 where the scene is the same, 0 where it changed */
    float *warm_start;  /* 3 x h x w: previous result plus the changes of the scene */
    double held;        /* mean of static_mask */
};

/*
 * Update *f for the step from frame before to frame now (3 x h x w each), between which
 * the scene moves as motion says; its flow back is changed. previous is
 * the result of before and is taken over. NST_ERR_MEM; then *f is cleared.
 */
enum nst_status nst_coherence_update(struct nst_coherence *f, float *previous,
                                     const float *before, const float *now,
                                     struct nst_motion *motion, int h, int w,
                                     struct nst_threads *threads, struct nst_err *err);
void nst_coherence_clear(struct nst_coherence *f);

#endif
