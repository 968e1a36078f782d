/* SPDX-License-Identifier: MIT */
/*
 * film.h - how a frame follows from the one before it.
 */
#ifndef NST_RUN_FILM_H
#define NST_RUN_FILM_H

#include "base/err.h"

/* What is known to the next frame of the one before, and of what has changed since.
 * All owned; NULL in the first frame. */
struct nst_follow {
    float *made;  /* 3 x h x w: the result before */
    float *still; /* h x w: 1 where the scene is still, to 0 where it has changed */
    float *start; /* 3 x h x w: the result before, with what has changed since */
};

/*
 * The scene went from before to now (3 x h x w each), and made is the result of before:
 * taken over. *f, all NULL or of the frame before, is filled in anew. NST_ERR_MEM,
 * where it is cleared.
 */
enum nst_status nst_follow(struct nst_follow *f, float *made, const float *before,
                           const float *now, int h, int w, struct nst_err *err);
void nst_follow_clear(struct nst_follow *f);

#endif
