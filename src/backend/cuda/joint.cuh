/* SPDX-License-Identifier: MIT */
/*
 * joint.cuh - what join.cu makes: the gradient by a map, in its place, from the
 * gradient by what a convolution read of it (un-pooling, the ReLU, what the losses
 * add). See struct nst_joint.
 */
#ifndef NST_BACKEND_CUDA_JOINT_CUH
#define NST_BACKEND_CUDA_JOINT_CUH

#include "backend/cuda/device.cuh"

/* What losses on F, the map before its ReLU or after, add to the gradient by it. */
template <class T> struct addition {
    const float *sum; /* of the regions: a map of y's channels from the band's first
                         pixel on; or NULL */
    const T *target;  /* and scale (F - target); or NULL */
    float scale;
};

/*
 * On the device: a band of y, in windows of 2 x 2 pixels, of which those at odd far
 * edges are less. A pooled joint's gx has a pixel for each whole window.
 */
template <class T> struct joint {
    T *y; /* h x w x c: values, then gradients */
    int c, h, w;
    bool pooled, average;
    const T *gx;   /* gradients by what was read, from the band's first on; NULL: 0 */
    int top, rows; /* of windows */
    struct addition<T> after, before;
    int *peak; /* raised to the largest magnitude, as bits; or NULL */
};

/* One region's terms: guide (matrix F + offset), times what gradients are. */
template <class T> struct region {
    const T *matrix;     /* c x c */
    const float *scales; /* of what each row of it makes; or NULL: 1 */
    const float *offset; /* c, and their scale; or NULL */
    float scale;
    const float *guide; /* of each pixel of y; or NULL */
    bool before;        /* F is the map before its ReLU */
    bool clip;          /* F is what a ReLU leaves of y, else y */
};

/* join.cu */
template <class T> void cuda_join(struct cuda *cu, const struct joint<T> &j);
/* The same, with one region's terms, multiplied on tensor cores: where the next holds.
 */
template <class T>
void cuda_join_region(struct cuda *cu, const struct joint<T> &j,
                      const struct region<T> &r);
template <class T> bool cuda_joins_region(const struct cuda *cu, int channels);

#endif
