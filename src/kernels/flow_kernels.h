/* SPDX-License-Identifier: MIT */
/*
 * flow_kernels.h - the inner loops of optical flow (src/flow), one table per
 * instruction set as in nchw16c.h. Samples are luma, 0 to 255; displacements are in
 * pixels.
 */
#ifndef NST_KERNELS_FLOW_KERNELS_H
#define NST_KERNELS_FLOW_KERNELS_H

#include <stddef.h>

#define NST_FLOW_BORDER 16 /* pixels around a plane that repeat its outermost ones */
#define NST_FLOW_PATCH 8   /* pixels of a side of a patch */
#define NST_FLOW_STRIDE 2  /* from patch to patch */
#define NST_FLOW_STARTS 5
#define NST_FLOW_TERMS 3 /* the samples and both derivatives */

/* A plane of samples, with a border. */
struct nst_flow_plane {
    float *origin; /* of the plane, inside the border */
    int height, width;
    int stride; /* samples from row to row */
};

/* The search for a patch of the frame from, at (x, y), in the frame to. */
struct nst_flow_match {
    const struct nst_flow_plane *from, *dx, *dy, *to;
    int x, y;
    int starts;
    float start[NST_FLOW_STARTS][2]; /* displacements to try */
    float u, v;                      /* the result */
};

/* A row of patches, and a row of the pixels that they cover. */
struct nst_flow_spread {
    const struct nst_flow_plane *from, *to;
    const float *patch; /* u and v of each */
    int top, y;         /* of the patches, and the row of pixels */
    float *weight, *u, *v;
};

/*
 * Planes of the refinement. The pixels of each colour of a chessboard are stored apart,
 * so that the neighbours of one colour are consecutive pixels of the other.
 */
struct nst_flow_lattice {
    float *u, *v;
    /* residual + gx u + gy v of each term, which is to be small */
    float *residual[NST_FLOW_TERMS], *gx[NST_FLOW_TERMS], *gy[NST_FLOW_TERMS];
    float *a11, *a12, *a22, *b1, *b2; /* the data terms of the linear system */
    float *smooth;                    /* the weight of the smoothness of each pixel */
};

/* The pixels of one colour in row y: x = first, first + 2, ... Where they and their
 * neighbours are in each plane of a lattice; those to the right are at left + 1. */
struct nst_flow_cells {
    int count, first, y;
    size_t own, left, up, down;
};

struct nst_flow_kernels {
    /* to = the luma of n pixels, whose colours are so many floats apart */
    void (*luma)(int n, float *to, const float *rgb, size_t plane);
    /* to[x] = the mean of a and b at 2 x and 2 x + 1 */
    void (*halve)(int n, float *to, const float *a, const float *b);
    /* Central differences of fourth order. */
    void (*derive)(int n, float *dx, float *dy, const float *from, int stride);

    /* Newton's method from the best of the starts, with the Hessian of the patch that
     * does not move. Patches are compared less their means. */
    void (*match)(struct nst_flow_match *m);
    /* Add weight, weight u and weight v of each patch; a weight falls with the
     * difference between the pixel and its end. */
    void (*spread)(const struct nst_flow_spread *s);

    /* Linearise the terms at the flow; they are 0 where it leads out of the frame. */
    void (*linearise)(const struct nst_flow_lattice *l, const struct nst_flow_cells *c,
                      const struct nst_flow_plane *const from[NST_FLOW_TERMS],
                      const struct nst_flow_plane *const to[NST_FLOW_TERMS]);
    /* The weights at the flow, and the linear system that they give. */
    void (*weigh)(const struct nst_flow_lattice *l, const struct nst_flow_cells *c);
    /* A sweep of successive over-relaxation. */
    void (*relax)(const struct nst_flow_lattice *l, const struct nst_flow_cells *c);

    /* to[x] = the value of a plane without border at (x + u[x], y + v[x]),
     * interpolated; outside the nearest one. x from 0 to width - 1. */
    void (*sample)(float *to, const float *plane, int height, int width, int y,
                   const float *u, const float *v);
};

/* The table of the instruction set of nst_nchw16c_choose(), or NULL. */
const struct nst_flow_kernels *nst_flow_kernels_choose(void);

/* Patches along a side, and where one begins: the last one ends where the frame ends.
 */
static inline int nst_flow_patch_count(int side)
{
    return (side - NST_FLOW_PATCH + NST_FLOW_STRIDE - 1) / NST_FLOW_STRIDE + 1;
}

static inline int nst_flow_patch_origin(int index, int side)
{
    int last = side - NST_FLOW_PATCH;

    return index * NST_FLOW_STRIDE < last ? index * NST_FLOW_STRIDE : last;
}

#endif
