/* SPDX-License-Identifier: MIT */
/*
 * pyramid.h - the sizes that a picture is made at, one after the other; what the first
 * starts from, and what lies beyond its border.
 *
 * The network sees as far as its receptive field: strokes larger than that are only
 * made at a small size, and enlarged from there. And a start that is right at large is
 * refined in few steps at full size, which are the dear ones.
 */
#ifndef NST_JOB_PYRAMID_H
#define NST_JOB_PYRAMID_H

#include "job/options.h"

struct nst_level {
    int longest; /* side, in pixels */
    int64_t iterations;
};

/*
 * The scales that p asks for, smallest first, for a result of height x width pixels;
 * NST_LIST_MAX at most. How many; with --scales none it is one. Unless
 * --scale-iterations gives the steps of each, --iterations is divided among them: each
 * takes half of those that are left, the last all, and each at least one.
 */
int nst_pyramid_levels(const struct nst_params *p, int height, int width,
                       struct nst_level level[NST_LIST_MAX]);

/* Steps at all of them together. */
int64_t nst_pyramid_iterations(const struct nst_params *p, int height, int width);

/* Make p that of a frame that starts from the one before it, which has what the smaller
 * scales are for: the last scale alone, with the steps of the last two. */
void nst_pyramid_warm_start(struct nst_params *p, int height, int width);

/* Of the work at all count scales, by pixels and steps, the part that is done after so
 * many steps at one of them. */
double nst_pyramid_progress(const struct nst_params *p, const struct nst_level *level,
                            int count, int current, int64_t done);

/* Refuses scales that do not grow, and a number of iterations that does not fit
 * them: NST_ERR_ARG. */
enum nst_status nst_pyramid_check(const struct nst_params *p, struct nst_err *err);

/* Pixels that a picture is extended by on each side while it is worked on. */
int nst_padding_width(const struct nst_params *p);

/* Does --init name a picture? */
bool nst_init_is_file(const struct nst_params *p);

/* n values, uniform from 0 to 1 (not included), the same for the same seed. */
void nst_uniform_noise(float *x, size_t n, int64_t seed);

#endif
