/* SPDX-License-Identifier: MIT */
/*
 * flow.h - optical flow: where each pixel of one frame is in another.
 *
 * A flow is 2 x height x width floats: the displacements u to the right, then v
 * downwards, in pixels. The pixel (x, y) of the first frame is at (x + u, y + v) in the
 * second one. The results do not depend on the number of threads.
 */
#ifndef NST_FLOW_FLOW_H
#define NST_FLOW_FLOW_H

#include <stdbool.h>

#include "base/err.h"
#include "base/image.h"
#include "base/threads.h"

/* Whether a frame is large enough for nst_flow_estimate(): 16 x 16 pixels. */
bool nst_flow_is_possible(struct nst_image frame);

/*
 * Estimates the flow between the frames of a film, which are passed one after the
 * other: a dense inverse search, coarse to fine (T. Kroeger, R. Timofte, D. Dai, L. Van
 * Gool: Fast optical flow using dense inverse search, ECCV 2016), refined at each scale
 * by the variational method of T. Brox, A. Bruhn, N. Papenberg and J. Weickert (ECCV
 * 2004). It keeps the scales of the last two frames.
 */
struct nst_flow_estimator;

/* For frames of at least 16 x 16 pixels. threads is borrowed. *out belongs to the
 * caller: nst_flow_estimator_free(). NST_ERR_MEM; NST_ERR_ARG if NST_CPU names no
 * instruction set. */
enum nst_status nst_flow_estimator_new(struct nst_flow_estimator **out, int height,
                                       int width, struct nst_threads *threads,
                                       struct nst_err *err);
void nst_flow_estimator_free(struct nst_flow_estimator *e); /* NULL is fine */
/* Memory in bytes of an estimator. */
size_t nst_flow_estimator_bytes(int height, int width);
/* Pass the next frame; the one passed last becomes the frame before. */
void nst_flow_estimator_next(struct nst_flow_estimator *e, struct nst_image frame);
/* flow (2 x height x width): from the frame before to the last one, or back. Two frames
 * have been passed. */
void nst_flow_estimate(struct nst_flow_estimator *e, bool back, float *flow);

/* out (3 x height x width): the image displaced by a flow of the same size, that is,
 * for each pixel the colour at the end of its displacement. Interpolated by six pixels
 * per axis, which may leave the range of the image a little; positions outside take the
 * nearest pixel. */
void nst_flow_warp(float *out, struct nst_image image, const float *flow,
                   struct nst_threads *threads);

/*
 * mask (height x width): 1 where a pixel is visible in the other frame, 0 where it is
 * not: where it leaves the frame, or flow and back, the flow in the opposite direction,
 * do not cancel (N. Sundaram, T. Brox, K. Keutzer: Dense point trajectories by
 * GPU-accelerated large displacement optical flow, ECCV 2010).
 */
void nst_flow_visible(float *mask, const float *flow, const float *back, int height,
                      int width);
/* Set the mask to 0 where the motion has a boundary, that is, where the gradient of the
 * flow is large (M. Ruder, A. Dosovitskiy, T. Brox: Artistic style transfer for videos,
 * GCPR 2016). */
void nst_flow_exclude_boundaries(float *mask, const float *flow, int height, int width);

/* Read a Middlebury .flo file. *out belongs to the caller: free(). NST_ERR_ARG (no such
 * file), NST_ERR_IO, NST_ERR_FORMAT (also if the size is not height x width),
 * NST_ERR_MEM. */
enum nst_status nst_flow_read(float **out, const char *path, int height, int width,
                              struct nst_err *err);

#endif
