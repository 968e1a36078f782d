/* SPDX-License-Identifier: MIT */
/*
 * lbfgs.cuh - the direction of L-BFGS on the device, between its files.
 *
 * The two-loop recursion reads a vector after the other and asks for a product each
 * time. But all it asks for follows from the products of the pairs among each other and
 * with g (Byrd, Nocedal and Schnabel 1994). So one pass makes all of these
 * (lbfgs_dots.cu), one warp works out what g, each s and each y have for a share in the
 * direction (lbfgs_coefficients.cu), and a second pass makes it (lbfgs_direction.cu).
 *
 * Sums are made in float over short runs and in double beyond, in an order that n and
 * the number of pairs decide.
 */
#ifndef NST_BACKEND_CUDA_LBFGS_CUH
#define NST_BACKEND_CUDA_LBFGS_CUH

#include "backend/cuda/vectors.cuh"

#define MAX_PAIRS NST_MAX_PAIRS

/* The pairs, the latest first. */
struct pairs {
    const float *s[MAX_PAIRS], *y[MAX_PAIRS];
    int count;
    size_t n;
    const float *x, *g; /* x: NULL without a box */
    struct nst_box box;
};

/* g pushes a variable that sits on a bound outwards: it is held, and no part of any
 * product. */
static __device__ __forceinline__ bool is_free(float x, float g, struct nst_box box)
{
    return !((x <= box.lower && g > 0) || (x >= box.upper && g < 0));
}

/* Where a product is among those of count pairs: those of s and y with each other are
 * the two triangles of a matrix of count x count + 1. */
struct dot_layout {
    int count;
    __host__ __device__ int sy(int i, int j) const
    {
        return i * (count + 1) + j; /* s_i . y_j, j <= i */
    }
    __host__ __device__ int yy(int i, int j) const
    {
        return j * (count + 1) + i + 1; /* j <= i */
    }
    __host__ __device__ int sg(int i) const
    {
        return count * (count + 1) + i;
    }
    __host__ __device__ int yg(int i) const
    {
        return count * (count + 2) + i;
    }
    __host__ __device__ int gg() const
    {
        return count * (count + 3);
    }
    __host__ __device__ int size() const
    {
        return gg() + 1;
    }
};

/* lbfgs_dots.cu: parts[stretch * places.size() + place] is a stretch's part of a
 * product. How many stretches there are: */
int cuda_slice_count(size_t n, int count);
void cuda_lbfgs_dots(struct cuda *cu, const struct pairs *p, double *parts);
void cuda_lbfgs_dots_init(struct cuda *cu);

/* lbfgs_coefficients.cu */
struct coefficients_args {
    int count, slices;
    const double *parts;
    double *dots;        /* the sums of parts */
    float *coefficients; /* of g, of each s, of each y */
    unsigned *done;
    double initial_rms; /* as in struct nst_direction_args */
    size_t n;
    bool in_shared;       /* the products fit into shared memory */
    double yy[MAX_PAIRS]; /* y.y over all variables */
};
void cuda_lbfgs_coefficients(struct cuda *cu, struct coefficients_args *a);
void cuda_lbfgs_coefficients_init(struct cuda *cu);

#endif
