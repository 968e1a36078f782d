/* SPDX-License-Identifier: MIT */
/*
 * pyramid.h - coarse-to-fine schedule and initial noise.
 *
 * The network sees no further than its receptive field: larger strokes form only at a
 * small scale and are enlarged from there. A good start also needs few steps at full
 * size, where steps are expensive.
 */
#ifndef NST_RUN_PYRAMID_H
#define NST_RUN_PYRAMID_H

#include "base/image.h"
#include "options/params.h"

struct nst_level {
    int longest; /* side, in pixels */
    int64_t iterations;
};

/*
 * Fill level[] with the scales of p for a result of height x width pixels, smallest
 * first, and return their number (at most NST_LIST_MAX; 1 with --scales none). Without
 * --scale-iterations, --iterations is divided: each scale takes half of the remaining
 * steps, the last one all of them, each at least one.
 */
int nst_pyramid_levels(const struct nst_params *p, int height, int width,
                       struct nst_level level[NST_LIST_MAX]);

/* Not in nst.h. */

/* Number of steps at all scales together. */
int64_t nst_pyramid_iterations(const struct nst_params *p, int height, int width);

/* Adjust p for a frame that starts from the previous result, which replaces the smaller
 * scales: only the last scale remains, with the steps of the last two. After a cut
 * nothing is held; if at least a fifth of the frame is (held: this share), its paint is
 * there already, and a tenth of all steps is enough, or NST_LATER_STEPS if that is
 * more.
 */
#define NST_LATER_STEPS 8
void nst_pyramid_warm_start(struct nst_params *p, int height, int width, double held);

/* Adjust p for the first frame of a film: at the last of several scales it also takes
 * the steps that a later frame takes there. The later ones go on from it, so the film
 * would otherwise become sharper in its first frames. */
void nst_pyramid_first_frame(struct nst_params *p, int height, int width);

/* Fraction of the work at all count scales, in pixels times steps, that is complete
 * after done steps at scale current. */
double nst_pyramid_progress(const struct nst_level *level, int count, int current,
                            int64_t done);

/* Refuse scale-iterations that do not match the number of scales: NST_ERR_ARG. */
enum nst_status nst_pyramid_check(const struct nst_params *p, struct nst_err *err);

/* Fill x with n uniform values in [0, 1) from the seed. */
void nst_uniform_noise(float *x, size_t n, int64_t seed);

#endif
