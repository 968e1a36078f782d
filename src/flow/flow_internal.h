/* SPDX-License-Identifier: MIT */
/* flow_internal.h - the scales of a frame, and the steps at each of them. */
#ifndef NST_FLOW_FLOW_INTERNAL_H
#define NST_FLOW_FLOW_INTERNAL_H

#include "flow/flow.h"
#include "kernels/flow_kernels.h"

#define FLOW_MIN_SIDE 16

/* The planes are made without samples; NST_ERR_MEM. They are filled with their border.
 */
enum nst_status nst_flow_plane_new(struct nst_flow_plane *p, int height, int width,
                                   struct nst_err *err);
void nst_flow_plane_free(struct nst_flow_plane *p);
/* The luma of an image, or of half of it: then p is half as large, rounded up. */
void nst_flow_plane_of_image(struct nst_flow_plane *p, struct nst_image image,
                             bool is_half, const struct nst_flow_kernels *k,
                             struct nst_threads *threads);
/* Half the height and width, rounded up. */
void nst_flow_plane_halve(struct nst_flow_plane *p, const struct nst_flow_plane *of,
                          const struct nst_flow_kernels *k,
                          struct nst_threads *threads);
/* The derivatives to the right and downwards. */
void nst_flow_plane_derive(struct nst_flow_plane *dx, struct nst_flow_plane *dy,
                           const struct nst_flow_plane *of,
                           const struct nst_flow_kernels *k,
                           struct nst_threads *threads);

/* A frame at one scale: its samples and both derivatives. */
struct flow_scale {
    struct nst_flow_plane term[NST_FLOW_TERMS];
};

/* What both steps need: frames at a scale, the flow between them and scratch memory,
 * which is as large as the largest scale needs. */
struct flow_pair {
    const struct flow_scale *from, *to;
    float *flow; /* 2 x height x width: in and out */
    float *scratch;
    const struct nst_flow_kernels *kernels;
    struct nst_threads *threads;
};

/* Floats of scratch memory for a scale. */
size_t nst_flow_search_scratch(int height, int width);
size_t nst_flow_refine_scratch(int height, int width);

/* Replace a flow by that of the patches that it leads to. */
void nst_flow_search(const struct flow_pair *p);
/* Make a flow smooth, and its ends as bright as its beginnings; linearise so often. */
void nst_flow_refine(const struct flow_pair *p, int warps);

#endif
