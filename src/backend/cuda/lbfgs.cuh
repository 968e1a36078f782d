/* SPDX-License-Identifier: MIT */
/*
 * lbfgs.cuh - the direction of L-BFGS on the device: what its three files share.
 *
 * The two-loop recursion needs one dot product after the other. All of them follow from
 * the dot products of the curvature pairs with each other and with g (Byrd, Nocedal and
 * Schnabel 1994). So one pass computes these (lbfgs_dots.cu), one warp derives the
 * coefficients of g, each s and each y (lbfgs_coefficients.cu), and a second pass forms
 * the direction (lbfgs_direction.cu).
 *
 * Sums are float over short runs and double beyond. Their order depends on n and the
 * number of pairs alone.
 */
#ifndef NST_BACKEND_CUDA_LBFGS_CUH
#define NST_BACKEND_CUDA_LBFGS_CUH

#include "backend/cuda/vectors.cuh"

#define MAX_PAIRS NST_MAX_PAIRS

/* Curvature pairs, the latest first. */
struct pairs {
    const float *s[MAX_PAIRS], *y[MAX_PAIRS];
    int count;
    size_t n;
    const float *x, *g; /* x: NULL without a box */
    struct nst_box box;
};

/* A variable on a bound is fixed, and no part of any dot product, if the step -g would
 * leave the box. */
static __device__ __forceinline__ bool is_free(float x, float g, struct nst_box box)
{
    return !((x <= box.lower && g > 0) || (x >= box.upper && g < 0));
}

/* Index of each dot product of count pairs. Those of s and y with each other are the
 * two triangles of a matrix of count x (count + 1). */
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

/* lbfgs_dots.cu. parts[slice * layout.size() + index] is a slice's part of a dot
 * product; cuda_slice_count() is the number of slices. */
int cuda_slice_count(size_t n, int count);
void cuda_lbfgs_dots(struct cuda *cu, const struct pairs *p, double *parts);
void cuda_lbfgs_dots_init(struct cuda *cu);

/* lbfgs_coefficients.cu */
struct coefficients_args {
    int count, slices;
    const double *parts;
    double *dots;        /* parts, summed over the slices */
    float *coefficients; /* of g, of each s, of each y */
    unsigned *done;
    double initial_rms; /* as in struct nst_direction_args */
    size_t n;
    bool in_shared;       /* dots fit into shared memory */
    double yy[MAX_PAIRS]; /* y.y over all variables */
};
void cuda_lbfgs_coefficients(struct cuda *cu, struct coefficients_args *a);
void cuda_lbfgs_coefficients_init(struct cuda *cu);

#endif
