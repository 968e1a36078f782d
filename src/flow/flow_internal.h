/* SPDX-License-Identifier: MIT */
/* flow_internal.h - the scales of a pair of frames, and the steps at each of them. */
#ifndef NST_FLOW_FLOW_INTERNAL_H
#define NST_FLOW_FLOW_INTERNAL_H

#include <stddef.h>

#include "flow/flow.h"

#define FLOW_BORDER 16 /* pixels around a plane that repeat its outermost pixels */
#define FLOW_MIN_SIDE 16

/* A plane of samples, 0 to 255, with a border. */
struct flow_plane {
    float *samples; /* owned: all of them, with the border */
    float *origin;  /* of the plane, in samples */
    int height, width;
    ptrdiff_t stride; /* samples from row to row */
};

/* The luma of an image. NST_ERR_MEM. */
enum nst_status nst_flow_plane_from_image(struct flow_plane *p, struct nst_image image,
                                          struct nst_threads *threads,
                                          struct nst_err *err);
/* Half the height and width, rounded up. NST_ERR_MEM. */
enum nst_status nst_flow_plane_halve(struct flow_plane *p, const struct flow_plane *of,
                                     struct nst_threads *threads, struct nst_err *err);
/* The derivatives to the right and downwards. NST_ERR_MEM. */
enum nst_status nst_flow_plane_derive(struct flow_plane *dx, struct flow_plane *dy,
                                      const struct flow_plane *of,
                                      struct nst_threads *threads, struct nst_err *err);
/* The sample at a position, interpolated; outside the border the nearest one. */
float nst_flow_plane_at(const struct flow_plane *p, float x, float y);
void nst_flow_plane_free(struct flow_plane *p);

/* A scale: the frame from, its derivatives, and the frame to. */
struct flow_scale {
    struct flow_plane from, dx, dy, to;
};

/* Replace a flow by that of the patches that it leads to. NST_ERR_MEM. */
enum nst_status nst_flow_search(float *flow, const struct flow_scale *s,
                                struct nst_threads *threads, struct nst_err *err);
/* Make a flow smooth, and its ends as bright as its beginnings. NST_ERR_MEM. */
enum nst_status nst_flow_refine(float *flow, const struct flow_scale *s,
                                struct nst_threads *threads, struct nst_err *err);

#endif
