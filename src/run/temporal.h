/* SPDX-License-Identifier: MIT */
/*
 * temporal.h - how a frame follows from the one before it.
 */
#ifndef NST_RUN_TEMPORAL_H
#define NST_RUN_TEMPORAL_H

#include "base/err.h"

/* What is known to the next frame of the one before, and of what has changed since.
 * All owned; NULL in the first frame. */
struct nst_coherence {
    float *previous; /* 3 x h x w: the result before */
    float
        *static_mask; /* h x w: 1 where the scene is still, to 0 where it has changed */
    float *warm_start; /* 3 x h x w: the result before, with what has changed since */
};

/*
 * The scene went from before to now (3 x h x w each), and made is the result of before:
 * taken over. *f, all NULL or of the frame before, is filled in anew. NST_ERR_MEM,
 * where it is cleared.
 */
enum nst_status nst_coherence_update(struct nst_coherence *f, float *previous,
                                     const float *before, const float *now, int h,
                                     int w, struct nst_err *err);
void nst_coherence_clear(struct nst_coherence *f);

#endif
