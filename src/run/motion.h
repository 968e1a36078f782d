/* SPDX-License-Identifier: MIT */
/* motion.h - the optical flow between neighbouring frames of a film. */
#ifndef NST_RUN_MOTION_H
#define NST_RUN_MOTION_H

#include "base/err.h"
#include "base/image.h"
#include "base/threads.h"

/* Flows (flow.h) between the frames before and now; both NULL without flow. All owned.
 */
struct nst_motion {
    float *forward;                       /* from before to now */
    float *back;                          /* from now to before */
    struct nst_flow_estimator *estimator; /* from frame to frame; NULL at first */
};

/* Numbers of two frames, from 1 on. */
struct nst_frame_pair {
    int before, now;
};

/*
 * Find the motion as the option --flow says: estimate it, read it from the files
 * DIR/forward_N_M.flo and DIR/backward_M_N.flo for the frames N < M, or leave it out.
 * Frame before may be the later one. An m of zeros is that before the first pair; from
 * then on, before is the now of the last pair. threads is borrowed as long as m is
 * used. NST_ERR_ARG, NST_ERR_IO, NST_ERR_FORMAT (a file), NST_ERR_MEM.
 */
enum nst_status nst_motion_find(struct nst_motion *m, const char *flow,
                                struct nst_frame_pair number, struct nst_image before,
                                struct nst_image now, struct nst_threads *threads,
                                struct nst_err *err);
/* Memory in bytes that is kept from frame to frame, and that following the motion takes
 * besides at its peak. */
size_t nst_motion_kept_bytes(const char *flow, int height, int width);
size_t nst_motion_bytes(const char *flow, int height, int width);
void nst_motion_clear(struct nst_motion *m);

#endif
